"""The ledger: each time a task is due is decided once, whoever finds it, in the order of the times."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.accept import Work
from domain.events import token
from domain.plans import Place
from domain.run import Asked, Ending
from domain.task import Overlap
from domain.zones import changes
from store import Caps, Quotas, Store
from store.ending import stop
from store.held import hold
from tests.store.conftest import Desk, key
from tests.store.test_limits import limited, used
from tests.tasks import new_task

MINUTE = 60_000
HOUR = timedelta(hours=1)


def ago(minutes: float) -> datetime:
    """A whole minute that is so long past."""
    return datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=minutes)


async def due(desk: Desk, count: int, **more: Any) -> tuple[str, list[datetime]]:
    """A task that has been due so many times, once a minute, and nobody has decided."""
    times = [ago(count - n) for n in range(count)]
    given = {"schedule": "* * * * *", "catchup": 86_400_000, "next_at": times[0]} | more
    return await new_task(desk.store, desk.account, **given), times


async def hourly(desk: Desk, count: int, **more: Any) -> tuple[str, datetime]:
    """A task that was due once an hour, so many times, the last one five minutes ago."""
    last = ago(5)
    given = {"schedule": f"{last:%M} * * * *", "overlap": "buffer_all", "next_at": last - (count - 1) * HOUR}
    return await new_task(desk.store, desk.account, **given | more), last


async def fire(desk: Desk, task: str, at: datetime, workflow: str | None = None) -> Place:
    place, _ = await desk.store.ledger.fire(task, at, workflow or f"{ids.scheduled_workflows(task)}-{at}")
    return place


async def became(desk: Desk, task: str) -> list[str]:
    """What became of each occurrence, in the order of their times."""
    rows = await desk.rows(
        "SELECT concat_ws(' ', state, reason) AS became FROM occurrence WHERE task_id = $1 ORDER BY at", task
    )
    return [row["became"] for row in rows]


async def runs(desk: Desk, task: str) -> list[Any]:
    return await desk.rows(
        "SELECT r.*, e.due_at FROM run r JOIN execution e ON e.id = r.id "
        "WHERE r.task_id = $1 ORDER BY r.created_at",
        task,
    )


async def end(desk: Desk, run: str, state: Any = "failed") -> None:
    async def work(connection: Any) -> None:
        held = await hold(connection, run)
        assert held is not None
        await stop(connection, held, Ending(state=state, code="ERROR", message="no"))

    await desk.store.database.transact(work)


async def test_a_firing_has_one_run_however_often_it_is_asked(desk: Desk) -> None:
    task, (at,) = await due(desk, 1)

    places = await asyncio.gather(*(fire(desk, task, at, "w") for _ in range(5)))

    (run,) = await runs(desk, task)
    assert {place.run_id for place in places} == {run["id"]}
    assert (run["kind"], run["lane"], run["workflow_id"], run["due_at"]) == ("task_run", "scheduled", "w", at)
    assert places[0].admitted
    assert await became(desk, task) == ["ran"]


async def test_who_fires_first_decides_what_was_due_before_in_the_order_of_the_times(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="buffer_all")

    last = await fire(desk, task, times[2], "last")
    first = await fire(desk, task, times[0], "first")

    made = await runs(desk, task)
    assert [run["due_at"] for run in made] == times
    assert [run["admitted_at"] is not None for run in made] == [True, False, False]
    assert (last.run_id, last.admitted) == (made[2]["id"], False)
    assert first.run_id is None, "its run has a plan of its own already"


@pytest.mark.parametrize(
    ("overlap", "expected", "states"),
    [
        ("skip", ["ran", "skipped overlap", "skipped overlap"], ["queued"]),
        ("buffer_one", ["ran", "ran", "skipped overlap"], ["queued", "queued"]),
        ("buffer_all", ["ran", "ran", "ran"], ["queued"] * 3),
        ("cancel_other", ["ran", "ran", "ran"], ["canceled", "canceled", "queued"]),
        ("allow_all", ["ran", "ran", "ran"], ["queued"] * 3),
    ],
)
async def test_the_policy_decides_what_becomes_of_a_time_that_meets_a_run(
    desk: Desk, overlap: Overlap, expected: list[str], states: list[str]
) -> None:
    task, times = await due(desk, 3, overlap=overlap, session_duration=0)

    for at in times:
        await fire(desk, task, at)

    assert await became(desk, task) == expected
    made = await runs(desk, task)
    assert [run["state"] for run in made] == states
    at_work = [run for run in made if run["admitted_at"] is not None and run["ended_at"] is None]
    assert len(at_work) == (3 if overlap == "allow_all" else 1)


async def test_runs_that_share_a_conversation_go_one_at_a_time_under_every_policy(desk: Desk) -> None:
    task, times = await due(desk, 2, overlap="allow_all")

    for at in times:
        await fire(desk, task, at)

    made = await runs(desk, task)
    assert len({run["conversation_id"] for run in made}) == 1
    assert [run["admitted_at"] is not None for run in made] == [True, False]


async def test_a_run_that_waited_begins_when_the_one_before_it_is_over(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="buffer_all", session_duration=0)
    for at in times:
        await fire(desk, task, at)
    first, second, third = await runs(desk, task)

    assert await desk.store.admission.admit() == []
    await end(desk, first["id"])
    (plan,) = await desk.store.admission.admit()

    assert (plan.run_id, plan.kind, plan.task_id) == (second["id"], "task_run", task)
    assert await desk.store.admission.admit() == []
    await end(desk, second["id"])
    assert [plan.run_id for plan in await desk.store.admission.admit()] == [third["id"]]


async def test_what_is_later_than_it_may_be_is_missed_and_said(desk: Desk) -> None:
    task, last = await hourly(desk, 5, catchup=150 * MINUTE)

    await fire(desk, task, last)

    assert await became(desk, task) == ["missed", "missed", "ran", "ran", "ran"]
    (told,) = await desk.rows(
        "SELECT meta FROM audit WHERE type = 'task.missed' AND about ->> 'taskId' = $1", task
    )
    assert told["meta"] == {"occurrences": 2}


async def test_a_task_that_says_nothing_waits_one_period(desk: Desk) -> None:
    task, last = await hourly(desk, 4)

    await fire(desk, task, last)

    assert await became(desk, task) == ["missed", "missed", "missed", "ran"]


async def seconds_ago(desk: Desk, seconds: int, **more: Any) -> tuple[str, datetime]:
    """A task of each minute that was due so long ago, and since then."""
    at = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=seconds)
    return await new_task(desk.store, desk.account, every=MINUTE, start_at=at, next_at=at, **more), at


@pytest.mark.parametrize(("late", "expected"), [(4, "ran"), (13, "missed")])
async def test_whoever_allows_no_delay_allows_ten_seconds(desk: Desk, late: int, expected: str) -> None:
    task, at = await seconds_ago(desk, late, catchup=0)

    await fire(desk, task, at)

    assert await became(desk, task) == [expected]


async def test_a_time_that_is_found_as_late_as_upkeep_finds_it_runs(desk: Desk) -> None:
    task, _ = await seconds_ago(desk, 130)

    await desk.store.ledger.heal(task)

    assert await became(desk, task) == ["missed", "ran"]


async def two_a_day(desk: Desk) -> tuple[str, datetime]:
    """A task that was due four hours ago and three hours ago, which is when it is due every day."""
    first, second = ago(240), ago(180)
    schedule = f"{first:%M} {first:%H},{second:%H} * * *"
    task = await new_task(desk.store, desk.account, schedule=schedule, next_at=first, overlap="buffer_all")
    return task, second


@pytest.mark.parametrize("who", ["fire", "heal", "catch_up"])
async def test_a_time_waits_as_long_as_its_own_period_whoever_asks(desk: Desk, who: str) -> None:
    task, second = await two_a_day(desk)

    await (fire(desk, task, second) if who == "fire" else getattr(desk.store.ledger, who)(task))

    # It is an hour to the second one, and 23 from there to the next.
    assert await became(desk, task) == ["missed", "ran"]


async def test_the_last_time_waits_as_long_as_the_one_before_it(desk: Desk) -> None:
    task, second = await two_a_day(desk)
    await desk.rows("UPDATE task SET end_at = $2 WHERE id = $1", task, second)

    await fire(desk, task, second)

    assert await became(desk, task) == ["missed", "missed"]


async def test_thousands_that_are_missed_are_passed_over_at_once(desk: Desk) -> None:
    task, begins = await seconds_ago(desk, 9_999 * 60 + 30)

    await fire(desk, task, begins + timedelta(minutes=9_999))

    assert Counter(await became(desk, task)) == {"missed": 9_998, "ran": 1, "skipped overlap": 1}
    (told,) = await desk.rows(
        "SELECT meta FROM audit WHERE type = 'task.missed' AND about ->> 'taskId' = $1", task
    )
    assert told["meta"] == {"occurrences": 9_998}


async def test_nothing_is_expected_after_a_task_is_to_be_removed(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="buffer_all")
    await desk.rows("UPDATE task SET expires_at = $2 WHERE id = $1", task, times[1])

    assert (await fire(desk, task, times[2])).run_id is None

    assert await became(desk, task) == ["ran", "ran"]
    (row,) = await desk.rows("SELECT next_at FROM task WHERE id = $1", task)
    assert row["next_at"] is None


async def test_what_nobody_fired_is_healed_once_and_said(desk: Desk) -> None:
    at = ago(3)
    task = await new_task(
        desk.store, desk.account, schedule=f"{at:%M %H} * * *", catchup=86_400_000, next_at=at
    )

    await asyncio.gather(*(desk.store.ledger.heal(task) for _ in range(3)))
    late = await fire(desk, task, at)

    (run,) = await runs(desk, task)
    assert run["workflow_id"] == ids.task_workflow(task, run["id"])
    assert late.run_id is None
    rows = await desk.rows("SELECT healed FROM occurrence WHERE task_id = $1", task)
    assert [row["healed"] for row in rows] == [True]
    assert await desk.rows("SELECT FROM audit WHERE type = 'task.healed' AND about ->> 'taskId' = $1", task)


async def test_what_was_due_while_a_task_was_paused_is_not_made_up_for(desk: Desk) -> None:
    task, times = await due(desk, 3, paused_at=ago(10))

    place = await fire(desk, task, times[-1])

    assert place.run_id is None
    assert await became(desk, task) == ["paused"] * 3


async def test_a_task_pauses_on_its_runs_failure_if_it_is_to(desk: Desk) -> None:
    task, times = await due(desk, 2, pause_on_failure=True, resumed_at=ago(60))
    await fire(desk, task, times[0])
    (run,) = await runs(desk, task)

    await end(desk, run["id"])
    await desk.store.ledger.ended(task)
    await fire(desk, task, times[1])

    (row,) = await desk.rows("SELECT paused_at, note, revision, untold_at FROM task WHERE id = $1", task)
    assert row["paused_at"] is not None
    assert run["id"] in row["note"]
    assert (row["revision"], row["untold_at"] is not None) == (2, True)
    assert await became(desk, task) == ["ran", "paused"]


async def test_a_failure_pauses_a_task_however_many_of_its_runs_wait(desk: Desk) -> None:
    task, times = await due(desk, 30, overlap="buffer_all", pause_on_failure=True, resumed_at=ago(60))
    await fire(desk, task, times[-1])
    first, second, *waiting = await runs(desk, task)

    for run in (first, second):
        await end(desk, run["id"])
    await desk.store.ledger.ended(task)

    (row,) = await desk.rows("SELECT paused_at, note FROM task WHERE id = $1", task)
    assert len(waiting) == 28
    assert row["paused_at"] is not None
    assert second["id"] in row["note"], "the newest is named"


async def test_a_firing_that_stands_for_nothing_has_no_run(desk: Desk) -> None:
    task, (at,) = await due(desk, 1)

    place = await fire(desk, task, at - timedelta(seconds=30))

    assert place.run_id is None
    assert await became(desk, task) == []


def next_change(*, gap: bool) -> datetime:
    """When New York's clocks are put forward next, or back."""
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    years = (tomorrow.year, tomorrow.year + 1)
    found = [one for year in years for one in changes("America/New_York", year) if one.gap is gap]
    return next(one.at for one in found if one.at > tomorrow)


