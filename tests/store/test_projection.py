"""Which tasks Temporal has to be told of, which it should know, and which are overdue."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from domain import ids
from store.projection import BATCH, Overdue
from tests.store.conftest import Desk
from tests.tasks import new_task

HOURLY = {"schedule": "hourly"}


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


async def new(desk: Desk, **columns: Any) -> str:
    return await new_task(desk.store, desk.account, **HOURLY | columns)


async def untold(desk: Desk) -> set[str]:
    """The tasks that are to be told, claimed by nobody for this."""
    rows = await desk.rows("SELECT id FROM task WHERE untold_at IS NOT NULL")
    return {row["id"] for row in rows}


async def occurrence(desk: Desk, task: str, at: datetime, state: str, *, healed: bool = False) -> None:
    run, reason = ids.run() if state == "ran" else None, "overlap" if state == "skipped" else None
    await desk.rows(
        "INSERT INTO occurrence (task_id, key, at, state, run_id, reason, healed, decided_at) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, CASE WHEN $4 <> 'due' THEN now() END)",
        *(task, at.isoformat(), at, state, run, reason, healed),
    )


async def overdue(desk: Desk) -> dict[str, Overdue]:
    found, after = dict[str, Overdue](), None
    while some := await desk.store.projection.overdue(after):
        found |= {one.task_id: one for one in some}
        after = some[-1]
    return found


async def test_each_untold_task_is_claimed_by_one(desk: Desk) -> None:
    due = {await new(desk, untold_at=ago(1)) for _ in range(5)}
    await new(desk)
    await new(desk, untold_at=ago(-60))

    claims = await asyncio.gather(*(desk.store.projection.untold() for _ in range(3)))

    claimed = [task.id for claim in claims for task in claim]
    assert len(claimed) == 5
    assert {*claimed} == due
    assert await desk.store.projection.untold() == []


async def test_a_claim_that_nobody_answers_for_is_made_again_and_takes_no_more_than_a_batch(
    desk: Desk,
) -> None:
    for _ in range(BATCH + 1):
        await new(desk, untold_at=ago(1))

    first = await desk.store.projection.untold()
    rest = await desk.store.projection.untold()
    await desk.rows("UPDATE task SET untold_at = untold_at - interval '6 seconds'")
    again = await desk.store.projection.untold()

    assert (len(first), len(rest), len(again)) == (BATCH, 1, BATCH)


async def test_what_changed_while_it_was_told_is_told_again(desk: Desk) -> None:
    changed, same = await new(desk, untold_at=ago(1)), await new(desk, untold_at=ago(1))
    claimed = await desk.store.projection.untold()
    await desk.rows(
        "UPDATE task SET revision = revision + 1, untold_at = clock_timestamp() WHERE id = $1", changed
    )

    for task in claimed:
        await desk.store.projection.told(task)

    assert await untold(desk) == {changed}
    (task,) = await desk.store.projection.untold()
    assert (task.id, task.revision) == (changed, 2)
    await desk.store.projection.later(task)
    assert await desk.store.projection.untold() == []
    assert same not in await untold(desk)


async def test_tasks_that_are_gone_are_claimed_until_their_schedules_are(desk: Desk) -> None:
    task = ids.task()
    await desk.rows("INSERT INTO task_gone VALUES ($1)", task)

    claims = await asyncio.gather(*(desk.store.projection.gone() for _ in range(3)))
    await desk.rows("UPDATE task_gone SET at = at - interval '6 seconds'")
    again = await desk.store.projection.gone()
    await desk.store.projection.dropped(task)

    assert sorted(claims) == [[], [], [task]]
    assert again == [task]
    assert await desk.rows("SELECT FROM task_gone") == []


async def test_who_is_told_anew_is_not_waited_for_and_has_not_changed_since(desk: Desk) -> None:
    held, free, put_off = await new(desk), await new(desk), await new(desk, untold_at=ago(-60))
    changed = await new(desk)
    wanted = await desk.store.projection.wanted()
    await desk.rows("UPDATE task SET revision = 2 WHERE id = $1", changed)
    async with desk.store.database.connection() as connection, connection.transaction():
        await connection.execute("SELECT FROM task WHERE id = $1 FOR NO KEY UPDATE", held)
        await desk.store.projection.again([wanted[task] for task in (held, free, put_off, changed)])

    assert await untold(desk) == {free, put_off}
    assert [task.id for task in await desk.store.projection.untold()] == [free]


async def test_who_is_due_again_should_have_a_schedule_and_nobody_else(desk: Desk) -> None:
    due, paused = await new(desk), await new(desk, paused_at=ago(1))
    over, never = await new(desk, next_at=None), await new(desk, schedule="never", next_at=None)
    changing = await new(desk, untold_at=ago(1))
    nobody = ids.task()

    wanted = await desk.store.projection.wanted()
    unwanted = await desk.store.projection.unwanted([due, over, never, nobody, paused])

    assert {*wanted} == {due, paused, changing}
    assert {one.task_id: (one.paused, one.told) for one in wanted.values()} == {
        due: (False, True),
        paused: (True, True),
        changing: (False, False),
    }
    assert wanted[due].note(2027) == "revision 1"
    assert {*unwanted} == {over, never, nobody}


async def test_a_task_is_overdue_half_a_minute_after_its_time_and_its_jitter(desk: Desk) -> None:
    late = await new(desk, next_at=ago(40))
    await new(desk, next_at=ago(20))
    await new(desk, next_at=ago(40), jitter=60_000)
    spread = await new(desk, next_at=ago(100), jitter=60_000)
    paused = await new(desk, next_at=ago(40), paused_at=ago(50))
    half = await new(desk, next_at=ago(-60))
    await occurrence(desk, half, ago(40), "due")
    not_yet = await new(desk, next_at=ago(-60), jitter=60_000)
    await occurrence(desk, not_yet, ago(40), "due")

    found = await overdue(desk)

    assert {*found} == {late, spread, paused, half}
    assert {task for task, one in found.items() if one.paused} == {paused}


async def test_the_longest_overdue_come_first_and_each_once(desk: Desk) -> None:
    tasks = [await new(desk, next_at=ago(1_000 - n)) for n in range(BATCH + 5)]
    await occurrence(desk, tasks[3], ago(5_000), "due")

    found = await overdue(desk)

    assert [*found] == [tasks[3], *(task for task in tasks if task != tasks[3])]


async def test_it_is_known_whether_nothing_fired_the_last_time_either(desk: Desk) -> None:
    tasks = {
        "nothing yet": (),
        "fired": (("ran", True), ("ran", False)),
        "not fired": (("ran", False), ("ran", True)),
        "missed": (("ran", False), ("missed", False)),
        "skipped after": (("ran", True), ("skipped", False)),
    }
    made = dict[str, str]()
    for name, became in tasks.items():
        task = await new(desk, next_at=ago(40))
        made[task] = name
        for n, (state, healed) in enumerate(became):
            await occurrence(desk, task, ago(100 - n), state, healed=healed)

    found = await overdue(desk)

    assert {made[task] for task, one in found.items() if one.again} == {
        "not fired",
        "missed",
        "skipped after",
    }


async def test_of_a_paused_task_nobody_asks_whether_nothing_fired_the_last_time_either(desk: Desk) -> None:
    task = await new(desk, next_at=ago(40), paused_at=ago(50))
    await occurrence(desk, task, ago(100), "missed")

    found = await overdue(desk)

    assert (found[task].paused, found[task].again) == (True, False)
