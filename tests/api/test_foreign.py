"""Promise 9: another account's ids answer exactly as unknown ones, on every route there is."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any

import pytest

from api.routes import SERVED, UNSERVED
from domain import ids
from tests.executions import begun, new_execution
from tests.house import House
from tests.http import Answer, Api
from tests.tasks import new_task
from tests.tenant import Tenant
from tests.triggers import over

ABILITY = {"name": "a", "description": "d", "instruction": "```fetch\nGET https://api.example.com/\n```"}
BODIES: dict[str, dict[str, Any]] = {
    "/channel/{channel}/publish": {"message": {}},
    "/conversation/{conversation}/send": {"text": "x"},
    "/conversation/{conversation}/message/create": {"type": "user", "text": "x"},
    "/run/{run}/budget": {"tokens": 1},
    "/skillset/{skillset}/ability/create": ABILITY,
    "/task/{task}/backfill": {"from": 0, "until": 1},
    "/task/{task}/occurrence/skip": {"at": 0},
    "/task/{task}/occurrence/unskip": {"at": 0},
}
"""The least that a route takes, where that is not `{}`; a new route with ids may need its line here."""

DEAD_LETTER = """
INSERT INTO delivery (id, account_id, target_id, type, body, state, ended_at)
SELECT $2, account_id, id, 'test.ping', '"secret"', 'dead', now() FROM target WHERE id = $1
"""

WITH_IDS = [(verb, path) for verb, path, _ in SERVED if "{" in path]
CHANNELS = [(verb, path) for verb, path in WITH_IDS if "{channel}" in path]
OWNED = [route for route in WITH_IDS if route not in CHANNELS]
INSIDE = ("{message}", "{ability}", "{execution}", "{event}")
ALL = [(verb, path) for verb, path, _ in SERVED] + [(verb, path) for verb, path in UNSERVED]


@pytest.fixture
async def theirs(api: Api, house: House) -> dict[str, str]:
    """One object of every kind, of the house's own account."""
    bot = (await api.ok("/v1/bot/create"))["id"]
    contact = (await api.ok("/v1/contact/create"))["id"]
    conversation = await api.conversation(botId=bot, contactId=contact)
    turn = await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": "secret [model tokens=1]"})
    await api.stream(f"/v1/run/{turn['runId']}/subscribe")
    secret = (await api.ok("/v1/secret/create", {"value": "secret", "description": "secret"}))["id"]
    message = (await api.ok(f"/v1/conversation/{conversation}/send", {"text": "secret"}))["id"]
    skillset = (await api.ok("/v1/skillset/create"))["id"]
    ability = (await api.ok(f"/v1/skillset/{skillset}/ability/create", ABILITY))["id"]
    task = (await api.ok("/v1/task/create", {"botId": bot, "schedule": "0 7 * * *"}))["id"]
    execution = await new_execution(house.store, task, told=[begun("run_secret")], summary="secret")
    trigger = (await api.ok("/v1/integration/trigger/create", {"botId": bot, "schedule": "0 7 * * *"}))["id"]
    hook = {"delivery": {"webhook": {"url": "https://secret.invalid/"}}}
    await api.ok(f"/v1/task/{task}/update", hook)
    target = (await api.get(f"/v1/task/{task}/fetch")).body["delivery"]["webhook"]["targetId"]
    delivery = ids.delivery()
    await house.rows(DEAD_LETTER, target, delivery)
    event = await api.ok(f"/v1/integration/trigger/{trigger}/invoke")
    await over(api, event["runId"])
    return {
        "bot": bot,
        "skillset": skillset,
        "ability": ability,
        "contact": contact,
        "conversation": conversation,
        "message": message,
        "run": turn["runId"],
        "channel": turn["channelId"],
        "secret": secret,
        "task": task,
        "execution": execution,
        "trigger": trigger,
        "target": target,
        "delivery": delivery,
        "event": event["eventId"],
    }


def unknown(known: dict[str, str]) -> dict[str, str]:
    """Ids of the same form that nobody has."""
    return {kind: ids.new(value.split("_")[0]) for kind, value in known.items()}


async def asked(api: Api, verb: str, path: str, names: dict[str, str], accept: str) -> Answer:
    headers = {"Accept": accept, "Content-Type": "application/json"}
    body = json.dumps(BODIES.get(path, {})) if verb == "POST" else None
    return await api.raw(verb, "/v1" + path.format(**names), body, **headers)


