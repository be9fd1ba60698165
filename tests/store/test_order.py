"""The order of a task's runs: that of their acceptance, by no clock; what is made up for goes behind."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.task import Overlap
from store import Caps, Store
from store.held import hold
from tests.house import eventually
from tests.store.conftest import Desk
from tests.store.test_backfill import backfill
from tests.store.test_occurrences import due, end, fire, runs

PAST = datetime(2025, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


async def closed(desk: Desk) -> Desk:
    """The desk again, in a process that admits nobody."""
    return Desk(await Store.open(desk.store.database.url, Caps(0, 0, 0)), desk.account)


async def in_turn(desk: Desk, task: str) -> list[str]:
    """A task's runs in the order in which they have their turns; each is ended in its own."""
    had: list[str] = []
    while True:
        await desk.store.admission.admit()
        at_work = await desk.rows(
            "SELECT id FROM run WHERE task_id = $1 AND admitted_at IS NOT NULL AND ended_at IS NULL", task
        )
        if not at_work:
            return had
        assert len(at_work) == 1
        had.append(at_work[0]["id"])
        await end(desk, had[-1])


async def test_no_clock_that_goes_back_makes_runs_wait_for_each_other(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="buffer_all")
    shut = await closed(desk)
    for at in times:
        await fire(shut, task, at)
    made = await runs(desk, task)

    await desk.rows(
        "UPDATE run SET created_at = created_at - interval '1 minute' WHERE id = $1", made[1]["id"]
    )

    assert len({run["conversation_id"] for run in made}) == 1
    assert await in_turn(desk, task) == [run["id"] for run in made]
    await shut.store.close()


async def test_runs_that_go_in_order_wait_for_those_from_before_they_had_to(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="allow_all", session_duration=0)
    await fire(desk, task, times[0])
    await fire(desk, task, times[1])

    await desk.rows("UPDATE task SET overlap = 'buffer_all' WHERE id = $1", task)
    await fire(desk, task, times[2])

    first, second, third = await runs(desk, task)
    assert [run["admitted_at"] is not None for run in (first, second, third)] == [True, True, False]
    await end(desk, second["id"])
    assert await desk.store.admission.admit() == []
    await end(desk, first["id"])
    assert [plan.run_id for plan in await desk.store.admission.admit()] == [third["id"]]


@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "buffer_all", "cancel_other"])
async def test_what_is_due_goes_before_the_backfilled_runs_that_wait_and_leaves_them_be(
    desk: Desk, overlap: Overlap
) -> None:
    task, (at,) = await due(desk, 1, overlap=overlap)
    await backfill(desk, task, PAST, PAST + 2 * MINUTE)

    place = await fire(desk, task, at)

    first, second, third, live = [run["id"] for run in await runs(desk, task)]
    assert (place.run_id, place.admitted) == (live, False)
    assert await in_turn(desk, task) == [first, live, second, third]


async def test_a_backfilled_run_does_not_wait_for_those_that_overlap_after_it(desk: Desk) -> None:
    task, (at,) = await due(desk, 1, overlap="allow_all")
    await backfill(desk, task, PAST, PAST + MINUTE)
    await fire(desk, task, at)
    first, second, live = await runs(desk, task)

    await end(desk, first["id"])

    assert live["admitted_at"] is not None
    assert [plan.run_id for plan in await desk.store.admission.admit()] == [second["id"]]


async def test_a_backfilled_run_has_a_conversation_of_its_own(desk: Desk) -> None:
    task, times = await due(desk, 2, overlap="buffer_all")
    await fire(desk, task, times[0])
    await backfill(desk, task, PAST, PAST + MINUTE)
    await fire(desk, task, times[1])

    before, one, other, after = [run["conversation_id"] for run in await runs(desk, task)]

    assert before == after
    assert len({before, one, other}) == 3


async def test_a_run_that_is_made_while_a_backfilled_one_is_admitted_waits_for_that(desk: Desk) -> None:
    """Neither sees the other yet, and one of them may go."""
    task, (at,) = await due(desk, 1)
    shut = await closed(desk)
    await backfill(shut, task, PAST, PAST + MINUTE)
    first, second = await runs(desk, task)
    async with desk.store.database.connection() as other, other.transaction():
        await hold(other, first["id"])
        plan = await desk.store.admission.admit_next(other, first["conversation_id"], in_turn=True)
        firing = asyncio.create_task(fire(desk, task, at))

        async def waits() -> None:
            assert await desk.rows(
                "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )

        await eventually(waits)

    place = await firing

    assert plan is not None
    assert (plan.run_id, place.admitted) == (first["id"], False)
    assert await in_turn(desk, task) == [first["id"], place.run_id, second["id"]]
    await shut.store.close()
