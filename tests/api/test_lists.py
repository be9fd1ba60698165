"""Lists: every filter, and pages that stay right while things come and go."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from domain import ids
from tests.api.test_streams import JSONL, jsonl
from tests.tenant import Tenant

META = {"plan": "pro", "beta": True, "n": 5, "team": {"name": "red", "lead": {"name": "Ada"}}}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("meta.plan=pro", True),
        ("meta[plan]=pro", True),
        ("meta.plan=free", False),
        ("meta.beta=true", True),
        ("meta.beta=false", False),
        ("meta.n=5", False),
        ("meta.team.name=red", True),
        ("meta[team.name]=red", True),
        ("meta[team][name]=red", True),
        ("meta[team][lead][name]=Ada", True),
        ("meta.team.name=red&meta[team][lead.name]=Ada", True),
        ("meta.team.name=red&meta.plan=free", False),
        ("meta.team=red", False),
    ],
)
@pytest.mark.parametrize("kind", ["bot", "skillset", "contact", "conversation", "secret", "task", "message"])
async def test_lists_are_narrowed_by_what_meta_has(
    tenant: Tenant, kind: str, query: str, found: bool
) -> None:
    url = f"/v1/{kind}"
    body: dict[str, Any] = {"meta": META}
    if kind == "message":
        url = f"/v1/conversation/{await tenant.api.conversation()}/message"
        body |= {"type": "user", "text": "x"}
        await tenant.api.ok(f"{url}/create", body | {"meta": {}})
    else:
        await tenant.api.ok(f"{url}/create")
    made = (await tenant.api.ok(f"{url}/create", body))["id"]

    listed = (await tenant.api.get(f"{url}/list?{query}")).body["items"]

    assert [item["id"] for item in listed] == ([made] if found else [])


@pytest.mark.parametrize(
    "query",
    [
        "meta[=x",
        "meta[a=x",
        "meta[]=x",
        "meta[a][]=x",
        "meta.=x",
        "meta.a..b=x",
        "meta.a=x&meta.a.b=y",
        "meta.a.b=y&meta.a=x",
        "meta.a=x&meta[a]=y",
        "meta=x",
    ],
)
async def test_a_filter_of_meta_that_names_no_key_or_two_values_is_refused(
    tenant: Tenant, query: str
) -> None:
    for path in ("/v1/bot/list", "/v1/conversation/list", "/v1/conversation/export"):
        status, body, _ = await tenant.api.get(f"{path}?{quote(query, safe='=&')}")
        assert (status, body["code"]) == (400, "BAD_REQUEST")
        assert "meta" in body["message"]


async def test_a_list_whose_objects_have_no_meta_refuses_to_filter_by_it(tenant: Tenant) -> None:
    for path in ("/v1/run/list", "/v1/rating/list"):
        status, body, _ = await tenant.api.get(f"{path}?meta.a=b")
        assert (status, body["code"]) == (400, "BAD_REQUEST")


async def test_a_call_that_takes_no_query_refuses_one(tenant: Tenant) -> None:
    before = await tenant.belongings()
    told = [await tenant.api.get(f"/v1/usage/{name}?from=1") for name in ("fetch", "series/fetch")]
    told.append(await tenant.api.post("/v1/bot/create?meta.a=b"))
    told.append(await tenant.api.post("/v1/bot/create?take=1"))

    assert [(status, body["code"]) for status, body, _ in told] == [(400, "BAD_REQUEST")] * 4
    assert [body["message"].split(":")[0] for _, body, _ in told] == ["from", "from", "meta.a", "take"]
    assert await tenant.belongings() == before


@pytest.mark.parametrize("path", ["/v1/conversation/list", "/v1/conversation/export"])
async def test_conversations_are_narrowed_by_several_bots_and_contacts(tenant: Tenant, path: str) -> None:
    bots = [(await tenant.api.ok("/v1/bot/create"))["id"] for _ in range(3)]
    contacts = [(await tenant.api.ok("/v1/contact/create"))["id"] for _ in range(2)]
    made = {
        (bot, contact): await tenant.api.conversation(botId=bot, contactId=contact)
        for bot in bots
        for contact in contacts
    }

    async def listed(query: str) -> set[str]:
        return {item["id"] for item in (await tenant.api.get(f"{path}?{query}")).body["items"]}

    assert await listed("") == {*made.values()}
    assert await listed(f"botId={bots[0]},%20{bots[1]}") == {made[b, c] for b in bots[:2] for c in contacts}
    assert await listed(f"botId={bots[2]}&contactId={contacts[0]}") == {made[bots[2], contacts[0]]}
    assert await listed(f"contactId={contacts[0]}&botId={ids.bot()}") == set()


@pytest.mark.parametrize("kind", ["bot", "skillset", "contact", "conversation", "message"])
@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_go_on_from_what_was_deleted_and_show_nothing_twice(
    tenant: Tenant, kind: str, order: str
) -> None:
    url, body = f"/v1/{kind}", {}
    if kind == "message":
        url = f"/v1/conversation/{await tenant.api.conversation()}/message"
        body = {"type": "user", "text": "x"}
    made = [(await tenant.api.ok(f"{url}/create", body))["id"] for _ in range(7)]
    expected = made if order == "asc" else made[::-1]

    seen: list[str] = []
    cursor, late = "", ""
    while page := (await tenant.api.get(f"{url}/list?take=2&order={order}&cursor={cursor}")).body["items"]:
        seen += [item["id"] for item in page]
        cursor = seen[-1]
        await tenant.api.ok(f"{url}/{cursor}/delete")
        late = late or (await tenant.api.ok(f"{url}/create", body))["id"]

    assert seen == ([*expected, late] if order == "asc" else expected)


async def test_a_cursor_that_never_was_a_message_here_is_refused(tenant: Tenant) -> None:
    one, other = await tenant.api.conversation(), await tenant.api.conversation()
    elsewhere = (await tenant.api.ok(f"/v1/conversation/{other}/send", {"text": "x"}))["id"]
    await tenant.api.ok(f"/v1/conversation/{other}/message/{elsewhere}/delete")

    for cursor in (ids.message(), elsewhere):
        status, body, _ = await tenant.api.get(f"/v1/conversation/{one}/message/list?cursor={cursor}")
        assert (status, body["code"]) == (400, "BAD_REQUEST")


async def test_how_an_answer_is_wanted_is_looked_at_before_anything_is_read(tenant: Tenant) -> None:
    path = f"/v1/conversation/{await tenant.api.conversation()}/message/list?cursor={ids.message()}"

    status, body, _ = await tenant.api.get(path, Accept="text/html")

    assert (status, body["message"].split(":")[0]) == (400, "Accept")


async def test_a_deleted_message_is_in_no_page_and_leaves_no_words(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    message = (await tenant.api.ok(f"/v1/conversation/{conversation}/send", {"text": "canary"}))["id"]

    await tenant.api.ok(f"/v1/conversation/{conversation}/message/{message}/delete")
    (left,) = await tenant.house.rows("SELECT * FROM message_gone WHERE conversation_id = $1", conversation)
    await tenant.api.ok(f"/v1/conversation/{conversation}/delete")

    assert dict(left) == {"conversation_id": conversation, "id": message, "seq": 1}
    assert await tenant.house.rows("SELECT FROM message_gone WHERE conversation_id = $1", conversation) == []


async def test_a_stream_goes_on_from_a_message_that_was_deleted_meanwhile(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    # More than any buffer between server and client takes in: the second page is read after the deletes.
    await tenant.house.rows(
        "INSERT INTO message (id, conversation_id, seq, key, type, text) "
        "SELECT $1 || n, $1, n + 1, n, 'user', n || ' ' || repeat('x', 200000) "
        "FROM generate_series(0, 249) n",
        conversation,
    )
    url = f"{tenant.api.url}/v1/conversation/{conversation}/message"

    read = []
    async with tenant.api.session.get(f"{url}/list?order=asc", headers=tenant.api._headers | JSONL) as answer:
        # The first page, cut by bytes, ends with 20.
        for last in (20, 199):
            await tenant.api.ok(f"/v1/conversation/{conversation}/message/{conversation}{last}/delete")
        async for line in answer.content:
            read.append(int(json.loads(line)["data"]["text"].split()[0]))

    assert read == [n for n in range(250) if n != 199]


async def test_the_last_page_that_is_full_ends_the_stream_all_the_same(tenant: Tenant) -> None:
    made = [(await tenant.api.ok("/v1/contact/create"))["id"] for _ in range(100)]

    _, lines, _ = await tenant.api.raw("GET", "/v1/contact/list?order=asc", **JSONL)

    assert [event["data"]["id"] for event in jsonl(lines)] == made
