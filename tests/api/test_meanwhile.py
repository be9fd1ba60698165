"""What a call names may be deleted at the same moment: it is there for the whole call, or not at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import product
from typing import Any

import asyncpg
import pytest

from tests.house import House, eventually
from tests.http import Answer, Api

ROUNDS = 8
WAITS = "SELECT FROM pg_locks WHERE NOT granted AND transactionid = (SELECT $1::text::xid)"


@asynccontextmanager
async def deleting(house: House, table: str, id_: str) -> AsyncIterator[asyncpg.Connection]:
    """Inside, somebody has deleted the row and not committed it."""
    connection = await asyncpg.connect(house.database_url)
    try:
        await connection.execute("BEGIN")
        await connection.execute(f"DELETE FROM {table} WHERE id = $1", id_)  # noqa: S608
        yield connection
        await connection.execute("COMMIT")
    finally:
        await connection.close()


async def met(house: House, table: str, id_: str, call: Any) -> Answer:
    """The answer to a call that found the row while it was being deleted."""
    async with deleting(house, table, id_) as connection:
        xid = await connection.fetchval("SELECT pg_current_xact_id()::xid::text")
        answer = asyncio.create_task(call)

        async def waits() -> None:
            assert await house.rows(WAITS, xid)

        await eventually(waits)
    result: Answer = await answer
    return result


@pytest.mark.parametrize(
    ("kind", "act"),
    [
        *product(("bot", "contact", "skillset"), ("create", "update", "complete")),
        *product(("task",), ("create", "update")),
    ],
)
async def test_who_names_what_is_being_deleted_waits_and_is_told_that_it_is_gone(
    house: House, api: Api, kind: str, act: str
) -> None:
    id_ = (await api.ok(f"/v1/{kind}/create"))["id"]
    path, body = f"/v1/conversation/{act}", {f"{kind}Id": id_}
    if act == "update":
        path = f"/v1/conversation/{await api.conversation()}/update"
    if act == "complete":
        body |= {"messages": [{"type": "user", "text": "x"}]}

    answer = await met(house, kind, id_, api.post(path, body))

    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
    assert answer.body["message"] == f"{kind}Id: no such {kind} in this account."


async def test_deletes_among_calls_that_name_what_is_deleted_end_well_for_everybody(api: Api) -> None:
    for _ in range(ROUNDS):
        nouns = ("bot", "contact", "skillset")
        bot, contact, skillset = [(await api.ok(f"/v1/{noun}/create"))["id"] for noun in nouns]
        names = {"botId": bot, "contactId": contact, "skillsetId": skillset}
        conversation = await api.conversation(**names)
        first = {"messages": [{"type": "user", "text": "x"}]}

        answers = await asyncio.gather(
            api.post(f"/v1/conversation/{conversation}/update", dict.fromkeys(names)),
            api.post(f"/v1/conversation/{conversation}/update", names),
            api.post(f"/v1/bot/{bot}/delete"),
            api.post(f"/v1/contact/{contact}/delete"),
            api.post(f"/v1/bot/{bot}/update", {"skillsetId": skillset}),
            api.post(f"/v1/bot/{bot}/clone"),
            api.post(f"/v1/skillset/{skillset}/delete"),
            api.post(f"/v1/conversation/{conversation}/update", names),
            api.post("/v1/conversation/create", names | first),
            api.post(f"/v1/bot/{bot}/session/create"),
            api.post("/v1/conversation/dispatch", names | first),
            api.post(f"/v1/conversation/{conversation}/dispatch", {"text": "x"}),
        )

        assert {answer.status for answer in answers} <= {200, 404}, answers


@pytest.mark.parametrize("kind", ["bot", "contact"])
@pytest.mark.parametrize("act", ["create", "update"])
async def test_a_task_that_names_what_is_being_deleted_waits_and_is_told_that_it_is_gone(
    house: House, api: Api, kind: str, act: str
) -> None:
    id_ = (await api.ok(f"/v1/{kind}/create"))["id"]
    path = "/v1/task/create"
    if act == "update":
        path = f"/v1/task/{(await api.ok(path))['id']}/update"

    answer = await met(house, kind, id_, api.post(path, {f"{kind}Id": id_}))

    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
    assert answer.body["message"] == f"{kind}Id: no such {kind} in this account."


async def test_a_task_is_changed_stopped_and_deleted_among_its_bot_contact_and_conversations(
    api: Api,
) -> None:
    for _ in range(ROUNDS):
        bot, contact = [(await api.ok(f"/v1/{noun}/create"))["id"] for noun in ("bot", "contact")]
        who = {"botId": bot, "contactId": contact}
        task = (await api.ok("/v1/task/create", who | {"schedule": "daily"}))["id"]
        conversations = [await api.conversation(taskId=task, **who) for _ in range(3)]

        answers = await asyncio.gather(
            api.post(f"/v1/task/{task}/update", who | {"schedule": "hourly"}),
            api.post(f"/v1/task/{task}/update", dict.fromkeys(who)),
            api.post(f"/v1/task/{task}/update", {"schedule": "07:30", "timezone": "Asia/Tokyo"}),
            api.post(f"/v1/task/{task}/cancel"),
            api.post(f"/v1/bot/{bot}/delete"),
            api.post(f"/v1/contact/{contact}/delete"),
            api.post(f"/v1/task/{task}/delete"),
            api.post("/v1/conversation/create", who | {"taskId": task}),
            api.post(f"/v1/conversation/{conversations[0]}/update", {"taskId": task}),
            api.post(f"/v1/conversation/{conversations[1]}/delete"),
            api.post(f"/v1/conversation/{conversations[2]}/dispatch", {"text": "x"}),
        )

        assert {answer.status for answer in answers} <= {200, 404}, answers
