"""Whatever callers make, whether bots, tasks or messages: made, read, changed, listed, removed."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from tests.api.test_streams import JSONL, SSE, jsonl, sse
from tests.http import Api
from tests.tenant import Tenant

FULL: dict[str, dict[str, Any]] = {
    "bot": {"name": "n", "description": "d", "meta": {"a": 1}, "model": "gpt-5", "backstory": "b"},
    "skillset": {"name": "n", "description": "d", "meta": {"a": 1}, "alias": "tools"},
    "contact": {
        "name": "n",
        "description": "d",
        "meta": {"a": 1},
        "fingerprint": "f",
        "email": "a@example.com",
        "phone": "+44 1",
        "nick": "k",
        "preferences": "p",
        "verifiedAt": 1_767_225_600_000,
    },
    "conversation": {
        "name": "n",
        "description": "d",
        "meta": {"a": 1},
        "model": "gpt-5",
        "backstory": "b",
        "onBusy": "reject",
    },
    "secret": {
        "name": "n",
        "description": "d",
        "meta": {"a": 1},
        "alias": "a",
        "kind": "shared",
        "type": "basic",
    },
    "task": {
        "name": "n",
        "description": "d",
        "meta": {"a": 1},
        "schedule": "never",
        "timezone": "Europe/London",
        "startAt": 1_767_225_600_000,
        "endAt": 4_070_908_800_000,
        "overlap": "buffer_one",
        "catchup": 3_600_000,
        "jitter": 30_000,
        "pauseOnFailure": True,
        "sessionDuration": 0,
        "maxIterations": 20,
        "maxTime": 1_000_000,
        "maxCalls": 5,
        "expiresAt": 4_102_444_800_000,
    },
}
ALWAYS = {
    "contact": {"fingerprint"},
    "secret": {"kind", "type"},
    "task": {"overlap", "jitter", "pauseOnFailure", "status", "outcome"},
}
"""What a kind of thing shows even when it is made of nothing."""
BESIDE = {"task": {"status": "idle", "outcome": "pending"}}
"""What a kind of thing shows besides what it is given."""
KINDS = [*FULL]
PREFIXES = ["/v1", "/api/v1"]


async def made(api: Api, kind: str, /, **fields: Any) -> str:
    told = await api.ok(f"/v1/{kind}/create", fields)
    assert told.keys() == {"id"}
    found: str = told["id"]
    return found


async def fetched(api: Api, kind: str, id_: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/{kind}/{id_}/fetch")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_made_is_read_as_it_was_given(tenant: Tenant, kind: str, prefix: str) -> None:
    before = time.time_ns() // 1_000_000
    told = await tenant.api.ok(f"{prefix}/{kind}/create", FULL[kind])
    found = (await tenant.api.get(f"{prefix}/{kind}/{told['id']}/fetch")).body
    listed = (await tenant.api.get(f"{prefix}/{kind}/list")).body

    assert found == FULL[kind] | BESIDE.get(kind, {}) | {
        "id": told["id"],
        "createdAt": found["createdAt"],
        "updatedAt": found["updatedAt"],
    }
    assert before - 1_000 <= found["createdAt"] <= found["updatedAt"] < before + 60_000
    assert listed == {"items": [found], "cursor": told["id"]}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_made_of_nothing_shows_no_nulls(tenant: Tenant, kind: str) -> None:
    found = await fetched(tenant.api, kind, await made(tenant.api, kind))

    assert found.keys() == {"id", "createdAt", "updatedAt", "meta"} | ALWAYS.get(kind, set())


@pytest.mark.parametrize("kind", KINDS)
async def test_an_update_changes_what_it_names_and_null_clears_it(tenant: Tenant, kind: str) -> None:
    id_ = await made(tenant.api, kind, **FULL[kind])

    assert await tenant.api.ok(f"/v1/{kind}/{id_}/update", {"name": "m"}) == {"id": id_}
    renamed = await fetched(tenant.api, kind, id_)
    cleared = {*FULL[kind]} - ALWAYS.get(kind, set())
    await tenant.api.ok(f"/v1/{kind}/{id_}/update", dict.fromkeys(cleared))
    empty = await fetched(tenant.api, kind, id_)

    assert {**renamed, "updatedAt": 0} == {
        **FULL[kind],
        **BESIDE.get(kind, {}),
        "name": "m",
        "id": id_,
        "createdAt": renamed["createdAt"],
        "updatedAt": 0,
    }
    assert renamed["updatedAt"] >= renamed["createdAt"]
    assert empty["meta"] == {}
    assert not {*empty} & (cleared - {"meta"})


@pytest.mark.parametrize("kind", [*KINDS, "message"])
async def test_meta_is_merged_by_an_update_and_cleared_by_null(tenant: Tenant, kind: str) -> None:
    if kind == "message":
        kind = f"conversation/{await tenant.api.conversation()}/message"
        told = await tenant.api.ok(
            f"/v1/{kind}/create", {"type": "user", "text": "x", "meta": {"a": 1, "b": {"c": 2}}}
        )
        id_ = told["id"]
    else:
        id_ = await made(tenant.api, kind, meta={"a": 1, "b": {"c": 2}})

    await tenant.api.ok(f"/v1/{kind}/{id_}/update", {"meta": {"b": {"d": 3}, "e": 4}})
    merged = (await fetched(tenant.api, kind, id_))["meta"]
    await tenant.api.ok(f"/v1/{kind}/{id_}/update", {"meta": {}})
    unchanged = (await fetched(tenant.api, kind, id_))["meta"]
    await tenant.api.ok(f"/v1/{kind}/{id_}/update", {"meta": None})

    assert merged == unchanged == {"a": 1, "b": {"d": 3}, "e": 4}
    assert (await fetched(tenant.api, kind, id_))["meta"] == {}


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_deleted_is_gone(tenant: Tenant, kind: str) -> None:
    id_ = await made(tenant.api, kind)

    assert await tenant.api.ok(f"/v1/{kind}/{id_}/delete") == {"id": id_}

    for verb, action in (("GET", "fetch"), ("POST", "update"), ("POST", "delete")):
        status, raw, _ = await tenant.api.raw(
            verb,
            f"/v1/{kind}/{id_}/{action}",
            b"{}" if verb == "POST" else None,
            **{"Content-Type": "application/json"},
        )
        assert (status, json.loads(raw)["code"]) == (404, "NOT_FOUND")
    assert (await tenant.api.get(f"/v1/{kind}/list")).body == {"items": [], "cursor": ""}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_list_is_read_page_by_page_in_both_orders(tenant: Tenant, kind: str) -> None:
    created = [await made(tenant.api, kind) for _ in range(5)]

    for order, expected in (("asc", created), ("desc", created[::-1]), ("", created[::-1])):
        pages, cursor = [], ""
        while True:
            query = f"take=2&cursor={cursor}" + (f"&order={order}" if order else "")
            page = (await tenant.api.get(f"/v1/{kind}/list?{query}")).body
            pages.append([item["id"] for item in page["items"]])
            cursor = page["cursor"]
            if not cursor:
                break
            assert cursor == pages[-1][-1]
        assert pages == [expected[:2], expected[2:4], expected[4:], []]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_streamed_list_goes_through_all_pages(tenant: Tenant, prefix: str) -> None:
    created = [await made(tenant.api, "bot") for _ in range(103)]
    url = f"{prefix}/bot/list?order=asc"

    _, lines, headers = await tenant.api.raw("GET", url, **JSONL)
    _, frames, _ = await tenant.api.raw("GET", url, **SSE)
    _, some, _ = await tenant.api.raw("GET", url + "&take=2", **JSONL)
    page = (await tenant.api.get(url)).body

    assert headers["Content-Type"].startswith("application/jsonl")
    assert [event["data"]["id"] for event in jsonl(lines)] == created
    assert {event["type"] for event in jsonl(lines)} == {"item"}
    assert lines.isascii()
    assert b"\n\n" not in lines
    assert [event["data"]["id"] for event in sse(frames)] == created
    assert [event["data"]["id"] for event in jsonl(some)] == created[:2]
    assert len(page["items"]) == 100
    assert jsonl(lines)[0]["data"] == page["items"][0]


async def test_an_empty_list_streams_nothing(tenant: Tenant) -> None:
    status, lines, _ = await tenant.api.raw("GET", "/v1/bot/list", **JSONL)

    assert (status, lines) == (200, b"")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("meta.app=x", ["a", "b"]),
        ("meta[app]=x", ["a", "b"]),
        ("meta.app=x&meta.on=true", ["a"]),
        ("meta.deep.er=y", ["b"]),
        ("meta[deep.er]=y", ["b"]),
        ("meta.n=1", []),
        ("meta.app=nothing", []),
    ],
)
async def test_a_list_is_narrowed_by_meta(tenant: Tenant, kind: str, query: str, found: list[str]) -> None:
    await made(tenant.api, kind, name="a", meta={"app": "x", "on": True, "n": 1})
    await made(tenant.api, kind, name="b", meta={"app": "x", "deep": {"er": "y"}})
    await made(tenant.api, kind, name="c")

    listed = (await tenant.api.get(f"/v1/{kind}/list?order=asc&{query}")).body

    assert [item["name"] for item in listed["items"]] == found


async def test_conversations_are_narrowed_by_bot_and_contact(tenant: Tenant) -> None:
    bots = [await made(tenant.api, "bot") for _ in range(3)]
    contact = await made(tenant.api, "contact")
    of = [await made(tenant.api, "conversation", botId=bot) for bot in bots]
    with_contact = await made(tenant.api, "conversation", botId=bots[0], contactId=contact)

    async def listed(query: str) -> list[str]:
        return [
            item["id"]
            for item in (await tenant.api.get(f"/v1/conversation/list?order=asc&{query}")).body["items"]
        ]

    assert await listed(f"botId={bots[1]}") == [of[1]]
    assert await listed(f"botId={bots[0]},{bots[2]}") == [of[0], of[2], with_contact]
    assert await listed(f"contactId={contact}") == [with_contact]
    assert await listed(f"contactId={contact}&botId={bots[1]}") == []


async def test_ensure_finds_a_contact_by_its_fingerprint_unchanged_or_makes_it(tenant: Tenant) -> None:
    ask = {"fingerprint": "f", "name": "first"}

    answers = await asyncio.gather(*(tenant.api.ok("/v1/contact/ensure", ask) for _ in range(20)))
    again = await tenant.api.ok("/v1/contact/ensure", {"fingerprint": "f", "name": "second"})

    assert all(answer == again for answer in answers)
    assert (await fetched(tenant.api, "contact", again["id"]))["name"] == "first"
    assert (await tenant.belongings())["contact"] == 1


async def test_a_fingerprint_belongs_to_one_contact(tenant: Tenant) -> None:
    await made(tenant.api, "contact", fingerprint="f")
    other = await made(tenant.api, "contact")

    status, body, _ = await tenant.api.post("/v1/contact/create", {"fingerprint": "f"})
    moved, _, _ = await tenant.api.post(f"/v1/contact/{other}/update", {"fingerprint": "f"})

    assert (status, body["code"]) == (409, "CONFLICT")
    assert moved == 409
    assert (await tenant.belongings())["contact"] == 2


@pytest.mark.parametrize("path", ["create", "update"])
async def test_a_contact_given_as_an_object_is_found_or_made(tenant: Tenant, path: str) -> None:
    contact = {"fingerprint": "f", "name": "Ada", "email": "a@example.com", "meta": {"a": 1}}
    conversation = await tenant.api.conversation(**({"contactId": contact} if path == "create" else {}))
    if path == "update":
        await tenant.api.ok(f"/v1/conversation/{conversation}/update", {"contactId": contact})
    other = await tenant.api.conversation(contactId={"fingerprint": "f", "name": "Bob"})

    first = (await fetched(tenant.api, "conversation", conversation))["contactId"]
    second = (await fetched(tenant.api, "conversation", other))["contactId"]

    assert first == second
    found = await fetched(tenant.api, "contact", first)
    assert {key: found[key] for key in contact} == contact


async def test_a_conversation_keeps_its_place_when_its_bot_and_contact_go(tenant: Tenant) -> None:
    bot, contact = await made(tenant.api, "bot"), await made(tenant.api, "contact")
    conversation = await made(tenant.api, "conversation", botId=bot, contactId=contact)
    before = await fetched(tenant.api, "conversation", conversation)

    await tenant.api.ok(f"/v1/bot/{bot}/delete")
    await tenant.api.ok(f"/v1/contact/{contact}/delete")
    after = await fetched(tenant.api, "conversation", conversation)

    assert (before["botId"], before["contactId"]) == (bot, contact)
    assert not {"botId", "contactId"} & {*after}


async def test_a_conversation_begins_with_the_messages_it_is_given(tenant: Tenant) -> None:
    messages = [
        {"type": "backstory", "text": "b"},
        {"type": "user", "text": "hi"},
        {"type": "bot", "text": "ho"},
    ]

    told = await tenant.api.ok("/v1/conversation/create", {"messages": messages})

    assert told["messages"] == messages
    assert await tenant.api.messages(told["id"]) == [(m["type"], m["text"]) for m in messages]


async def test_a_message_is_made_read_changed_and_removed(tenant: Tenant) -> None:
    url = f"/v1/conversation/{await tenant.api.conversation()}/message"
    full = {"type": "context", "text": "x", "name": "n", "description": "d", "meta": {"a": 1}}

    told = await tenant.api.ok(f"{url}/create", full)
    found = (await tenant.api.get(f"{url}/{told['id']}/fetch")).body
    changed = await tenant.api.ok(f"{url}/{told['id']}/update", {"type": "user", "text": "y", "name": None})
    after = (await tenant.api.get(f"{url}/{told['id']}/fetch")).body
    removed = await tenant.api.ok(f"{url}/{told['id']}/delete")

    assert told == {"id": told["id"], "entities": []}
    assert {key: found[key] for key in full} == full
    assert changed == removed == {"id": told["id"]}
    assert (after["type"], after["text"], after["description"], "name" in after) == ("user", "y", "d", False)
    assert (await tenant.api.get(f"{url}/{told['id']}/fetch")).status == 404
    assert (await tenant.api.get(f"{url}/list")).body == {"items": [], "cursor": ""}


async def test_messages_are_listed_in_the_order_they_came(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    url = f"/v1/conversation/{conversation}"
    for n in range(5):
        await tenant.api.ok(f"{url}/send", {"text": f"m{n}"})

    newest = (await tenant.api.get(f"{url}/message/list?take=2")).body
    older = (await tenant.api.get(f"{url}/message/list?take=2&cursor={newest['cursor']}")).body
    oldest = (await tenant.api.get(f"{url}/message/list?take=3&order=asc")).body
    _, lines, _ = await tenant.api.raw("GET", f"{url}/message/list?order=asc", **JSONL)

    assert [m["text"] for m in newest["items"]] == ["m4", "m3"]
    assert [m["text"] for m in older["items"]] == ["m2", "m1"]
    assert [m["text"] for m in oldest["items"]] == ["m0", "m1", "m2"]
    assert [event["data"]["text"] for event in jsonl(lines)] == [f"m{n}" for n in range(5)]


async def test_messages_sent_at_once_all_have_their_place(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()

    told = await asyncio.gather(
        *(tenant.api.ok(f"/v1/conversation/{conversation}/send", {"text": str(n)}) for n in range(20))
    )

    listed = (await tenant.api.get(f"/v1/conversation/{conversation}/message/list?order=asc")).body["items"]
    assert {m["id"] for m in listed} == {t["id"] for t in told}
    assert len(listed) == 20


async def test_the_model_list_names_families_and_sizes(tenant: Tenant) -> None:
    page = (await tenant.api.get("/v1/platform/model/list?order=asc&take=2")).body
    rest = (await tenant.api.get(f"/v1/platform/model/list?order=asc&cursor={page['cursor']}")).body
    _, lines, _ = await tenant.api.raw("GET", "/api/v1/platform/model/list?order=asc", **JSONL)
    last = (await tenant.api.get(f"/v1/platform/model/list?order=asc&cursor={rest['cursor']}")).body

    assert [event["data"] for event in jsonl(lines)] == page["items"] + rest["items"]
    assert {event["type"] for event in jsonl(lines)} == {"item"}
    for model in page["items"] + rest["items"]:
        assert model["maxTokens"] == model["maxInputTokens"] + model["maxOutputTokens"]
        assert model.keys() >= {"id", "name", "provider", "family", "createdAt", "updatedAt"}
    listed = {model["id"]: model["provider"] for model in page["items"] + rest["items"]}
    assert (listed["gpt-5-mini"], listed["claude-opus-5-5"]) == ("openai", "anthropic")
    assert last == {"items": [], "cursor": ""}