async def test_times_that_the_clocks_leave_out_have_a_run_each(desk: Desk) -> None:
    """02:00 and 02:30 of that day are both due at 03:00."""
    gap = next_change(gap=True)
    task = await new_task(
        desk.store,
        desk.account,
        schedule="0,30 2 * * *",
        timezone="America/New_York",
        overlap="buffer_all",
        next_at=gap,
    )

    place = await fire(desk, task, gap, "w")

    made = await runs(desk, task)
    assert [run["due_at"] for run in made] == [gap, gap]
    assert [run["workflow_id"] == "w" for run in made] == [True, False]
    assert place.run_id == made[0]["id"]


async def test_a_wall_that_comes_twice_is_due_the_first_time(desk: Desk) -> None:
    first = next_change(gap=False) - HOUR / 2
    task = await new_task(
        desk.store, desk.account, schedule="30 1 * * *", timezone="America/New_York", next_at=first
    )

    places = [await fire(desk, task, first), await fire(desk, task, first + HOUR)]

    assert [place.run_id is not None for place in places] == [True, False]
    assert await became(desk, task) == ["ran"]


async def test_a_date_that_is_over_is_no_schedule_any_more(desk: Desk) -> None:
    at = ago(1)
    task = await new_task(desk.store, desk.account, schedule=at.isoformat(), next_at=at)

    assert (await fire(desk, task, at)).run_id

    (row,) = await desk.rows("SELECT schedule, next_at, revision, untold_at FROM task WHERE id = $1", task)
    assert (row["schedule"], row["next_at"], row["revision"]) == (None, None, 2)
    assert row["untold_at"] is not None


