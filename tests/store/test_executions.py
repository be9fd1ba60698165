"""Executions as the store keeps them: for 90 days, and without words of what is gone."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import ids
from domain.paging import PAGE_BYTES, Page
from store.executions import ExecutionFilter
from tests.crash.witness import tables_with
from tests.executions import new_execution
from tests.store.conftest import Desk
from tests.tasks import new_task

EVERYTHING = ExecutionFilter(meta={})


async def kept(desk: Desk, task: str) -> list[str]:
    return [one.id for one in await desk.store.executions.list(desk.account, task, Page(), EVERYTHING)]


async def test_an_execution_goes_after_90_days_and_its_run_stays(desk: Desk) -> None:
    task, now = await new_task(desk.store, desk.account), datetime.now(UTC)
    made = [
        await new_execution(desk.store, task, created_at=now - timedelta(days=days)) for days in (89, 91, 400)
    ]

    await desk.store.upkeep.tidy(365)

    assert await kept(desk, task) == made[:1]
    assert len(await desk.rows("SELECT FROM run WHERE task_id = $1", task)) == 3


async def test_more_than_a_batch_of_old_executions_goes_in_one_round(desk: Desk) -> None:
    task, old = await new_task(desk.store, desk.account), datetime(2020, 1, 1, tzinfo=UTC)
    run = await new_execution(desk.store, task, created_at=old)
    columns = "account_id, task_id, kind, lane, state, conversation_id, channel_id, workflow_id, fingerprint"
    await desk.rows(
        f"INSERT INTO run (id, {columns}, keyed, begun_at, ended_at)"  # noqa: S608 our own words
        f" SELECT id || '_' || n, {columns}, keyed, begun_at, ended_at FROM run, generate_series(1, 1100) n"
        " WHERE id = $1",
        run,
    )
    await desk.rows(
        "INSERT INTO execution (id, task_id, created_at)"
        " SELECT id, task_id, $2 FROM run WHERE task_id = $1 ON CONFLICT DO NOTHING",
        task,
        old,
    )

    await desk.store.upkeep.tidy(365)

    assert await desk.rows("SELECT FROM execution") == []


async def test_one_that_has_not_ended_is_kept_however_old_it_is(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    made = await new_execution(desk.store, task, "running", created_at=datetime(2020, 1, 1, tzinfo=UTC))

    await desk.store.upkeep.tidy(365)

    assert await kept(desk, task) == [made]


async def test_with_a_conversation_goes_what_executions_say_of_it(desk: Desk) -> None:
    task, conversation = await new_task(desk.store, desk.account), await desk.conversation()
    words: dict[str, Any] = {"name": "canary", "description": "canary", "summary": "canary"}
    gone = await new_execution(desk.store, task, run={"conversation_id": conversation}, **words)
    stays = await new_execution(desk.store, task, run={"conversation_id": await desk.conversation()}, **words)

    await desk.store.conversations.delete(desk.caller, conversation)

    found = {one.id: one for one in await desk.store.executions.list(desk.account, task, Page(), EVERYTHING)}
    assert "canary" not in found[gone].model_dump_json()
    assert (found[gone].conversation_id, found[gone].outcome) == (conversation, "success")
    assert (found[stays].name, found[stays].summary) == ("canary", "canary")


async def waiting(desk: Desk, task: str) -> str:
    """A run of a task that may begin, in a conversation of its own."""
    run = await desk.admitted()
    await desk.rows(
        "UPDATE run SET kind = 'task_run', lane = 'background', task_id = $2 WHERE id = $1", run, task
    )
    return run


async def test_what_a_run_is_told_of_one_whose_conversation_is_just_deleted_goes_too(desk: Desk) -> None:
    for _ in range(20):
        task, conversation = await new_task(desk.store, desk.account), await desk.conversation()
        word = ids.new("canary")
        last = await new_execution(desk.store, task, run={"conversation_id": conversation}, summary=word)
        run = await waiting(desk, task)

        await asyncio.gather(desk.taken(run), desk.store.conversations.delete(desk.caller, conversation))

        assert await tables_with(desk.rows, word) == []
        (row,) = await desk.rows("SELECT state, last_run_id FROM run WHERE id = $1", run)
        assert tuple(row) == ("running", last)


async def test_a_page_of_long_summaries_is_short_and_the_next_goes_on_after_it(desk: Desk) -> None:
    task, long = await new_task(desk.store, desk.account), "x" * (PAGE_BYTES // 2)
    made = [await new_execution(desk.store, task, summary=long) for _ in range(4)]

    pages: list[list[str]] = []
    while not pages or pages[-1]:
        page = Page(cursor=pages[-1][-1] if pages else None)
        found = await desk.store.executions.list(desk.account, task, page, EVERYTHING)
        pages.append([one.id for one in found])

    assert pages == [made[:1:-1], made[1::-1], []]


async def test_executions_go_with_their_task(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    await new_execution(desk.store, task)

    await desk.rows("DELETE FROM task WHERE id = $1", task)

    assert await desk.rows("SELECT FROM execution") == []
