"""Who a conversation is held with: upserted from the conversation, and listed by the contact."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.api.test_audit import told
from tests.api.test_streams import JSONL, jsonl
from tests.tenant import Tenant


async def upserted(tenant: Tenant, conversation: str, **fields: Any) -> str:
    answer = await tenant.api.ok(f"/v1/conversation/{conversation}/contact/upsert", fields)
    assert answer.keys() == {"id"}
    linked = (await tenant.api.get(f"/v1/conversation/{conversation}/fetch")).body["contactId"]
    assert linked == answer["id"]
    found: str = linked
    return found


async def contact(tenant: Tenant, id_: str) -> dict[str, Any]:
    found: dict[str, Any] = (await tenant.api.get(f"/v1/contact/{id_}/fetch")).body
    return found


async def test_a_fingerprint_finds_or_makes_the_contact_and_changes_what_is_given(tenant: Tenant) -> None:
    one, other = await tenant.api.conversation(), await tenant.api.conversation()
    full = {
        "fingerprint": "f",
        "name": "n",
        "email": "a@b.c",
        "phone": "+44 1",
        "nick": "k",
        "meta": {"a": 1},
    }

    made = await upserted(tenant, one, **full)
    before = await contact(tenant, made)
    again = await upserted(tenant, other, fingerprint="f", name="m", nick=None, meta={"b": 2})

    after = await contact(tenant, made)
    assert again == made
    assert {name: before[name] for name in full} == full
    assert {name: after.get(name) for name in full} == full | {
        "name": "m",
        "nick": None,
        "meta": {"a": 1, "b": 2},
    }
    assert (await tenant.belongings())["contact"] == 1


async def test_without_a_fingerprint_it_is_the_conversations_own_contact(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()

    made = await upserted(tenant, conversation, name="n", email="a@b.c")
    again = await upserted(tenant, conversation, name="m", fingerprint=None)

    found = await contact(tenant, made)
    assert again == made
    assert (found["name"], found["email"], found["fingerprint"]) == ("m", "a@b.c", made)
    assert (await tenant.belongings())["contact"] == 1


async def test_a_fingerprint_links_the_conversation_whomever_it_had(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation(contactId={"fingerprint": "old", "name": "old"})
    old = (await tenant.api.get(f"/v1/conversation/{conversation}/fetch")).body["contactId"]

    new = await upserted(tenant, conversation, fingerprint="new", name="new")

    assert new != old
    assert (await contact(tenant, old))["name"] == "old"


async def test_an_upsert_is_told_for_what_it_did(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    acts = ("contact.create", "contact.update", "conversation.update")

    made = await upserted(tenant, conversation, fingerprint="f")
    await upserted(tenant, conversation, name="m")
    await upserted(tenant, conversation)

    both = {"conversationId": conversation, "contactId": made}
    entries = [told(entry) for entry in await tenant.acts(*acts)]
    # Two of one moment have no order.
    assert sorted(entries[:2]) == [("contact.create", {"contactId": made}), ("conversation.update", both)]
    assert entries[2:] == [("contact.update", {"contactId": made})]


@pytest.mark.parametrize("fields", [{"name": "n"}, {"fingerprint": "f", "name": "n"}])
async def test_upserts_at_once_agree_on_one_contact(tenant: Tenant, fields: dict[str, Any]) -> None:
    conversation = await tenant.api.conversation()
    path = f"/v1/conversation/{conversation}/contact/upsert"

    answers = await asyncio.gather(*(tenant.api.ok(path, fields) for _ in range(10)))

    assert len({answer["id"] for answer in answers}) == 1
    assert (await tenant.belongings())["contact"] == 1


async def test_conversations_that_meet_the_same_stranger_at_once_share_one_contact(tenant: Tenant) -> None:
    conversations = [await tenant.api.conversation() for _ in range(10)]

    found = await asyncio.gather(*(upserted(tenant, one, fingerprint="f", name=one) for one in conversations))

    assert len({*found}) == 1
    assert (await tenant.belongings())["contact"] == 1


async def test_a_contact_deleted_during_an_upsert_is_made_anew_or_found(tenant: Tenant) -> None:
    for n in range(10):
        conversation = await tenant.api.conversation()
        fields = {"name": "n"} | ({"fingerprint": f"f{n}"} if n % 2 else {})
        made = await upserted(tenant, conversation, **fields)

        answers = await asyncio.gather(
            tenant.api.post(f"/v1/contact/{made}/delete"),
            *(tenant.api.post(f"/v1/conversation/{conversation}/contact/upsert", fields) for _ in range(3)),
        )

        assert {answer.status for answer in answers} == {200}


async def test_the_conversations_of_a_contact_are_listed_page_by_page(tenant: Tenant) -> None:
    made = (await tenant.api.ok("/v1/contact/create"))["id"]
    mine = [await tenant.api.conversation(contactId=made, meta={"n": str(n)}) for n in range(3)]
    await tenant.api.conversation()
    url = f"/v1/contact/{made}/conversation/list"

    page = (await tenant.api.get(f"{url}?take=2")).body
    rest = (await tenant.api.get(f"{url}?take=2&cursor={page['cursor']}")).body
    _, lines, _ = await tenant.api.raw("GET", f"{url}?order=asc", **JSONL)
    narrowed = (await tenant.api.get(f"{url}?meta.n=1")).body["items"]

    assert [item["id"] for item in page["items"] + rest["items"]] == mine[::-1]
    assert {item["contactId"] for item in page["items"]} == {made}
    assert [event["data"]["id"] for event in jsonl(lines)] == mine
    assert [item["id"] for item in narrowed] == [mine[1]]
