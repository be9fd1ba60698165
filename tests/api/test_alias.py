"""Aliases: a caller names a bot by a word of theirs, wherever its id is asked for."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain import ids
from tests.house import House
from tests.http import Answer
from tests.tenant import Tenant

STATELESS: dict[str, Any] = {"messages": [{"type": "user", "text": "[model tokens=1]"}]}


async def bot(tenant: Tenant, **fields: Any) -> str:
    made: str = (await tenant.api.ok("/v1/bot/create", fields))["id"]
    return made


async def test_an_alias_is_shown_by_fetch_and_list_and_cleared_by_null_or_nothing(tenant: Tenant) -> None:
    made = await bot(tenant, alias="front-desk_1")
    bare = await bot(tenant, alias="")

    shown = (await tenant.api.get(f"/v1/bot/{made}/fetch")).body
    listed = (await tenant.api.get("/v1/bot/list")).body["items"]
    cleared = []
    for nothing in ("", None):
        await tenant.api.ok(f"/v1/bot/{made}/update", {"alias": nothing})
        cleared.append((await tenant.api.get(f"/v1/bot/{made}/fetch")).body)
        await tenant.api.ok(f"/v1/bot/{made}/update", {"alias": "front-desk_1"})
    await tenant.api.ok(f"/v1/bot/{made}/update", {"name": "renamed"})

    assert shown["alias"] == "front-desk_1"
    assert [(item["id"], item.get("alias")) for item in listed] == [(bare, None), (made, "front-desk_1")]
    assert ["alias" in one for one in cleared] == [False, False]
    assert (await tenant.api.get(f"/v1/bot/{made}/fetch")).body["alias"] == "front-desk_1"


async def test_a_key_stands_for_a_call_of_the_bot_and_not_of_the_word_that_named_it(tenant: Tenant) -> None:
    one, other = await bot(tenant, alias="desk"), await bot(tenant)
    keyed = {"Idempotency-Key": "k"}

    async def clone(name: str) -> Any:
        return (await tenant.api.ok(f"/v1/bot/{name}/clone", **keyed))["id"]

    by_word, by_id = await clone("@desk"), await clone(one)
    await tenant.api.ok(f"/v1/bot/{one}/update", {"alias": None})
    await tenant.api.ok(f"/v1/bot/{other}/update", {"alias": "desk"})
    of_other = await clone("@desk")

    assert by_word == by_id
    assert of_other not in (by_word, one, other)


async def test_an_alias_stands_for_the_id_in_every_path(tenant: Tenant) -> None:
    made = await bot(tenant, alias="desk", name="before")

    fetched = (await tenant.api.get("/v1/bot/@desk/fetch")).body
    updated = await tenant.api.ok("/v1/bot/@desk/update", {"name": "after"})
    used = await tenant.api.get("/v1/bot/@desk/usage/fetch")
    renamed = (await tenant.api.get(f"/v1/bot/{made}/fetch")).body["name"]
    clone = (await tenant.api.ok("/v1/bot/@desk/clone"))["id"]
    session = await tenant.api.ok("/v1/bot/@desk/session/create")
    begun = (await tenant.api.get(f"/v1/conversation/{session['conversationId']}/fetch")).body
    cloned = (await tenant.api.get(f"/v1/bot/{clone}/fetch")).body
    removed = await tenant.api.ok("/v1/bot/@desk/delete")

    assert (fetched["id"], fetched["name"]) == (made, "before")
    assert updated == removed == {"id": made}
    assert (used.status, renamed) == (200, "after")
    assert begun["botId"] == made
    assert (cloned["name"], "alias" in cloned) == ("after", False)
    assert (await tenant.api.get("/v1/bot/@desk/fetch")).status == 404


async def test_an_alias_stands_for_the_id_in_every_body(tenant: Tenant) -> None:
    made = await bot(tenant, alias="desk")
    conversation = await tenant.api.conversation(botId="@desk")
    other = await tenant.api.conversation()
    await tenant.api.ok(f"/v1/conversation/{other}/update", {"botId": "@desk"})
    complete = await tenant.api.ok("/v1/conversation/complete", STATELESS | {"botId": "@desk"})
    dispatch = await tenant.api.ok("/v1/conversation/dispatch", STATELESS | {"botId": "@desk"})

    for one in (conversation, other):
        assert (await tenant.api.get(f"/v1/conversation/{one}/fetch")).body["botId"] == made
    for run in (complete["runId"], dispatch["runId"]):
        assert (await tenant.api.get(f"/v1/run/{run}/fetch")).body["botId"] == made


async def test_an_alias_stands_for_the_id_in_every_filter(tenant: Tenant) -> None:
    made, other = await bot(tenant, alias="desk"), await bot(tenant)
    mine, theirs = [await tenant.api.conversation(botId=one) for one in (made, other)]
    answer = await tenant.api.ok("/v1/conversation/complete", STATELESS | {"botId": made})

    async def listed(path: str) -> list[str]:
        return [item["id"] for item in (await tenant.api.get(path)).body["items"]]

    assert await listed("/v1/conversation/list?botId=@desk") == [mine]
    assert await listed(f"/v1/conversation/list?botId=@desk,{other}") == [theirs, mine]
    assert await listed("/v1/conversation/list?botId=@nobody") == []
    assert await listed("/v1/run/list?botId=@desk") == [answer["runId"]]
    assert await listed("/v1/usage/list?botId=@desk") == [answer["runId"]]
    await tenant.api.ok("/v1/bot/@desk/upvote")
    assert [
        item["botId"] for item in (await tenant.api.get("/v1/rating/list?botId=@desk")).body["items"]
    ] == [made]
    events = (await tenant.api.get("/v1/event/log/list?botId=@desk&type=bot.create")).body["items"]
    assert [entry["botId"] for entry in events] == [made]


async def test_an_alias_belongs_to_one_bot_of_an_account(house: House, tenant: Tenant) -> None:
    first, second = await bot(tenant, alias="desk"), await bot(tenant)
    _, key = await house.new_account("neighbour")

    made = await tenant.api.post("/v1/bot/create", {"alias": "desk"})
    moved = await tenant.api.post(f"/v1/bot/{second}/update", {"alias": "desk"})
    kept = await tenant.api.post(f"/v1/bot/{first}/update", {"alias": "desk"})
    async with house.api(key=key) as neighbour:
        elsewhere = await neighbour.post("/v1/bot/create", {"alias": "desk"})
    await tenant.api.ok("/v1/bot/@desk/delete")
    freed = await tenant.api.post(f"/v1/bot/{second}/update", {"alias": "desk"})

    for refused in (made, moved):
        assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
        assert "alias" in refused.body["message"]
    assert [answer.status for answer in (kept, elsewhere, freed)] == [200, 200, 200]
    assert (await tenant.belongings())["bot"] == 1


async def test_of_those_who_want_an_alias_at_once_one_gets_it(tenant: Tenant) -> None:
    answers: list[Answer] = await asyncio.gather(
        *(tenant.api.post("/v1/bot/create", {"alias": "desk"}) for _ in range(10))
    )

    assert sorted(answer.status for answer in answers) == [200] + [409] * 9
    assert len(await tenant.acts("bot.create")) == 1


async def test_a_create_repeated_under_its_key_does_not_conflict_with_itself(tenant: Tenant) -> None:
    answers = [
        await tenant.api.ok("/v1/bot/create", {"alias": "desk"}, **{"Idempotency-Key": "k"}) for _ in range(3)
    ]

    assert answers[0] == answers[1] == answers[2]


@pytest.mark.parametrize("alias", ["Desk", "front desk", "@desk", "dësk", "desk\n", "a" * 129, 5, ["desk"]])
async def test_an_alias_is_made_of_small_letters_digits_and_two_signs(tenant: Tenant, alias: Any) -> None:
    status, body, _ = await tenant.api.post("/v1/bot/create", {"alias": alias})

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert "alias" in body["message"]
    assert (await tenant.belongings())["bot"] == 0


async def test_an_alias_may_be_128_letters_long(tenant: Tenant) -> None:
    made = await bot(tenant, alias="a" * 128)

    assert (await tenant.api.get(f"/v1/bot/@{'a' * 128}/fetch")).body["id"] == made


@pytest.mark.parametrize("word", ["@nobody", "@", "@Desk", "@" + "a" * 254, "@%27;--"])
async def test_an_alias_that_nobody_has_is_unknown(tenant: Tenant, word: str) -> None:
    unknown = (await tenant.api.raw("GET", f"/v1/bot/{ids.bot()}/fetch")).body

    for verb, action in (("GET", "fetch"), ("POST", "update"), ("POST", "delete"), ("GET", "usage/fetch")):
        status, raw, _ = await tenant.api.raw(verb, f"/v1/bot/{word}/{action}")
        assert status == 404
        assert raw[:50] == unknown[:50]


@pytest.mark.parametrize("field", ["botId"])
async def test_an_alias_that_nobody_has_is_unknown_in_a_body(tenant: Tenant, field: str) -> None:
    for path in ("/v1/conversation/create", "/v1/conversation/complete"):
        fields = STATELESS if path.endswith("complete") else {}
        status, body, _ = await tenant.api.post(path, fields | {field: "@nobody"})
        assert (status, body["code"]) == (404, "NOT_FOUND")
        assert field in body["message"]


async def test_another_accounts_alias_is_unknown(house: House, tenant: Tenant) -> None:
    await bot(tenant, alias="desk")
    _, key = await house.new_account("stranger")

    async with house.api(key=key) as stranger:
        answers = [
            await stranger.get("/v1/bot/@desk/fetch"),
            await stranger.post("/v1/bot/@desk/delete"),
            await stranger.post("/v1/conversation/create", {"botId": "@desk"}),
        ]

    assert [answer.status for answer in answers] == [404, 404, 404]
    assert (await tenant.api.get("/v1/bot/@desk/fetch")).status == 200


@pytest.mark.parametrize("word", ["@@desk", "@acct_1@desk", "@@"])
async def test_the_alias_of_a_parents_or_siblings_object_is_not_served(tenant: Tenant, word: str) -> None:
    answers = [
        await tenant.api.get(f"/v1/bot/{word}/fetch"),
        await tenant.api.post("/v1/conversation/create", {"botId": word}),
        await tenant.api.get(f"/v1/conversation/list?botId={word}"),
    ]

    for status, body, _ in answers:
        assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
        assert word in body["message"]


async def test_conversations_and_contacts_have_no_alias(tenant: Tenant) -> None:
    for noun in ("conversation", "contact"):
        status, body, _ = await tenant.api.post(f"/v1/{noun}/create", {"alias": "desk"})
        assert (status, body["code"]) == (400, "BAD_REQUEST")
