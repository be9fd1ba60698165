"""Promise 11: each time that a task is due is run once, or the ledger says why not, whatever is down then."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.account import server
from domain.occurrences import between
from domain.schedule import Timing, parse
from tests.house import House, eventually
from tests.http import Api

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

JSON = dict[str, Any]
PERIOD = 4
QUICK = "[model calls=1 tool=_success args=summary:done]"
SLOW = "[model tokens=60 delay=50]"
EVERYTHING = ("api", "worker", "temporal", "postgres")


@pytest.fixture
async def house(house: House) -> AsyncIterator[House]:
    """Its API takes schedules of seconds; its tasks go with the test."""
    house.stop("api")
    house.start("api", HOLDFAST_SHORTEST_PERIOD_MS="1000")
    await house.ready()
    yield house
    async with house.api() as api:
        for row in await house.rows("SELECT id FROM task"):
            await api.ok(f"/v1/task/{row['id']}/delete", {})
    house.stop("api")


async def new(api: Api, what: str = QUICK, **more: Any) -> str:
    body = {"description": what, "every": PERIOD * 1_000, "overlap": "buffer_all", "sessionDuration": 0}
    return str((await api.ok("/v1/task/create", body | {"catchup": 60_000} | more))["id"])


async def ledger(house: House, task: str) -> list[Any]:
    """What became of each occurrence, and of its run."""
    return await house.rows(
        "SELECT o.*, r.begun_at, r.ended_at, r.state AS of_run "
        "FROM occurrence o LEFT JOIN run r ON r.id = o.run_id WHERE o.task_id = $1 ORDER BY o.at",
        task,
    )


async def ran(house: House, task: str, at_least: int, seconds: float = 120) -> list[Any]:
    """The ledger, once so many of its runs are over."""

    async def check() -> list[Any]:
        rows = await ledger(house, task)
        assert sum(row["ended_at"] is not None for row in rows) >= at_least
        return rows

    return await eventually(check, seconds)


async def ticks(count: int, after: datetime) -> None:
    """Until a task of the usual period has been due so often since."""

    async def check() -> None:
        assert datetime.now(UTC) > after + timedelta(seconds=PERIOD * count)

    await eventually(check, PERIOD * count + 5)


def complete(rows: list[Any], task: str, every: int = PERIOD) -> None:
    """Each expected occurrence between the first and the last row has one row and one run."""
    schedule = parse(Timing(every=every * 1_000), task, shortest=0)
    first, last = rows[0]["at"], rows[-1]["at"]
    expected = [one.at for one in between(schedule, first - timedelta(seconds=1), last)]
    assert [row["at"] for row in rows] == expected
    assert {row["state"] for row in rows} == {"ran"}
    assert len({row["run_id"] for row in rows}) == len(rows)


def in_order(rows: list[Any]) -> None:
    begun = [row["begun_at"] for row in rows if row["begun_at"] is not None]
    assert begun == sorted(begun)


async def test_what_was_due_while_all_was_down_is_run_once_each_late_and_in_order(
    house: House, api: Api
) -> None:
    task = await new(api, catchup=300_000)
    before = await ran(house, task, 1)
    for part in ("worker", "temporal"):
        house.kill(part)
    down = datetime.now(UTC)
    await ticks(3, down)
    for part in ("temporal", "worker"):
        house.start(part)

    rows = await ran(house, task, len(before) + 4)

    complete(rows, task)
    in_order(rows)
    late = [row for row in rows if row["decided_at"] - row["at"] > timedelta(seconds=PERIOD)]
    assert len(late) >= 2, rows


async def test_everything_is_killed_at_the_tick_and_each_time_has_its_run(house: House, api: Api) -> None:
    task = await new(api)
    (first, *_) = await ran(house, task, 1)
    tick = first["at"] + timedelta(seconds=3 * PERIOD)

    async def due() -> None:
        assert datetime.now(UTC) >= tick

    await eventually(due, 4 * PERIOD)
    for part in EVERYTHING:
        house.kill(part)
    for part in reversed(EVERYTHING):
        house.start(part, **({"HOLDFAST_SHORTEST_PERIOD_MS": "1000"} if part == "api" else {}))
    await house.ready()

    rows = await ran(house, task, 6)

    complete(rows, task)
    assert tick in {row["at"] for row in rows}


async def test_what_was_due_before_a_change_during_an_outage_is_still_run(house: House, api: Api) -> None:
    task = await new(api)
    before = await ran(house, task, 1)
    house.kill("temporal")
    await ticks(2, datetime.now(UTC))
    await api.ok(f"/v1/task/{task}/update", {"every": 3_000, "overlap": "buffer_all"})
    ((changed,),) = await house.rows("SELECT updated_at FROM task WHERE id = $1", task)
    house.start("temporal")

    rows = await ran(house, task, len(before) + 6)

    old = [row for row in rows if row["at"] <= changed]
    complete(old, task)
    new_ones = [row for row in rows if row["at"] > changed]
    assert len(new_ones) >= 2
    complete(new_ones, task, 3)


async def test_a_schedule_that_was_deleted_behind_our_back_is_healed_within_two_minutes(
    house: House, api: Api
) -> None:
    task = await new(api)
    before = await ran(house, task, 1)
    client = await house.temporal()
    schedule = client.get_schedule_handle(ids.task_schedule(task))
    await schedule.delete()

    async def back() -> None:
        assert (await schedule.describe()).schedule.spec.intervals

    async def there() -> None:
        try:
            await back()
        except Exception as error:
            raise AssertionError("not there yet") from error

    await eventually(there, 120)
    rows = await ran(house, task, len(before) + 2)

    decided = [row for row in rows if row["state"] != "due"]
    assert all(row["state"] in ("ran", "missed") for row in decided)
    in_order(decided)


async def test_a_run_whose_turn_came_when_nobody_could_tell_its_plan_begins(house: House, api: Api) -> None:
    endless = "[model tokens=4000 delay=50]"
    task = await new(api, endless, every=2_000, overlap="allow_all", sessionDuration=3_600_000)

    async def one_waits() -> list[Any]:
        rows = [row for row in await ledger(house, task) if row["run_id"] is not None]
        assert [row["begun_at"] is not None for row in rows[:2]] == [True, False]
        return rows

    first, second = (await eventually(one_waits))[:2]
    await api.ok(f"/v1/task/{task}/pause", {})
    house.kill("worker")
    # This process admits the next one of the conversation, and tells nobody.
    stopped = await house.store.turns.cancel(server(house.account), first["run_id"])
    assert stopped.start is not None
    assert stopped.start.run_id == second["run_id"]
    house.start("worker")

    async def begun() -> None:
        (row,) = await house.rows("SELECT begun_at FROM run WHERE id = $1", second["run_id"])
        assert row["begun_at"] is not None

    await eventually(begun)


async def test_a_slow_run_meets_the_next_time_as_its_policy_has_it(house: House, api: Api) -> None:
    tasks = {
        overlap: await new(api, SLOW, every=2_000, overlap=overlap)
        for overlap in ("skip", "buffer_one", "buffer_all", "cancel_other", "allow_all")
    }

    async def met() -> dict[str, list[Any]]:
        found = {overlap: await ledger(house, task) for overlap, task in tasks.items()}
        assert all(len(rows) >= 6 for rows in found.values())
        return found

    found = await eventually(met)
    for task in tasks.values():
        await api.ok(f"/v1/task/{task}/pause", {})

    def states(overlap: str) -> set[str]:
        return {" ".join(filter(None, (row["state"], row["reason"]))) for row in found[overlap]} - {"due"}

    assert states("skip") == states("buffer_one") == {"ran", "skipped overlap"}
    assert states("buffer_all") == states("cancel_other") == states("allow_all") == {"ran"}
    assert any(row["of_run"] == "canceled" for row in found["cancel_other"])
    for overlap in ("skip", "buffer_one", "buffer_all", "cancel_other"):
        together = await house.rows(
            "SELECT a.id FROM run a JOIN run b ON b.task_id = a.task_id AND b.id <> a.id "
            "WHERE a.task_id = $1 AND a.begun_at > b.begun_at "
            "AND a.begun_at < coalesce(b.ended_at, clock_timestamp())",
            tasks[overlap],
        )
        assert not together, overlap