def comparable(answer: Answer, names: dict[str, str]) -> tuple[int, str, dict[str, str]]:
    """What a caller could tell two answers apart by, besides the ids they sent and the request's own."""
    body = re.sub(r'"requestId":"[^"]*"', "", answer.body.decode())
    for kind, name in names.items():
        body = body.replace(name, kind)
    headers = {name.lower(): value for name, value in answer.headers.items()}
    return answer.status, body, {k: v for k, v in headers.items() if k not in ("x-request-id", "date")}


def test_the_walk_knows_every_kind_of_id_in_the_route_table() -> None:
    kinds = {kind for _, path in WITH_IDS for kind in re.findall(r"\{(\w+)\}", path)}

    assert kinds == {
        *("ability", "bot", "contact", "conversation", "message", "run", "channel", "skillset", "secret"),
        *("task", "execution", "trigger", "event", "target", "delivery"),
    }


@pytest.mark.parametrize("accept", ["application/json", "application/jsonl"])
@pytest.mark.parametrize(("verb", "path"), OWNED, ids=[" ".join(route) for route in OWNED])
async def test_another_accounts_ids_are_unknown(
    tenant: Tenant, theirs: dict[str, str], verb: str, path: str, accept: str
) -> None:
    nobodys, before = unknown(theirs), await tenant.belongings()

    foreign = await asked(tenant.api, verb, path, theirs, accept)
    missing = await asked(tenant.api, verb, path, nobodys, accept)

    assert comparable(foreign, theirs) == comparable(missing, nobodys)
    assert (foreign.status, json.loads(foreign.body)["code"]) == (404, "NOT_FOUND")
    assert await tenant.belongings() == before


async def test_nothing_of_the_owner_is_touched_by_the_walk(
    api: Api, tenant: Tenant, theirs: dict[str, str]
) -> None:
    reads = [path.format(**theirs) for verb, path in OWNED if verb == "GET"]
    before = [(await api.get("/v1" + path)).body for path in reads]

    for verb, path in OWNED:
        await asked(tenant.api, verb, path, theirs, "application/json")

    assert [(await api.get("/v1" + path)).body for path in reads] == before


@pytest.mark.parametrize(
    ("verb", "path"),
    [route for route in OWNED if any(kind in route[1] for kind in INSIDE)],
    ids=lambda part: str(part),
)
async def test_what_is_foreign_is_unknown_in_what_is_ones_own(
    tenant: Tenant, theirs: dict[str, str], verb: str, path: str
) -> None:
    mine = {"conversation": await tenant.api.conversation()}
    mine["skillset"] = (await tenant.api.ok("/v1/skillset/create"))["id"]
    mine["task"] = await new_task(tenant.house.store, tenant.account)
    mine["trigger"] = (await tenant.api.ok("/v1/integration/trigger/create"))["id"]
    nobodys = unknown(theirs) | mine

    foreign = await asked(tenant.api, verb, path, theirs | mine, "application/json")
    missing = await asked(tenant.api, verb, path, nobodys, "application/json")

    assert comparable(foreign, theirs | mine) == comparable(missing, nobodys)
    assert foreign.status == 404


async def test_a_channel_of_the_same_name_in_another_account_is_another_channel(
    tenant: Tenant, api: Api, theirs: dict[str, str]
) -> None:
    name = theirs["channel"]

    published = await tenant.api.ok(f"/v1/channel/{name}/publish", {"message": {"mine": True}})
    async with tenant.api.streaming(f"/v1/channel/{name}/subscribe") as events:
        first = await anext(events)
    told = await api.stream(f"/v1/channel/{name}/subscribe")

    assert published == {"id": name}
    assert first["data"] == {"mine": True}
    assert {"mine": True} not in [event["data"] for event in told]


async def test_a_subscription_to_a_foreign_channel_waits_like_one_to_an_unknown(
    tenant: Tenant, theirs: dict[str, str]
) -> None:
    nobodys = unknown(theirs)
    heads = []
    for names in (theirs, nobodys):
        async with tenant.api.session.post(
            f"{tenant.api.url}/v1/channel/{names['channel']}/subscribe",
            json={},
            headers=tenant.api._headers | {"Accept": "application/jsonl"},
        ) as answer:
            heads.append(comparable(Answer(answer.status, b"", answer.headers), names))
            # What it would tell of the foreign run is there already: it would come at once.
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.5):
                    await answer.content.readany()

    assert heads[0] == heads[1]


AGENTS = [
    *("/conversation/create", "/conversation/{}/update"),
    *("/conversation/complete", "/conversation/dispatch"),
]
IN_BODIES = [
    *((path, field) for path in AGENTS for field in ("botId", "contactId", "skillsetId")),
    *((path, "taskId") for path in AGENTS[:2]),
    *(("/task/create", field) for field in ("botId", "contactId")),
]