async def test_what_was_taken_out_by_hand_is_not_due(desk: Desk) -> None:
    task, times = await due(desk, 2)
    key = f"{times[0]:%Y-%m-%dT%H:%M:%S}Z"
    await desk.rows(
        "INSERT INTO occurrence (task_id, key, at, state, decided_at) VALUES ($1, $2, $3, 'excluded', now())",
        task,
        key,
        times[0],
    )

    assert (await fire(desk, task, times[0])).run_id is None
    assert (await fire(desk, task, times[1])).run_id

    assert await became(desk, task) == ["excluded", "ran"]


async def test_what_a_limit_refuses_is_skipped_and_leaves_nothing_behind(desk: Desk) -> None:
    store = await Store.open(desk.store.database.url, Caps(1, 1, 1), Quotas(waiting_of_account=1))
    tight = Desk(store, desk.account)
    task, times = await due(tight, 4, overlap="buffer_all", session_duration=0)

    for at in times:
        await fire(tight, task, at)

    assert await became(tight, task) == ["ran", "ran", "skipped limit", "skipped limit"]
    assert len(await desk.rows("SELECT FROM conversation WHERE task_id = $1", task)) == 2
    await store.close()


async def test_nothing_gives_way_to_what_a_limit_refuses(desk: Desk) -> None:
    task, times = await due(desk, 2, overlap="cancel_other")
    await fire(desk, task, times[0])
    await used(desk, 10)
    poor = await limited(desk, Quotas(tokens_per_day=1))

    _, settled = await poor.store.ledger.fire(task, times[1], "w")
    await poor.store.close()

    assert await became(desk, task) == ["ran", "skipped limit"]
    assert [run["state"] for run in await runs(desk, task)] == ["queued"]
    assert settled.cancel == ()


