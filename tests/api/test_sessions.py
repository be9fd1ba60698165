"""Session tokens: what a browser may be given, because it opens one conversation and nothing else."""

from __future__ import annotations

import asyncio
import base64
import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest

from api.routes import OPEN_TO_SESSIONS, SERVED, UNSERVED
from domain import ids
from domain.session import Session, Tokens
from tests.api.test_foreign import asked, comparable, unknown
from tests.house import House, eventually
from tests.http import Answer, Api, text_of
from tests.tenant import Tenant

ANSWERED = "[model tokens=2]"
LONG = "[model tokens=4000 delay=25]"
OPEN = [(verb, path) for verb, path, handler in SERVED if handler in OPEN_TO_SESSIONS]
CLOSED = [(verb, path) for verb, path, handler in SERVED if handler not in OPEN_TO_SESSIONS] + [
    (verb, path) for verb, path in UNSERVED
]


class Visitor(NamedTuple):
    """Somebody with a browser, and what the site's own server has given them."""

    conversation: str
    session: str
    token: str
    api: Api
    tenant: Tenant


@pytest.fixture
async def visitor(tenant: Tenant) -> AsyncIterator[Visitor]:
    conversation = await tenant.api.conversation()
    made = await tenant.api.ok(f"/v1/conversation/{conversation}/session/create")
    async with tenant.house.api(key=made["token"]) as client:
        yield Visitor(conversation, made["id"], made["token"], client, tenant)


async def things(api: Api, conversation: str) -> dict[str, str]:
    """One object of every kind that paths name, as far as they are of a conversation."""
    turn = await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": ANSWERED})
    await api.stream(f"/v1/run/{turn['runId']}/subscribe")
    message = (await api.ok(f"/v1/conversation/{conversation}/send", {"text": "hello"}))["id"]
    named = {"conversation": conversation, "message": message}
    return named | {"run": turn["runId"], "channel": turn["channelId"]}


def claims(token: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))
    return told


def refusal(answer: Answer) -> tuple[int, str]:
    body = answer.body if isinstance(answer.body, dict) else json.loads(answer.body)
    return answer.status, body["code"]


async def until_over(api: Api, run: str) -> dict[str, Any]:
    async def check() -> dict[str, Any]:
        found: dict[str, Any] = (await api.get(f"/v1/run/{run}/fetch")).body
        assert found["state"] not in ("queued", "running")
        return found

    return await eventually(check)


# Making one.


@pytest.mark.parametrize(
    ("body", "seconds"),
    [({}, 3_600), ({"durationInSeconds": 1_800}, 1_800), ({"durationInSeconds": 86_400}, 86_400)],
)
async def test_a_session_lasts_as_long_as_asked_else_an_hour(
    tenant: Tenant, body: dict[str, Any], seconds: int
) -> None:
    conversation, before = await tenant.api.conversation(), datetime.now(UTC).timestamp()

    made = await tenant.api.ok(f"/v1/conversation/{conversation}/session/create", body)

    assert {*made} == {"id", "token", "expiresAt"}
    assert made["id"].startswith("sess_")
    assert before - 2 <= made["expiresAt"] / 1000 - seconds <= datetime.now(UTC).timestamp() + 2
    assert claims(made["token"]) == {
        "sub": made["id"],
        "accountId": tenant.account,
        "conversationId": conversation,
        "exp": made["expiresAt"] // 1000,
    }


@pytest.mark.parametrize("seconds", [1_799, 86_401, 0, -1, "3600", 3_600.5, None, True])
@pytest.mark.parametrize("path", ["/v1/conversation/{conversation}", "/v1/bot/{bot}"])
async def test_a_session_lasts_half_an_hour_at_least_and_a_day_at_most(
    tenant: Tenant, path: str, seconds: Any
) -> None:
    names = {"conversation": await tenant.api.conversation()}
    names["bot"] = (await tenant.api.ok("/v1/bot/create"))["id"]
    before = await tenant.belongings()

    answer = await tenant.api.post(f"{path.format(**names)}/session/create", {"durationInSeconds": seconds})

    assert refusal(answer) == (400, "BAD_REQUEST")
    assert "durationInSeconds" in answer.body["message"]
    assert await tenant.belongings() == before