@pytest.mark.parametrize(("path", "field"), IN_BODIES)
async def test_another_accounts_ids_in_a_body_are_unknown(
    tenant: Tenant, theirs: dict[str, str], path: str, field: str
) -> None:
    url, nobodys = "/v1" + path.format(await tenant.api.conversation()), unknown(theirs)
    kind = field.removesuffix("Id")
    body: dict[str, Any] = {}
    if path in ("/conversation/complete", "/conversation/dispatch"):
        body["messages"] = [{"type": "user", "text": "x"}]
    before = await tenant.belongings()

    answers = [
        await tenant.api.raw(
            "POST", url, json.dumps(body | {field: names[kind]}), **{"Content-Type": "application/json"}
        )
        for names in (theirs, nobodys)
    ]

    assert comparable(answers[0], theirs) == comparable(answers[1], nobodys)
    assert (answers[0].status, json.loads(answers[0].body)["code"]) == (404, "NOT_FOUND")
    assert await tenant.belongings() == before


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/v1/conversation/list?botId=", "bot"),
        ("/v1/conversation/list?contactId=", "contact"),
        ("/v1/run/list?conversationId=", "conversation"),
        ("/v1/run/list?botId=", "bot"),
        ("/v1/run/list?contactId=", "contact"),
        ("/v1/conversation/export?botId=", "bot"),
        ("/v1/event/log/list?skillsetId=", "skillset"),
        ("/v1/skillset/list?cursor=", "skillset"),
        ("/v1/rating/list?botId=", "bot"),
        ("/v1/rating/list?contactId=", "contact"),
        ("/v1/rating/list?conversationId=", "conversation"),
        ("/v1/rating/list?messageId=", "message"),
        ("/v1/bot/list?cursor=", "bot"),
        ("/v1/run/list?cursor=", "run"),
        ("/v1/secret/list?cursor=", "secret"),
        ("/v1/conversation/list?taskId=", "task"),
        ("/v1/usage/list?taskId=", "task"),
        ("/v1/event/log/list?taskId=", "task"),
        ("/v1/task/list?botId=", "bot"),
        ("/v1/task/list?contactId=", "contact"),
        ("/v1/task/list?cursor=", "task"),
        ("/v1/target/list?taskId=", "task"),
        ("/v1/target/list?triggerId=", "trigger"),
        ("/v1/target/list?cursor=", "target"),
        ("/v1/delivery/list?targetId=", "target"),
        ("/v1/delivery/list?taskId=", "task"),
        ("/v1/delivery/list?triggerId=", "trigger"),
        ("/v1/delivery/list?runId=", "run"),
        ("/v1/delivery/list?cursor=", "delivery"),
        ("/v1/event/log/list?targetId=", "target"),
        ("/v1/event/log/list?deliveryId=", "delivery"),
    ],
)
async def test_another_accounts_ids_narrow_a_list_to_nothing(
    tenant: Tenant, theirs: dict[str, str], path: str, kind: str
) -> None:
    answer = await tenant.api.get(path + theirs[kind])

    assert (answer.status, answer.body) == (200, {"items": [], "cursor": ""})


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_no_route_opens_without_a_key(house: House, prefix: str) -> None:
    names = dict.fromkeys(("bot", "contact", "conversation", "message", "run", "channel", "secret"), "x" * 24)
    async with house.api(key="") as nobody:
        for verb, path in ALL:
            url = prefix + re.sub(r"\{(\w+)\}", lambda found: names.get(found[1], "x"), path)
            status, raw, headers = await nobody.raw(verb, url)
            assert (status, json.loads(raw)["code"]) == (401, "NOT_AUTHENTICATED"), path
            assert headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize(
    "words", ["Bearer", "Bearer ", "sk-x", "Bearer sk-unknown", "Bearer a b", "Bearer é"]
)
async def test_a_garbled_or_unknown_key_opens_nothing(house: House, words: str) -> None:
    async with house.api(key="") as nobody:
        status, raw, _ = await nobody.raw("GET", "/v1/bot/list", Authorization=words)

    assert (status, json.loads(raw)["code"]) == (401, "NOT_AUTHENTICATED")


async def test_the_scheme_word_before_the_key_is_free(house: House) -> None:
    async with house.api(key="") as somebody:
        status, _, _ = await somebody.raw("GET", "/v1/bot/list", Authorization=f"Token {house.key}")

    assert status == 200


@pytest.mark.parametrize("header", ["X-RunAs-User-ID", "X-RunAs-Child-User-Email", "x-runas-userid"])
async def test_acting_for_a_child_account_is_not_served(api: Api, header: str) -> None:
    status, body, _ = await api.get("/v1/bot/list", **{header: "somebody"})

    assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
    assert header.lower() in body["message"]
