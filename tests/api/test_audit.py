"""The audit log: one entry for every act, with who, what and from where, never a word of what was said."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from api.audit import EntryQuery
from domain import ids
from tests.api.test_routes import FACTS
from tests.api.test_streams import SSE, sse
from tests.house import House, eventually
from tests.tenant import Tenant


def told(entry: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    about = {name: value for name, value in entry.items() if name.endswith("Id")}
    return entry["type"], about


async def test_whatever_is_made_changed_and_removed_is_told_once_with_who_and_from_where(
    tenant: Tenant,
) -> None:
    api = tenant.api
    bot = (await api.ok("/v1/bot/create", {"name": "canary"}))["id"]
    contact = (await api.ok("/v1/contact/create", {"name": "canary"}))["id"]
    conversation = await api.conversation(botId=bot, contactId=contact)
    path = f"/v1/conversation/{conversation}"
    message = (await api.ok(f"{path}/send", {"text": "canary"}))["id"]
    for noun, id_ in (("bot", bot), ("contact", contact), ("conversation", conversation)):
        await api.ok(f"/v1/{noun}/{id_}/update", {"description": "canary"})
    await api.ok(f"{path}/message/{message}/update", {"text": "another canary"})
    await api.ok(f"{path}/message/{message}/delete")
    for noun, id_ in (("conversation", conversation), ("contact", contact), ("bot", bot)):
        await api.ok(f"/v1/{noun}/{id_}/delete")

    entries = await tenant.acts()

    of = {"conversationId": conversation}
    assert [told(entry) for entry in entries] == [
        ("account.create", {}),
        ("key.create", {"keyId": entries[1]["keyId"]}),
        ("bot.create", {"botId": bot}),
        ("contact.create", {"contactId": contact}),
        ("conversation.create", of | {"botId": bot, "contactId": contact}),
        ("message.create", of | {"messageId": message}),
        ("bot.update", {"botId": bot}),
        ("contact.update", {"contactId": contact}),
        ("conversation.update", of),
        ("message.update", of | {"messageId": message}),
        ("message.delete", of | {"messageId": message}),
        ("conversation.delete", of),
        ("contact.delete", {"contactId": contact}),
        ("bot.delete", {"botId": bot}),
    ]
    key = entries[1]["keyId"]
    assert {(entry["meta"]["actor"], entry["meta"].get("address")) for entry in entries[2:]} == {
        (key, "127.0.0.1")
    }
    assert "canary" not in str(entries)


async def test_a_refused_call_leaves_no_entry(tenant: Tenant) -> None:
    before = await tenant.acts()

    for path in ("/v1/bot/create", "/v1/conversation/create", f"/v1/bot/{ids.bot()}/update"):
        await tenant.api.post(path, {"name": 5})
    await tenant.api.post(f"/v1/bot/{ids.bot()}/delete")

    assert await tenant.acts() == before


async def test_what_is_published_is_told_once_and_without_what_it_says(tenant: Tenant) -> None:
    channel = ids.channel()
    for _ in range(2):
        await tenant.api.ok(
            f"/v1/channel/{channel}/publish", {"message": {"text": "canary"}}, **{"Idempotency-Key": "k"}
        )

    (entry,) = await tenant.acts("channel.publish")

    assert told(entry) == ("channel.publish", {"channelId": channel})
    assert entry["meta"]["actor"].startswith("key_")
    assert "canary" not in str(entry)


async def test_a_call_repeated_under_its_key_is_told_once(tenant: Tenant) -> None:
    for _ in range(3):
        await tenant.api.ok("/v1/bot/create", {}, **{"Idempotency-Key": "k"})

    assert len(await tenant.acts("bot.create")) == 1


@pytest.mark.parametrize(
    ("prompt", "end", "code"),
    [("[model tokens=1]", "run.succeeded", None), ("[model status=400]", "run.failed", "MODEL_REFUSED")],
)
async def test_a_turn_is_told_when_it_is_accepted_and_how_it_ended(
    tenant: Tenant, prompt: str, end: str, code: str | None
) -> None:
    conversation = await tenant.api.conversation()

    _, answer, _ = await tenant.api.post(f"/v1/conversation/{conversation}/complete", {"text": prompt})

    begun, ended = await tenant.acts("run.create", "run.succeeded", "run.failed")
    assert told(begun) == ("run.create", {"runId": answer["runId"], "conversationId": conversation})
    assert (ended["type"], ended["runId"], ended["conversationId"]) == (end, answer["runId"], conversation)
    assert begun["meta"]["actor"].startswith("key_")
    assert ended["meta"].get("code") == code
    assert "actor" not in ended["meta"]


async def test_a_cancel_is_told_with_who_did_it(tenant: Tenant) -> None:
    run = (await tenant.api.ok("/v1/conversation/dispatch", {"messages": [_endless()]}))["runId"]

    for _ in range(2):
        await tenant.api.ok(f"/v1/run/{run}/cancel")

    (ended,) = await tenant.acts("run.canceled")
    assert (ended["runId"], ended["meta"]["address"]) == (run, "127.0.0.1")
    assert ended["meta"]["actor"].startswith("key_")


async def test_a_key_that_was_revoked_is_told_to_its_account_when_somebody_tries_it(
    house: House, tenant: Tenant
) -> None:
    key = await house.store.accounts.create_key(tenant.account, "lost")
    (_, lost) = await tenant.acts("key.create")
    await house.store.accounts.revoke_key(lost["keyId"])

    async with house.api(key=key) as thief:
        for _ in range(3):
            assert (await thief.get("/v1/bot/list")).status == 401

    assert [told(entry) for entry in await tenant.acts("key.revoke", "key.refused")] == [
        ("key.revoke", {"keyId": lost["keyId"]}),
        ("key.refused", {"keyId": lost["keyId"]}),
    ]


async def test_a_key_that_nobody_has_is_told_to_the_operator(house: House) -> None:
    async with house.api(key="sk-nobody") as stranger:
        assert (await stranger.get("/v1/bot/list")).status == 401

    newest = await house.store.audit.newest(None)

    # Another test's stranger, from the same address within the minute, may be the one that was told of.
    told = [entry.meta.get("address") for entry in newest if entry.type == "key.refused"]
    assert "127.0.0.1" in told


async def test_the_log_is_listed_by_what_an_entry_is_about(tenant: Tenant) -> None:
    mine, other = await tenant.api.conversation(), await tenant.api.conversation()
    await tenant.api.ok(f"/v1/conversation/{mine}/send", {"text": "x"})

    page = (await tenant.api.get(f"/v1/event/log/list?conversationId={mine}")).body
    key = page["items"][0]["meta"]["actor"]
    by_actor = (await tenant.api.get(f"/v1/event/log/list?type=conversation.create&meta.actor={key}")).body

    assert [entry["type"] for entry in page["items"]] == ["message.create", "conversation.create"]
    assert [entry["conversationId"] for entry in by_actor["items"]] == [other, mine]


async def test_a_filter_of_the_log_takes_several_ids(tenant: Tenant) -> None:
    bots = [(await tenant.api.ok("/v1/bot/create", {"alias": f"b{n}"}))["id"] for n in range(3)]
    conversation = await tenant.api.conversation(botId=bots[0])

    async def told_of(query: str) -> list[str]:
        page = (await tenant.api.get(f"/v1/event/log/list?order=asc&{query}")).body
        return [entry["id"] for entry in page["items"]]

    made = [entry["id"] for entry in await tenant.acts("bot.create", "conversation.create")]
    assert await told_of(f"botId={bots[0]},{bots[2]}") == [made[0], made[2], made[3]]
    assert await told_of(f"botId=@b1,{bots[2]}") == made[1:3]
    assert await told_of(f"botId={bots[0]},{bots[1]}&conversationId={conversation},x") == made[3:]
    assert await told_of("botId=nobody,else") == await told_of("botId=,") == []


async def test_what_only_upstreams_entries_are_about_is_said_not_to_be_served(tenant: Tenant) -> None:
    for name in ("blueprintId", "mcpserverIntegrationId"):
        refused = await tenant.api.get(f"/v1/event/log/list?{name}=x")
        assert (refused.status, refused.body["code"]) == (501, "NOT_IMPLEMENTED")
    assert (await tenant.api.get("/v1/event/log/list?tasksId=x")).status == 400
    if FACTS.exists():
        told = re.search(r"^#### GET /event/log/list\n.*\n(.*)$", FACTS.read_text(), re.MULTILINE)
        assert told is not None
        assert {*re.findall(r"(\w+Id)\?", told[1])} <= EntryQuery.LATER | EntryQuery.KNOWN


async def test_the_log_of_another_account_is_not_seen(tenant: Tenant, house: House) -> None:
    await tenant.api.ok("/v1/bot/create")
    _, key = await house.new_account("stranger")

    async with house.api(key=key) as stranger:
        listed = (await stranger.get("/v1/event/log/list")).body["items"]

    assert [entry["type"] for entry in listed] == ["key.create", "account.create"]


async def test_the_log_never_changes(house: House, tenant: Tenant) -> None:
    with pytest.raises(Exception, match="append-only"):
        await house.rows("UPDATE audit SET type = 'nothing' WHERE account_id = $1", tenant.account)


async def test_who_follows_the_log_hears_every_entry_once_and_can_go_on_after_a_break(tenant: Tenant) -> None:
    path = "/v1/event/log/subscribe"
    first = (await tenant.api.ok("/v1/bot/create"))["id"]

    async with tenant.api.streaming(path, {"historyLength": 1}) as entries:
        heard = [(await anext(entries))["data"]]
        made = await asyncio.gather(*(tenant.api.ok("/v1/bot/create") for _ in range(20)))
        heard += [(await anext(entries))["data"] for _ in range(10)]
    async with tenant.api.streaming(path, {"after": heard[-1]["id"]}) as entries:
        heard += [(await anext(entries))["data"] for _ in range(10)]

    assert heard[0]["botId"] == first
    assert sorted(entry["botId"] for entry in heard[1:]) == sorted(bot["id"] for bot in made)


async def test_a_browser_that_lost_the_log_goes_on_after_the_last_entry_it_heard(tenant: Tenant) -> None:
    path = "/v1/event/log/subscribe"
    for _ in range(4):
        await tenant.api.ok("/v1/bot/create")
    made = await tenant.acts("bot.create")

    heard = await listen(tenant, {"historyLength": 4}, {})
    after = await listen(tenant, {}, {"Last-Event-ID": made[1]["id"]})
    both = await listen(tenant, {"after": made[2]["id"]}, {"Last-Event-ID": made[0]["id"]})
    unknown = await tenant.api.post(path, {}, **SSE, **{"Last-Event-ID": ids.entry()})

    assert heard == {"data": made[0], "type": "item", "id": made[0]["id"]}
    assert (after["id"], both["id"]) == (made[2]["id"], made[3]["id"])
    assert (unknown.status, unknown.body["code"]) == (400, "BAD_REQUEST")
    assert "Last-Event-ID" in unknown.body["message"]


async def listen(tenant: Tenant, body: dict[str, Any], headers: dict[str, str]) -> dict[str, Any]:
    """The first server-sent event of a subscription to the log."""
    api = tenant.api
    sent = SSE | headers | {"Authorization": f"Bearer {api.key}"}
    async with api.session.post(f"{api.url}/v1/event/log/subscribe", json=body, headers=sent) as answer:
        return sse(await answer.content.readuntil(b"\n\n"))[0]


async def test_an_entry_of_a_transaction_that_ends_late_is_not_missed(house: House, tenant: Tenant) -> None:
    """One that began early and commits last is heard, although later ones are there before it."""
    insert = "INSERT INTO audit (id, account_id, type, about, meta) VALUES ($1, $2, $3, '{}', '{}')"
    async with (
        house.store.database.connection() as slow,
        tenant.api.streaming("/v1/event/log/subscribe") as heard,
    ):
        transaction = slow.transaction()
        await transaction.start()
        await slow.execute(insert, ids.entry(), tenant.account, "slow")
        await tenant.api.ok("/v1/bot/create")
        await transaction.commit()
        types = [(await anext(heard))["data"]["type"] for _ in range(2)]

    assert types == ["slow", "bot.create"]


def _endless() -> dict[str, str]:
    return {"type": "user", "text": "[model endless=1]"}


async def test_entries_go_after_the_days_they_are_kept(house: House, tenant: Tenant) -> None:
    old = "INSERT INTO audit (id, account_id, type, about, meta, at) VALUES ($1, $2, 'old', '{}', '{}', $3)"
    await house.rows(old, ids.entry(), tenant.account, datetime(2020, 1, 1, tzinfo=UTC))

    await house.store.upkeep.tidy(365)

    async def gone() -> None:
        assert "old" not in [entry["type"] for entry in await tenant.acts()]

    await eventually(gone)
