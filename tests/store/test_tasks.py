"""Tasks as rows: what Temporal has to be told, what was due before a change, what goes with them."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from domain import ids
from domain.errors import BadRequest, NotFound
from domain.occurrences import between, following
from domain.paging import Page
from domain.schedule import SHORTEST, WORDS, Timing, parse
from domain.task import Standing
from store import Store, expiry
from store.expiry import BATCH as EXPIRED
from store.tasks import BATCH, PIECE, TaskFilter
from tests.store.conftest import Desk, caller, key

MINUTE, HOUR = 60_000, 3_600_000


def now() -> datetime:
    return datetime.now(UTC)


async def made(desk: Desk, **given: Any) -> str:
    return await desk.store.tasks.create(desk.caller, key(), given, SHORTEST)


async def changed(desk: Desk, task: str, **given: Any) -> None:
    await desk.store.tasks.update(desk.caller, task, given, SHORTEST)


async def found(desk: Desk, task: str) -> Standing:
    return await desk.store.tasks.fetch(desk.account, task)


async def row(desk: Desk, task: str) -> asyncpg.Record:
    (only,) = await desk.rows("SELECT * FROM task WHERE id = $1", task)
    return only


async def run_of(desk: Desk, task: str, conversation: str | None = None, *, begun: bool = True) -> str:
    """A run of a task, in a conversation of its own unless one is given."""
    run = (await desk.accept(conversation or await desk.conversation())).run.id
    if begun:
        await desk.taken(run)
    await desk.rows(
        "UPDATE run SET kind = 'task_run', lane = 'background', task_id = $2 WHERE id = $1", run, task
    )
    await desk.rows("INSERT INTO execution (id, task_id) VALUES ($1, $2)", run, task)
    return run


async def state(desk: Desk, run: str) -> str:
    return (await desk.store.runs.fetch(desk.account, run)).state


async def acts(desk: Desk, *types: str) -> list[str]:
    rows = await desk.rows("SELECT type FROM audit WHERE type = ANY ($1) ORDER BY id", types)
    return [entry["type"] for entry in rows]


async def gone(desk: Desk) -> set[str]:
    """Tasks whose schedules Temporal has to forget."""
    return {entry["task_id"] for entry in await desk.rows("SELECT task_id FROM task_gone")}


async def excluded(desk: Desk, task: str, timing: Timing, since: datetime) -> datetime:
    """Takes the next time of a schedule out by hand, and returns the one after it."""
    first, second = following(parse(timing, task), since, 2)
    await desk.rows(
        "INSERT INTO occurrence (task_id, key, at, state, decided_at) VALUES ($1, $2, $3, 'excluded', now())",
        task,
        first.key,
        first.at,
    )
    return second.at


# When it is due.


@pytest.mark.parametrize("word", [*WORDS, "*/7 * * * *", "23:59", "2098-01-01"])
async def test_a_task_is_due_at_the_first_time_after_it_was_made(desk: Desk, word: str) -> None:
    task = await made(desk, schedule=word, timezone="Asia/Tokyo")

    one = await found(desk, task)

    schedule = parse(Timing(schedule=word, timezone="Asia/Tokyo"), task)
    coming = following(schedule, one.created_at, 1)
    assert one.next_at == one.next_run_at == (coming[0].at if coming else None)
    assert ((await row(desk, task))["untold_at"] is None) == (word == "never")
    assert one.revision == 1


async def test_a_task_is_due_by_the_clock_of_the_database(desk: Desk) -> None:
    (row,) = await desk.rows("SELECT current_database() AS name")
    await desk.rows(
        "CREATE FUNCTION clock_timestamp() RETURNS timestamptz LANGUAGE sql"
        " AS $$ SELECT pg_catalog.clock_timestamp() + interval '1 day' $$"
    )
    await desk.rows(f"ALTER DATABASE {row['name']} SET search_path = public, pg_catalog")
    ahead = Desk(await Store.open(desk.store.database.url), desk.account)

    task = await made(ahead, every=HOUR)
    first = (await found(ahead, task)).next_at
    await changed(ahead, task, every=2 * HOUR)
    second = (await found(ahead, task)).next_at
    await ahead.store.close()

    for at in (first, second):
        assert at is not None
        assert at - now() > timedelta(hours=23)


async def test_a_task_is_not_due_after_it_is_removed(desk: Desk) -> None:
    begins = now() + timedelta(days=2)
    task = await made(desk, schedule="07:30", start_at=begins, expires_at=now() + timedelta(days=1))
    never = await found(desk, task)

    await changed(desk, task, expires_at=begins + timedelta(days=2))
    later = await found(desk, task)

    assert (never.next_at, never.revision) == (None, 1)
    coming = following(parse(Timing(schedule="07:30", start_at=begins), task), now(), 1)
    assert (later.next_at, later.revision) == (coming[0].at, 2)


async def test_another_time_of_removal_is_no_reason_to_ask_for_the_shortest_period(desk: Desk) -> None:
    task = await made(desk, every=HOUR, jitter=HOUR)

    await desk.store.tasks.update(desk.caller, task, {"expires_at": now() + timedelta(days=1)}, 2 * HOUR)

    assert (await found(desk, task)).revision == 2


async def test_a_task_that_is_only_asked_for_is_nothing_to_tell_of(desk: Desk) -> None:
    task = await made(desk, name="n", timezone="Asia/Tokyo")
    await changed(desk, task, timezone="Europe/London", catchup=HOUR, jitter=1_000)

    kept = await row(desk, task)

    assert (kept["next_at"], kept["untold_at"], kept["revision"]) == (None, None, 1)


async def test_a_paused_task_is_not_due_though_its_ledger_goes_on(desk: Desk) -> None:
    task = await made(desk, schedule="daily")
    await desk.rows("UPDATE task SET paused_at = now(), note = 'n' WHERE id = $1", task)

    one = await found(desk, task)

    assert (one.next_run_at, one.note) == (None, "n")
    assert one.next_at is not None


async def told(desk: Desk, task: str) -> None:
    """As if Temporal had been told of all that was said of it."""
    await desk.rows("UPDATE task SET untold_at = NULL WHERE id = $1", task)


@pytest.mark.parametrize(
    "given",
    [
        {"schedule": "weekly"},
        {"schedule": None},
        {"schedule": "never"},
        {"schedule": None, "every": HOUR},
        {"timezone": "Asia/Tokyo"},
        {"start_at": now() + timedelta(days=3)},
        {"end_at": now() + timedelta(days=3)},
        {"expires_at": now() + timedelta(days=3)},
        {"catchup": HOUR},
        {"jitter": 1_000},
    ],
)
async def test_what_temporal_must_know_raises_the_revision_once(desk: Desk, given: dict[str, Any]) -> None:
    task = await made(desk, schedule="07:30")
    await told(desk, task)

    for _ in range(2):
        await changed(desk, task, **given)
        after = await row(desk, task)
        assert after["revision"] == 2
    assert after["untold_at"] is not None

    timing = Timing(**{"schedule": "07:30"} | {k: v for k, v in given.items() if k in Timing.model_fields})
    coming = following(parse(timing, task), after["updated_at"], 1)
    assert after["next_at"] == (coming[0].at if coming else None)


@pytest.mark.parametrize(
    "given",
    [
        {"name": "m", "description": "d", "meta": {"a": 1}},
        {"overlap": "allow_all"},
        {"pause_on_failure": True},
        {"session_duration": 0, "max_iterations": 20, "max_time": 1_000_000, "max_calls": 3},
        {"schedule": "07:30", "timezone": None, "jitter": None, "catchup": None},
        {},
    ],
)
async def test_what_only_runs_must_know_does_not_raise_it(desk: Desk, given: dict[str, Any]) -> None:
    task = await made(desk, schedule="07:30")
    await told(desk, task)
    before = await row(desk, task)

    await changed(desk, task, **given)

    after = await row(desk, task)
    assert after["untold_at"] is None
    assert (after["revision"], after["next_at"]) == (1, before["next_at"])


async def test_temporal_must_know_of_another_bot_and_not_of_another_contact(desk: Desk) -> None:
    task = await made(desk, schedule="07:30")
    bot = await desk.store.bots.create(desk.caller, key(), {})
    contact = await desk.store.contacts.create(desk.caller, key(), {})

    for _ in range(2):
        await changed(desk, task, bot_id=bot)
        await changed(desk, task, contact_id=contact)

    one = await found(desk, task)
    assert (one.bot_id, one.contact_id, one.revision) == (bot, contact, 2)


async def test_temporal_must_know_of_a_bot_that_is_deleted(desk: Desk) -> None:
    bot = await desk.store.bots.create(desk.caller, key(), {})
    task = await made(desk, schedule="07:30", bot_id=bot)
    asked_for = await made(desk, bot_id=bot)
    other = await made(desk, schedule="07:30")
    for one in (task, other):
        await told(desk, one)

    await desk.store.bots.delete(desk.caller, bot)

    after = [await row(desk, one) for one in (task, asked_for, other)]
    assert [one["bot_id"] for one in after] == [None] * 3
    assert [one["revision"] for one in after] == [2, 1, 1]
    assert [one["untold_at"] is not None for one in after] == [True, False, False]


async def test_a_task_that_is_to_pause_on_failure_from_now_on_does_not_for_failures_of_before(
    desk: Desk,
) -> None:
    task = await made(desk, schedule="daily")

    async def fails() -> None:
        await desk.store.turns.finish(await run_of(desk, task), "PLAN_LOST")

    async def paused() -> bool:
        await desk.store.ledger.ended(task)
        return (await row(desk, task))["paused_at"] is not None

    await fails()
    await changed(desk, task, pause_on_failure=True)
    of_before = await paused()
    await fails()
    await changed(desk, task, pause_on_failure=True)
    of_since = await paused()

    assert (of_before, of_since) == (False, True)


async def overdue(desk: Desk, periods: int, **given: Any) -> tuple[str, datetime]:
    """A task of each minute that nobody has looked after for so many of them, and since when."""
    begins = now().replace(microsecond=0) - timedelta(minutes=periods, seconds=-5)
    task = await made(desk, every=MINUTE, start_at=begins, catchup=0, **given)
    await desk.rows("UPDATE task SET next_at = $2 WHERE id = $1", task, begins)
    return task, begins


@pytest.mark.parametrize("given", [{"every": None}, {"every": HOUR}, {"overlap": "skip"}, {"catchup": HOUR}])
async def test_what_was_due_before_a_change_is_in_the_ledger_as_it_was_said_before(
    desk: Desk, given: dict[str, Any]
) -> None:
    task, begins = await overdue(desk, 5, overlap="buffer_all")

    await changed(desk, task, **given)

    rule = parse(Timing(every=MINUTE, start_at=begins), task)
    was_due = [one.key for one in between(rule, begins - timedelta(seconds=1), now())]
    kept = await desk.rows("SELECT key, at FROM occurrence WHERE task_id = $1 ORDER BY at", task)
    assert [one["key"] for one in kept] == was_due
    assert len(was_due) == 5
    after = await row(desk, task)
    assert after["next_at"] is None if given == {"every": None} else after["next_at"] > kept[-1]["at"]


async def test_a_change_that_is_refused_leaves_what_was_due_undecided(desk: Desk) -> None:
    task, begins = await overdue(desk, 5)

    with pytest.raises(BadRequest):
        await changed(desk, task, every=1_000)

    assert (await row(desk, task))["next_at"] == begins
    assert await desk.rows("SELECT key FROM occurrence WHERE task_id = $1", task) == []


async def test_a_time_taken_out_by_hand_is_not_due_after_a_change_either(desk: Desk) -> None:
    task = await made(desk, schedule="daily")
    second = await excluded(desk, task, Timing(schedule="07:30"), now())

    await changed(desk, task, schedule="07:30")

    assert (await row(desk, task))["next_at"] == second


async def test_changes_at_once_are_made_one_after_the_other(desk: Desk) -> None:
    task = await made(desk, every=MINUTE)

    await asyncio.gather(*(changed(desk, task, every=MINUTE * n, meta={str(n): n}) for n in range(2, 12)))

    after = await row(desk, task)
    assert after["revision"] == 11
    assert len(after["meta"]) == 10
    schedule = parse(Timing(every=after["every"]), task)
    assert after["next_at"] == following(schedule, after["updated_at"], 1)[0].at


# How it stands.


async def test_a_task_stands_as_its_newest_runs_do(desk: Desk) -> None:
    task = await made(desk)
    seen = [await found(desk, task)]
    waiting = await run_of(desk, task, begun=False)
    seen.append(await found(desk, task))
    working = await run_of(desk, task)
    seen.append(await found(desk, task))
    await desk.store.turns.finish(working, "PLAN_LOST")
    seen.append(await found(desk, task))
    await desk.store.turns.cancel(desk.caller, waiting)
    seen.append(await found(desk, task))

    assert [(one.status, one.outcome, one.last_run_at is not None) for one in seen] == [
        ("idle", "pending", False),
        ("idle", "pending", False),
        ("running", "pending", True),
        ("idle", "failure", True),
        ("idle", "failure", True),
    ]


@pytest.mark.parametrize(
    ("ended", "said", "outcome"),
    [
        ("succeeded", None, "success"),
        ("succeeded", "success", "success"),
        ("succeeded", "failure", "failure"),
        ("failed", None, "failure"),
        ("canceled", None, "failure"),
        ("interrupted", None, "failure"),
        ("rolled_back", None, "failure"),
    ],
)
async def test_the_outcome_of_a_task_is_its_newest_ended_runs(
    desk: Desk, ended: str, said: str | None, outcome: str
) -> None:
    task = await made(desk)
    for how in (("succeeded", "failure" if outcome == "success" else "success"), (ended, said)):
        run = await run_of(desk, task)
        await desk.store.turns.finish(run, "PLAN_LOST")
        await desk.rows("UPDATE run SET state = $2, outcome = $3 WHERE id = $1", run, *how)

    one = await found(desk, task)
    (listed,) = await desk.store.tasks.list(desk.account, Page(), {}, TaskFilter())

    assert one == listed
    assert (one.status, one.outcome) == ("idle", outcome)


async def test_tasks_are_listed_with_how_they_stand_in_both_orders(desk: Desk) -> None:
    tasks = [await made(desk, name=str(n)) for n in range(4)]
    for task in tasks[::2]:
        await desk.store.turns.finish(await run_of(desk, task), "PLAN_LOST")
        await run_of(desk, task)

    async def listed(ascending: bool, *statuses: str) -> list[tuple[str, str]]:
        narrow = TaskFilter(statuses=statuses or None)
        page = await desk.store.tasks.list(desk.account, Page(ascending=ascending), {}, narrow)
        assert page == [await found(desk, one.id) for one in page]
        return [(one.id, one.status) for one in page]

    everything = [(task, "idle" if n % 2 else "running") for n, task in enumerate(tasks)]
    assert await listed(True) == everything
    assert await listed(False) == everything[::-1]
    assert await listed(True, "running") == everything[::2]
    assert await listed(False, "idle") == everything[3::-2]


# Its end.


async def test_all_runs_of_a_cancelled_task_end_those_that_wait_too(desk: Desk) -> None:
    task, conversation = await made(desk, schedule="daily"), await desk.conversation()
    other = await run_of(desk, await made(desk))
    runs = [await run_of(desk, task), await run_of(desk, task, conversation)]
    runs += [await run_of(desk, task, conversation, begun=False) for _ in range(3)]

    stopped = await desk.store.tasks.cancel(desk.caller, task)
    again = await desk.store.tasks.cancel(desk.caller, task)

    assert [await state(desk, run) for run in runs] == ["canceled"] * 5
    assert await state(desk, other) == "running"
    assert {one.cancel.run_id for one in stopped if one.cancel} == {*runs}
    assert again == []
    assert await acts(desk, "task.cancel") == ["task.cancel"]
    assert (await found(desk, task)).outcome == "failure"


async def test_more_runs_than_a_batch_are_cancelled_and_none_begins_meanwhile(desk: Desk) -> None:
    task, conversation = await made(desk), await desk.conversation()
    runs = [await run_of(desk, task, conversation)]
    runs += [await run_of(desk, task, conversation, begun=False) for _ in range(2 * BATCH - 1)]

    stopped = await desk.store.tasks.cancel(desk.caller, task)

    # The last one that is stopped is the one at work: it kept the others waiting.
    assert [one.cancel.run_id for one in stopped if one.cancel] == runs[::-1]
    assert [one.start for one in stopped] == [None] * len(runs)
    assert await acts(desk, "task.cancel") == ["task.cancel"]


@pytest.mark.parametrize("act", ["cancel", "delete"])
async def test_whoever_waits_behind_a_tasks_run_is_admitted_when_it_is_stopped(desk: Desk, act: str) -> None:
    task, conversation = await made(desk), await desk.conversation()
    run = await run_of(desk, task, conversation)
    waiting = (await desk.accept(conversation)).run

    (stopped,) = await getattr(desk.store.tasks, act)(desk.caller, task)

    assert waiting.admitted_at is None
    assert (stopped.cancel.run_id, stopped.start.run_id) == (run, waiting.id)


async def test_a_deleted_task_takes_its_history_with_it_and_leaves_runs_and_conversations(desk: Desk) -> None:
    task = await made(desk, schedule="daily")
    conversation = await desk.store.conversations.create(desk.caller, key(), {"task_id": task})
    over = await run_of(desk, task, conversation)
    await desk.store.turns.finish(over, "PLAN_LOST")
    working = await run_of(desk, task, conversation)
    waiting = await run_of(desk, task, conversation, begun=False)
    await excluded(desk, task, Timing(schedule="daily"), now())

    stopped = await desk.store.tasks.delete(desk.caller, task)

    assert {one.cancel.run_id for one in stopped if one.cancel} == {working, waiting}
    assert [await state(desk, run) for run in (over, working, waiting)] == ["failed", "canceled", "canceled"]
    (left,) = await desk.rows(
        "SELECT (SELECT count(*) FROM execution) + (SELECT count(*) FROM occurrence) AS history,"
        " (SELECT task_id FROM conversation WHERE id = $1) AS task_id",
        conversation,
    )
    assert (left["history"], left["task_id"]) == (0, None)
    assert await gone(desk) == {task}
    assert await acts(desk, "task.delete") == ["task.delete"]
    for act in (desk.store.tasks.delete, desk.store.tasks.cancel):
        with pytest.raises(NotFound):
            await act(desk.caller, task)


@pytest.mark.parametrize(
    ("given", "known"),
    [({}, False), ({"schedule": "never"}, False), ({"schedule": "daily"}, True), ({"every": MINUTE}, True)],
)
async def test_temporal_has_to_forget_what_had_a_schedule(
    desk: Desk, given: dict[str, Any], known: bool
) -> None:
    task = await made(desk, **given)
    await told(desk, task)

    await desk.store.tasks.delete(desk.caller, task)

    assert await gone(desk) == ({task} if known else set())


async def test_temporal_has_to_forget_what_it_was_not_told_to_forget_yet(desk: Desk) -> None:
    task = await made(desk, schedule="daily")
    await told(desk, task)
    await changed(desk, task, schedule=None)

    await desk.store.tasks.delete(desk.caller, task)

    assert await gone(desk) == {task}


async def test_a_task_of_a_long_life_is_deleted_by_pieces(desk: Desk) -> None:
    task, keeper = await made(desk, every=MINUTE), await made(desk, every=MINUTE)
    for of in (task, keeper):
        await desk.rows(
            "INSERT INTO occurrence (task_id, key, at, state) "
            "SELECT $1, n::text, now(), 'due' FROM generate_series(1, $2::int) n",
            of,
            2 * PIECE + 1,
        )
        await desk.rows(
            "INSERT INTO conversation (id, account_id, task_id)"
            " SELECT 'conv_' || $2 || n, $1, $2 FROM generate_series(1, $3::int) n",
            desk.account,
            of,
            3 * PIECE,
        )

    await desk.store.tasks.delete(desk.caller, task)

    (left,) = await desk.rows(
        "SELECT (SELECT count(*) FROM occurrence) AS occurrences,"
        " (SELECT count(*) FROM conversation) AS conversations,"
        " (SELECT count(*) FROM conversation WHERE task_id = $1) AS linked",
        keeper,
    )
    assert dict(left) == {
        "occurrences": 2 * PIECE + 1,
        "conversations": 6 * PIECE,
        "linked": 3 * PIECE,
    }
    assert await acts(desk, "task.delete") == ["task.delete"]


async def test_another_accounts_task_is_unknown(desk: Desk) -> None:
    task = await made(desk, schedule="daily")
    stranger = caller(await desk.store.accounts.create("another"))
    tasks = desk.store.tasks

    for call in (
        tasks.fetch(stranger.account_id, task),
        tasks.update(stranger, task, {"name": "x"}, SHORTEST),
        tasks.cancel(stranger, task),
        tasks.delete(stranger, task),
    ):
        with pytest.raises(NotFound):
            await call
    assert (await found(desk, task)).name is None


async def test_deletes_at_once_delete_once(desk: Desk) -> None:
    task = await made(desk, schedule="daily")
    await run_of(desk, task)

    answers = await asyncio.gather(
        *(desk.store.tasks.delete(desk.caller, task) for _ in range(5)), return_exceptions=True
    )

    assert sorted(type(answer).__name__ for answer in answers) == ["NotFound"] * 4 + ["list"]
    assert await acts(desk, "task.delete", "run.canceled") in (
        ["run.canceled", "task.delete"],
        ["task.delete", "run.canceled"],
    )


# Its time.


async def due(desk: Desk, count: int, seconds: float = -1) -> list[str]:
    expires = now() + timedelta(seconds=seconds)
    return [await made(desk, schedule="daily", expires_at=expires) for _ in range(count)]


async def round_of(desk: Desk) -> list[list[str]]:
    """The runs that ended with each task of a round."""
    return [[plan.run_id for plan in gone.ended] async for gone in desk.store.expiry.tasks()]


async def test_a_task_whose_time_is_up_goes_with_its_runs_and_no_other_does(desk: Desk) -> None:
    (over,) = await due(desk, 1)
    kept = {*await due(desk, 2, seconds=1_000), await made(desk, schedule="daily")}
    run = await run_of(desk, over)

    ended = await round_of(desk)

    assert ended == [[run]]
    assert await state(desk, run) == "canceled"
    assert {one["id"] for one in await desk.rows("SELECT id FROM task")} == kept
    assert await gone(desk) == {over}
    (entry,) = await desk.rows("SELECT about, meta FROM audit WHERE type = 'task.delete'")
    assert (entry["about"], entry["meta"]) == ({"taskId": over}, {"actor": "server"})
    assert await desk.rows("SELECT id FROM run WHERE id = $1 AND untold_at IS NOT NULL", run)


async def test_whoever_waits_behind_a_run_of_a_task_whose_time_is_up_is_admitted(desk: Desk) -> None:
    ((task,), conversation) = await due(desk, 1), await desk.conversation()
    run = await run_of(desk, task, conversation)
    waiting = (await desk.accept(conversation)).run

    (over,) = [one async for one in desk.store.expiry.tasks()]

    assert [plan.run_id for plan in over.ended] == [run]
    assert [plan.run_id for plan in over.start] == [waiting.id]


async def test_a_round_takes_more_tasks_than_a_batch_and_two_at_once_take_each_once(desk: Desk) -> None:
    tasks = await due(desk, EXPIRED + 20)

    await asyncio.gather(round_of(desk), round_of(desk))

    assert await gone(desk) == {*tasks}
    assert await acts(desk, "task.delete") == ["task.delete"] * len(tasks)


async def test_a_task_whose_time_was_put_off_while_a_round_was_under_way_stays(desk: Desk) -> None:
    (task,) = await due(desk, 1)
    (looked,) = await desk.rows(expiry._SQL["due_tasks"], EXPIRED)
    await changed(desk, task, expires_at=now() + timedelta(days=1))

    assert await desk.store.expiry._removed_task(looked) == ([], [])
    assert (await found(desk, task)).id == task


async def test_an_idempotency_key_makes_one_task(desk: Desk) -> None:
    keyed = key(ids.new("key"))

    async def again() -> str:
        return await desk.store.tasks.create(desk.caller, keyed, {"schedule": "daily"}, SHORTEST)

    assert len({*await asyncio.gather(*(again() for _ in range(10)))}) == 1
    assert len(await desk.rows("SELECT id FROM task")) == 1