async def test_a_session_with_a_bot_comes_with_a_conversation_of_its_own(tenant: Tenant) -> None:
    bot = (await tenant.api.ok("/v1/bot/create", {"backstory": "canary"}))["id"]
    messages = [{"type": "bot", "text": "Welcome."}, {"type": "user", "text": "Hello."}]

    made = await tenant.api.ok(
        f"/v1/bot/{bot}/session/create",
        {"messages": messages, "meta": {"page": "home"}, "durationInSeconds": 1_800},
    )

    conversation = (await tenant.api.get(f"/v1/conversation/{made['conversationId']}/fetch")).body
    assert {*made} == {"id", "conversationId", "token", "expiresAt", "messages"}
    assert made["messages"] == messages
    assert (conversation["botId"], conversation["meta"]) == (bot, {"page": "home"})
    async with tenant.house.api(key=made["token"]) as visitor:
        assert await visitor.messages(made["conversationId"]) == [("bot", "Welcome."), ("user", "Hello.")]


async def test_a_session_with_a_bot_needs_nothing_but_the_bot(tenant: Tenant) -> None:
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]

    made = await tenant.api.ok(f"/v1/bot/{bot}/session/create")

    assert {*made} == {"id", "conversationId", "token", "expiresAt"}


async def test_a_session_that_cannot_be_made_leaves_nothing(tenant: Tenant) -> None:
    before = await tenant.belongings()

    for path in (f"/v1/bot/{ids.bot()}", f"/v1/conversation/{ids.conversation()}"):
        headers = {"Idempotency-Key": "k"}
        assert refusal(await tenant.api.post(f"{path}/session/create", **headers)) == (404, "NOT_FOUND")

    assert await tenant.belongings() == before


async def test_a_call_repeated_under_its_key_is_one_session(tenant: Tenant) -> None:
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]
    conversation = await tenant.api.conversation()

    for path in (f"/v1/bot/{bot}/session/create", f"/v1/conversation/{conversation}/session/create"):
        calls = [tenant.api.ok(path, {}, **{"Idempotency-Key": "k"}) for _ in range(10)]
        made = await asyncio.gather(*calls)
        other = await tenant.api.post(path, {"durationInSeconds": 1_800}, **{"Idempotency-Key": "k"})

        assert all(one == made[0] for one in made)
        assert refusal(other) == (409, "CONFLICT")
    assert len(await tenant.acts("session.create")) == 2
    assert (await tenant.belongings())["conversation"] == 2


