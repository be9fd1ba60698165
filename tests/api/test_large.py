"""Much of what is large: pages and turns are bounded in bytes, and meta does not grow without end."""

from __future__ import annotations

from itertools import chain
from typing import Any

import pytest

from domain.errors import TooLong
from domain.meta import META_BYTES
from domain.paging import PAGE_BYTES
from tests.api.test_streams import JSONL, jsonl
from tests.tenant import Tenant

FILL = """
WITH made AS (
    INSERT INTO message (id, conversation_id, seq, key, type, text)
    SELECT 'msg_' || $1 || n, $1, n, n, 'user', CASE n WHEN 3 THEN 'small' ELSE repeat('中', 999000) END
    FROM generate_series(1, $2) AS n RETURNING id, seq
), counted AS (
    UPDATE conversation SET messages = $2 WHERE id = $1
)
SELECT id FROM made ORDER BY seq
"""
"""So many messages, of three megabytes each but for the third."""


@pytest.fixture
async def large(tenant: Tenant) -> tuple[str, list[str]]:
    """The path of a conversation's messages, and five of them."""
    conversation = await tenant.api.conversation()
    rows = await tenant.house.rows(FILL, conversation, 5)
    return f"/v1/conversation/{conversation}/message", [row["id"] for row in rows]


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_a_page_of_large_items_is_shorter_than_asked_for_and_goes_on_from_its_cursor(
    tenant: Tenant, large: tuple[str, list[str]], order: str
) -> None:
    path, made = large
    pages: list[list[str]] = []
    cursor = ""
    while True:
        body = (await tenant.api.get(f"{path}/list?take=100&order={order}&cursor={cursor}")).body
        cursor = body["cursor"]
        if not body["items"]:
            break
        pages.append([item["id"] for item in body["items"]])
        size = sum(len(item["text"].encode()) for item in body["items"][:-1])
        assert size < PAGE_BYTES

    assert [*chain.from_iterable(pages)] == (made if order == "asc" else made[::-1])
    assert len(pages) == 2


@pytest.mark.parametrize("take", [None, 4])
async def test_a_stream_of_large_items_has_them_all_or_as_many_as_asked_for(
    tenant: Tenant, large: tuple[str, list[str]], take: int | None
) -> None:
    path, made = large

    answer = await tenant.api.raw("GET", f"{path}/list?order=asc{f'&take={take}' if take else ''}", **JSONL)

    assert [line["data"]["id"] for line in jsonl(answer.body)] == made[:take]


@pytest.mark.parametrize("kind", ["bot", "contact", "conversation", "secret", "message"])
async def test_meta_is_merged_up_to_its_bound_and_no_further(tenant: Tenant, kind: str) -> None:
    path, body = f"/v1/{kind}", {}
    if kind == "message":
        path = f"/v1/conversation/{await tenant.api.conversation()}/message"
        body = {"type": "user", "text": "x"}
    half: dict[str, Any] = {"a": "x" * (META_BYTES // 2)}
    made = (await tenant.api.ok(f"{path}/create", body | {"meta": half}))["id"]
    here = f"{path}/{made}"

    status, refused, _ = await tenant.api.post(f"{here}/update", {"meta": {"b": half["a"]}})
    assert (status, refused["code"]) == (400, "BAD_REQUEST")
    assert str(META_BYTES) in refused["message"]
    assert (await tenant.api.get(f"{here}/fetch")).body["meta"] == half
    await tenant.api.ok(f"{here}/update", {"meta": {"a": "y"}})
    await tenant.api.ok(f"{here}/update", {"meta": {"b": half["a"]}})

    status, refused, _ = await tenant.api.post(f"{path}/create", body | {"meta": {"a": "x" * META_BYTES}})
    assert (status, refused["code"]) == (400, "BAD_REQUEST")
    assert f"meta: Value error, larger than {META_BYTES} bytes" in refused["message"]


async def test_a_turn_that_would_read_too_much_fails_before_it_reads_and_says_so(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    await tenant.house.rows(FILL, conversation, 8)

    answer = await tenant.api.post(f"/v1/conversation/{conversation}/complete", {"text": "hi"})

    assert (answer.status, answer.body["code"]) == (422, TooLong.code)
    assert answer.body["message"] == TooLong().message
    kept = (await tenant.api.get(f"/v1/conversation/{conversation}/message/list?take=1")).body["items"]
    assert [item["text"] for item in kept] == ["hi"]
    assert (await tenant.api.get(f"/v1/run/{answer.body['runId']}/fetch")).body["steps"] == []