async def test_hundreds_of_times_are_decided_in_order(desk: Desk) -> None:
    task, times = await due(desk, 250, overlap="buffer_all")

    place = await fire(desk, task, times[-1])

    made = await runs(desk, task)
    assert [run["due_at"] for run in made] == times
    assert (place.run_id, place.admitted) == (made[-1]["id"], False)


async def test_a_run_whose_time_is_up_keeps_what_it_was_saying(desk: Desk) -> None:
    task, (at,) = await due(desk, 1)
    place = await fire(desk, task, at)
    assert place.run_id
    taken = await desk.taken(place.run_id)
    writer = desk.store.log.writer(taken.channel_id, 1)
    writing = asyncio.create_task(desk.store.log.run())
    writer.add(token("half an ", reasoning=False))
    writer.add(token("answer", reasoning=False))
    await writer.close()
    writing.cancel()

    early = await desk.store.turns.cut(place.run_id)
    await desk.rows("UPDATE run SET begun_at = begun_at - interval '15 minutes' WHERE id = $1", place.run_id)
    cut = await desk.store.turns.cut(place.run_id)

    (run,) = await runs(desk, task)
    assert (early.ended, 890 < early.left <= 900) == (None, True)
    assert (cut.ended is not None, cut.left) == (True, 0)
    counted = await desk.rows("SELECT FROM message WHERE run_id = $1", run["id"])
    assert run["messages"] == len(counted)
    assert (run["state"], run["end_reason"]) == ("succeeded", "iteration")
    said = await desk.rows(
        "SELECT type, text, meta FROM message WHERE run_id = $1 AND step IS NULL ORDER BY seq", run["id"]
    )
    assert [(row["type"], row["text"]) for row in said] == [("bot", "half an answer")]