async def test_a_repeated_call_for_a_conversation_that_is_gone_makes_nothing(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    path = f"/v1/conversation/{conversation}/session/create"
    await tenant.api.ok(path, {}, **{"Idempotency-Key": "k"})
    await tenant.api.ok(f"/v1/conversation/{conversation}/delete")

    again = await tenant.api.post(path, {}, **{"Idempotency-Key": "k"})

    assert refusal(again) == (404, "NOT_FOUND")


@pytest.mark.parametrize("over", ["expired", "revoked"])
async def test_a_repeated_call_is_told_that_its_session_is_over(tenant: Tenant, over: str) -> None:
    path, keyed = (
        f"/v1/conversation/{await tenant.api.conversation()}/session/create",
        {"Idempotency-Key": "k"},
    )
    made = await tenant.api.ok(path, {}, **keyed)
    if over == "expired":
        await tenant.house.rows("UPDATE session SET expires_at = now() WHERE id = $1", made["id"])
    else:
        await tenant.house.rows(
            "WITH other AS (INSERT INTO api_key (id, account_id, name, hash, revoked_at)"
            " SELECT $2, account_id, 'old', $3, now() FROM session WHERE id = $1 RETURNING id)"
            " UPDATE session SET key_id = (SELECT id FROM other) WHERE id = $1",
            made["id"],
            ids.api_key(),
            ids.new("digest").encode(),
        )

    again = await tenant.api.post(path, {}, **keyed)

    assert refusal(again) == (409, "CONFLICT")
    assert "new Idempotency-Key" in again.body["message"]
    assert (await tenant.belongings())["session"] == 1


# What it opens.


def test_what_is_open_to_sessions_is_what_the_contract_lists_and_what_follows_a_run() -> None:
    assert {*OPEN} == {
        ("POST", "/conversation/{conversation}/send"),
        ("POST", "/conversation/{conversation}/receive"),
        ("POST", "/conversation/{conversation}/complete"),
        ("GET", "/conversation/{conversation}/message/list"),
        ("POST", "/conversation/{conversation}/message/create"),
        ("GET", "/run/{run}/fetch"),
        ("POST", "/run/{run}/cancel"),
        ("POST", "/run/{run}/subscribe"),
        ("POST", "/channel/{channel}/subscribe"),
    }


async def test_a_visitor_holds_a_conversation_with_nothing_but_a_token(visitor: Visitor) -> None:
    path, api = f"/v1/conversation/{visitor.conversation}", visitor.api

    said = await api.stream(f"{path}/complete", {"text": ANSWERED})
    await api.ok(f"{path}/send", {"text": ANSWERED})
    received = await api.ok(f"{path}/receive")
    created = await api.ok(f"{path}/message/create", {"type": "user", "text": "bye"})
    listed = (await api.get(f"{path}/message/list?order=asc")).body["items"]

    assert text_of(said) == said[-1]["data"]["text"]
    assert [(item["type"], item["text"]) for item in listed] == [
        ("user", ANSWERED),
        ("bot", text_of(said)),
        ("user", ANSWERED),
        ("bot", received["text"]),
        ("user", "bye"),
    ]
    assert listed[-1]["id"] == created["id"]


async def test_a_visitor_looks_after_the_runs_of_the_conversation(visitor: Visitor) -> None:
    api, path = visitor.api, f"/v1/conversation/{visitor.conversation}"
    turn = await visitor.tenant.api.ok(f"{path}/dispatch", {"text": LONG})

    async with api.streaming(f"/v1/channel/{turn['channelId']}/subscribe") as events:
        heard = await anext(events)
        cancelled = await api.ok(f"/v1/run/{turn['runId']}/cancel")
    fetched = (await api.get(f"/v1/run/{turn['runId']}/fetch")).body
    told = await api.stream(f"/v1/run/{turn['runId']}/subscribe")

    assert heard["data"]["type"] == "completeBegin"
    assert cancelled == {"id": turn["runId"]}
    assert (fetched["state"], fetched["conversationId"]) == ("canceled", visitor.conversation)
    assert told[-1]["data"]["data"]["end"] == {"reason": "abort"}


async def test_a_visitor_may_interrupt_the_turn_of_the_conversation(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}"
    first = await visitor.tenant.api.ok(f"{path}/dispatch", {"text": LONG})

    answer = await visitor.api.ok(f"{path}/complete", {"text": ANSWERED, "onBusy": "interrupt"})

    assert answer["end"] == {"reason": "stop"}
    assert (await until_over(visitor.api, first["runId"]))["state"] == "interrupted"


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_everything_else_is_closed_to_a_session(visitor: Visitor, prefix: str) -> None:
    mine = await things(visitor.tenant.api, visitor.conversation)
    before = await visitor.tenant.belongings()

    for verb, path in CLOSED:
        url = prefix + re.sub(r"\{(\w+)\}", lambda found: mine.get(found[1], "x" * 24), path)
        answer = await visitor.api.raw(verb, url, b"{}" if verb == "POST" else None)
        assert refusal(answer) == (403, "NOT_AUTHORIZED"), path
        assert "API key" in json.loads(answer.body)["message"]

    assert await visitor.tenant.belongings() == before


@pytest.mark.parametrize("accept", ["application/json", "application/jsonl"])
@pytest.mark.parametrize(("verb", "path"), OPEN, ids=[" ".join(route) for route in OPEN])
async def test_another_conversation_is_unknown_to_a_session(
    visitor: Visitor, verb: str, path: str, accept: str
) -> None:
    other = await things(visitor.tenant.api, await visitor.tenant.api.conversation())
    nobodys, before = unknown(other), await visitor.tenant.belongings()

    foreign = await asked(visitor.api, verb, path, other, accept)
    missing = await asked(visitor.api, verb, path, nobodys, accept)

    assert comparable(foreign, other) == comparable(missing, nobodys)
    assert refusal(foreign) == (404, "NOT_FOUND")
    assert await visitor.tenant.belongings() == before


async def test_a_run_and_a_channel_of_no_conversation_are_unknown_to_a_session(visitor: Visitor) -> None:
    account, name = visitor.tenant.api, ids.channel()
    run = await account.ok("/v1/conversation/dispatch", {"messages": [{"type": "user", "text": ANSWERED}]})
    await account.ok(f"/v1/channel/{name}/publish", {"message": {}})
    paths = [f"/v1/channel/{channel}/subscribe" for channel in (name, run["channelId"], "short", "x" * 24)]

    for path in (*paths, f"/v1/run/{run['runId']}/subscribe", f"/v1/run/{run['runId']}/cancel"):
        answer = await visitor.api.post(path, {}, Accept="application/jsonl")
        assert refusal(answer) == (404, "NOT_FOUND"), path


@pytest.mark.parametrize("kind", ["bot", "instruction", "backstory", "context", "reasoning", "checkpoint"])
async def test_a_visitor_speaks_as_a_user_and_as_nobody_else(visitor: Visitor, kind: str) -> None:
    path = f"/v1/conversation/{visitor.conversation}/message/create"

    answer = await visitor.api.post(path, {"type": kind, "text": "Obey."})

    assert refusal(answer) == (403, "NOT_AUTHORIZED")
    assert await visitor.tenant.api.messages(visitor.conversation) == []


async def test_a_visitor_is_not_told_where_the_operator_looks(visitor: Visitor) -> None:
    run = (await things(visitor.tenant.api, visitor.conversation))["run"]

    told = (await visitor.api.get(f"/v1/run/{run}/fetch")).body
    operators = (await visitor.tenant.api.get(f"/v1/run/{run}/fetch")).body

    assert operators.pop("temporalUrl")
    assert told == operators


async def test_a_visitors_call_repeated_under_its_key_is_one_turn(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}/complete"

    calls = [visitor.api.ok(path, {"text": ANSWERED}, **{"Idempotency-Key": "k"}) for _ in range(5)]
    answers = await asyncio.gather(*calls)

    assert all(answer == answers[0] for answer in answers)
    assert len(await visitor.tenant.api.messages(visitor.conversation)) == 2


async def test_a_key_that_the_account_used_elsewhere_is_a_visitors_own(visitor: Visitor) -> None:
    account, headers = visitor.tenant.api, {"Idempotency-Key": "k"}
    other = await account.conversation()
    theirs = await account.ok(f"/v1/conversation/{other}/send", {"text": "secret"}, **headers)

    mine = await visitor.api.ok(f"/v1/conversation/{visitor.conversation}/send", {"text": "x"}, **headers)

    assert mine["id"] != theirs["id"]
    assert await account.messages(visitor.conversation) == [("user", "x")]


async def test_fields_that_are_not_served_are_not_served_to_sessions_either(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}/complete"

    assert refusal(await visitor.api.post(path, {"text": "x", "entities": {}})) == (501, "NOT_IMPLEMENTED")


async def test_two_sessions_of_a_conversation_are_two_doors_to_the_same(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}"
    made = await visitor.tenant.api.ok(f"{path}/session/create")

    async with visitor.tenant.house.api(key=made["token"]) as tablet:
        await visitor.api.ok(f"{path}/send", {"text": "from one"})
        assert await tablet.messages(visitor.conversation) == [("user", "from one")]


# When it does not.


async def refused(house: House, token: str, path: str) -> Answer:
    async with house.api(key=token) as stranger:
        return await stranger.get(path)


def signed(house: House, session: Session) -> str:
    return Tokens(house.env["HOLDFAST_SECRET"].encode()).sign(session)


async def test_a_forged_or_garbled_token_opens_nothing(visitor: Visitor) -> None:
    header, body, mark = visitor.token.split(".")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT"}').decode().rstrip("=")
    other = claims(visitor.token) | {"conversationId": await visitor.tenant.api.conversation()}
    longer = claims(visitor.token) | {"exp": 4_000_000_000}
    changed = [
        base64.urlsafe_b64encode(json.dumps(one).encode()).decode().rstrip("=") for one in (other, longer)
    ]
    forged = [
        f"{none}.{body}.",
        f"{none}.{body}.{mark}",
        *(f"{header}.{one}.{mark}" for one in changed),
        f"{header}.{body}.",
        f"{header}.{body}.{mark[:-1]}",
        f"{header}.{body}.{mark}A",
        f"{header}.{body}",
        f"{body}.{header}.{mark}",
        "a.b.c",
        "..",
        "é.é.é",
        Tokens(b"another secret" * 4).sign(_session(visitor)),
    ]

    for token in forged:
        answer = await refused(
            visitor.tenant.house, token, f"/v1/conversation/{visitor.conversation}/message/list"
        )
        assert refusal(answer) == (401, "NOT_AUTHENTICATED"), token
        assert answer.headers["WWW-Authenticate"] == "Bearer"


async def test_a_token_whose_session_was_never_made_opens_nothing(visitor: Visitor) -> None:
    invented = _session(visitor).model_copy(update={"id": ids.session()})
    path = f"/v1/conversation/{visitor.conversation}/message/list"

    answer = await refused(visitor.tenant.house, signed(visitor.tenant.house, invented), path)

    assert refusal(answer) == (401, "NOT_AUTHENTICATED")


async def test_an_expired_session_says_so(visitor: Visitor) -> None:
    over = _session(visitor).model_copy(update={"expires_at": datetime(2020, 1, 1, tzinfo=UTC)})
    path = f"/v1/conversation/{visitor.conversation}/message/list"

    by_token = await refused(visitor.tenant.house, signed(visitor.tenant.house, over), path)
    await _expire(visitor)
    by_row = await visitor.api.get(path)

    assert refusal(by_token) == refusal(by_row) == (401, "NOT_AUTHENTICATED")
    assert "expired" in by_token.body["message"]


async def test_a_session_is_over_with_its_conversation(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}"
    run = (await things(visitor.tenant.api, visitor.conversation))["run"]
    await visitor.tenant.api.ok(f"{path}/delete")

    answers = [await visitor.api.get(f"{path}/message/list"), await visitor.api.get(f"/v1/run/{run}/fetch")]

    assert {refusal(answer) for answer in answers} == {(401, "NOT_AUTHENTICATED")}
    assert "deleted" in answers[0].body["message"]
    assert await visitor.tenant.house.rows("SELECT FROM session WHERE id = $1", visitor.session) == []


async def test_a_session_is_over_with_the_key_that_made_it_and_with_no_other(visitor: Visitor) -> None:
    house, account = visitor.tenant.house, visitor.tenant.account
    path = f"/v1/conversation/{visitor.conversation}"
    lost = await house.store.accounts.create_key(account, "lost")
    async with house.api(key=lost) as thief:
        made = await thief.ok(f"{path}/session/create")
    key = (await visitor.tenant.acts("key.create"))[-1]["keyId"]

    before = (await refused(house, made["token"], f"{path}/message/list")).status
    await house.store.accounts.revoke_key(key)
    after = await refused(house, made["token"], f"{path}/message/list")

    assert (before, refusal(after)) == (200, (401, "NOT_AUTHENTICATED"))
    assert (await visitor.api.get(f"{path}/message/list")).status == 200


async def test_a_stream_outlives_its_session_but_not_its_conversation(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}"
    async with visitor.api.streaming(f"{path}/complete", {"text": "[model tokens=40 delay=25]"}) as events:
        await anext(events)
        await _expire(visitor)
        assert (await visitor.api.get(f"{path}/message/list")).status == 401
        ended = [event async for event in events]

    assert ended[-1]["type"] == "result"

    made = await visitor.tenant.api.ok(f"{path}/session/create")
    async with (
        visitor.tenant.house.api(key=made["token"]) as again,
        again.streaming(f"{path}/complete", {"text": LONG}) as events,
    ):
        await anext(events)
        await visitor.tenant.api.ok(f"{path}/delete")
        ended = [event async for event in events]

    assert (ended[-1]["type"], ended[-1]["data"]["code"]) == ("error", "NOT_FOUND")


# What the audit log tells.


async def test_what_a_visitor_does_is_told_with_the_session_that_did_it(visitor: Visitor) -> None:
    path, of = f"/v1/conversation/{visitor.conversation}", {"conversationId": visitor.conversation}
    await visitor.api.ok(f"{path}/send", {"text": "canary"})
    turn = await visitor.tenant.api.ok(f"{path}/dispatch", {"text": LONG})
    await visitor.api.ok(f"/v1/run/{turn['runId']}/cancel")

    made, said, cancelled = await visitor.tenant.acts("session.create", "message.create", "run.canceled")

    assert (made["sessionId"], made["conversationId"]) == (visitor.session, visitor.conversation)
    assert made["meta"]["actor"].startswith("key_")
    assert {said["meta"]["actor"], cancelled["meta"]["actor"]} == {visitor.session}
    assert said["meta"]["address"] == "127.0.0.1"
    assert of.items() <= said.items()
    listed = (await visitor.tenant.api.get(f"/v1/event/log/list?sessionId={visitor.session}")).body["items"]
    assert [entry["type"] for entry in listed] == ["session.create"]


async def test_a_refused_session_is_told_to_its_account_once_a_minute(visitor: Visitor) -> None:
    path = f"/v1/conversation/{visitor.conversation}"
    await visitor.tenant.api.ok(f"{path}/delete")

    for _ in range(3):
        await visitor.api.get(f"{path}/message/list")

    (entry,) = await visitor.tenant.acts("session.refused")
    assert (entry["sessionId"], entry["conversationId"]) == (visitor.session, visitor.conversation)
    assert entry["meta"] == {"code": "NOT_AUTHENTICATED", "address": "127.0.0.1"}


async def test_a_forged_token_is_told_to_the_operator_and_to_no_account(visitor: Visitor) -> None:
    house = visitor.tenant.house

    await refused(house, visitor.token[:-1], f"/v1/conversation/{visitor.conversation}/message/list")

    newest = [entry for entry in await house.store.audit.newest(None) if entry.type == "session.refused"]
    assert newest[0].meta == {"code": "NOT_AUTHENTICATED", "address": "127.0.0.1"}
    assert newest[0].about == {}
    assert await visitor.tenant.acts("session.refused") == []


async def _expire(visitor: Visitor) -> None:
    """As if its time had passed."""
    await visitor.tenant.house.rows(
        "UPDATE session SET expires_at = now() - interval '1 second' WHERE id = $1", visitor.session
    )


def _session(visitor: Visitor) -> Session:
    told = claims(visitor.token)
    return Session(
        id=told["sub"],
        account_id=told["accountId"],
        conversation_id=told["conversationId"],
        expires_at=datetime.fromtimestamp(told["exp"], UTC),
    )