async def test_the_time_of_a_run_that_has_not_begun_is_not_up(desk: Desk) -> None:
    task, (at,) = await due(desk, 1)
    place = await fire(desk, task, at)
    assert place.run_id
    await desk.rows("UPDATE run SET admitted_at = admitted_at - interval '1 day' WHERE id = $1", place.run_id)

    cut = await desk.store.turns.cut(place.run_id)

    assert (cut.left, cut.ended) == (900, None)
    (run,) = await runs(desk, task)
    assert run["state"] == "queued"


async def test_a_session_serves_the_runs_of_its_time_and_its_bot(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="buffer_all", session_duration=3_600_000)
    await fire(desk, task, times[0])
    await fire(desk, task, times[1])
    await desk.rows(
        "UPDATE conversation SET created_at = now() - interval '61 minutes' WHERE task_id = $1", task
    )

    await fire(desk, task, times[2])

    first, second, third = [run["conversation_id"] for run in await runs(desk, task)]
    assert first == second != third
    (row,) = await desk.rows("SELECT meta, task_id FROM conversation WHERE id = $1", third)
    assert (row["meta"], row["task_id"]) == ({"app": "task", "taskId": task}, task)


async def test_a_session_is_of_one_bot_and_one_contact(desk: Desk) -> None:
    task, times = await due(desk, 4, overlap="buffer_all")
    bot = await desk.store.bots.create(desk.caller, key(), {})
    contact = await desk.store.contacts.create(desk.caller, key(), {})
    await fire(desk, task, times[0])
    await desk.rows("UPDATE task SET bot_id = $2 WHERE id = $1", task, bot)
    await fire(desk, task, times[1])

    await desk.rows("UPDATE task SET contact_id = $2 WHERE id = $1", task, contact)
    await fire(desk, task, times[2])
    await fire(desk, task, times[3])

    first, second, third, fourth = [run["conversation_id"] for run in await runs(desk, task)]
    assert len({first, second, third}) == 3
    assert third == fourth
    (row,) = await desk.rows("SELECT bot_id, contact_id FROM conversation WHERE id = $1", third)
    assert tuple(row) == (bot, contact)


async def test_as_many_times_as_the_clocks_may_leave_out_at_once_are_all_due(desk: Desk) -> None:
    """Samoa had no 30th of December 2011: each minute of it was due as the 31st began."""
    over = datetime(2011, 12, 30, 10, tzinfo=UTC)
    every_minute = "0-59 0-23 * * *"
    task = await new_task(
        desk.store, desk.account, schedule=every_minute, timezone="Pacific/Apia", next_at=over - HOUR
    )

    await fire(desk, task, over + HOUR)

    rows = await desk.rows("SELECT count(*) AS n FROM occurrence WHERE task_id = $1", task)
    assert rows[0]["n"] == 60 + 24 * 60 + 60 + 1


async def test_of_all_that_is_due_at_one_instant_one_run_has_the_plan_that_was_fired(desk: Desk) -> None:
    gap = next_change(gap=True)
    task = await new_task(
        desk.store,
        desk.account,
        schedule="0-59 2 * * *",
        timezone="America/New_York",
        overlap="buffer_all",
        next_at=gap - timedelta(days=1),
    )

    place = await fire(desk, task, gap, "w")

    made = await runs(desk, task)
    assert len(made) == 120
    assert [run["id"] for run in made if run["workflow_id"] == "w"] == [place.run_id]


async def test_a_run_that_is_rolled_back_was_never_there(desk: Desk) -> None:
    task, (at,) = await due(desk, 1)
    place = await fire(desk, task, at)
    assert place.run_id
    taken = await desk.taken(place.run_id)
    writing = asyncio.create_task(desk.store.log.run())
    writer = desk.store.log.writer(taken.channel_id, 1)
    writer.add(token("half an answer", reasoning=False))
    await writer.close()
    writing.cancel()
    (run,) = await runs(desk, task)

    work = Work(
        run_id=ids.run(),
        caller=desk.caller,
        lane="interactive",
        key=key(),
        asked=Asked(text="no"),
        conversation_id=run["conversation_id"],
        channel=ids.channel(),
        on_busy="rollback",
    )
    await desk.store.accept.run(work)

    (run,) = await runs(desk, task)
    assert run["state"] == "rolled_back"
    said = await desk.rows("SELECT type, hidden FROM message WHERE run_id = $1", run["id"])
    assert len(said) >= 3
    assert {row["hidden"] for row in said} == {True}
    (execution,) = await desk.rows("SELECT summary FROM execution WHERE id = $1", run["id"])
    assert execution["summary"] is None


async def test_firings_that_come_while_a_task_is_held_leave_the_connections_to_others(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="buffer_all")
    database, decided = desk.store.database, asyncio.Event()

    async def hold_it(connection: Any) -> None:
        await connection.execute("SELECT FROM task WHERE id = $1 FOR NO KEY UPDATE", task)
        await asyncio.wait_for(decided.wait(), 4)

    holding = asyncio.create_task(database.transact(hold_it))
    firings = [asyncio.create_task(fire(desk, task, times[n % 3], f"w{n}")) for n in range(60)]
    # More than there are connections; others get one at once.
    assert await asyncio.wait_for(database.fetchval("SELECT 1"), 4) == 1
    decided.set()
    await holding
    await asyncio.gather(*firings)

    assert await became(desk, task) == ["ran"] * 3


async def test_a_firing_of_what_was_decided_waits_for_nobody(desk: Desk) -> None:
    task, (at,) = await due(desk, 1)
    place = await fire(desk, task, at, "w")

    async def again(connection: Any) -> Place:
        await connection.execute("SELECT FROM task WHERE id = $1 FOR UPDATE", task)
        return await asyncio.wait_for(fire(desk, task, at, "w"), 10)

    assert await desk.store.database.transact(again) == place
