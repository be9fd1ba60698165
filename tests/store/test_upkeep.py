"""Retention: the days of the token log, and what goes when."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg
import pytest

from domain import events
from store.upkeep import AHEAD, KEPT
from tests.house import eventually, minute_lasts
from tests.store.conftest import Desk, key
from tests.tasks import new_task


@pytest.fixture(autouse=True)
async def _made_today(desk: Desk) -> None:
    """What its database was copied from may be of yesterday; and no day ends in the middle of a test."""
    await minute_lasts()
    for name in await days(desk):
        await desk.store.database.execute(f"DROP TABLE {name}")
    await desk.store.upkeep.make_days()


async def days(desk: Desk) -> list[str]:
    found = await desk.rows(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits WHERE inhparent = 'token'::regclass"
    )
    return sorted(row["name"] for row in found)


def day(offset: int) -> str:
    return f"token_{datetime.now(UTC) + timedelta(days=offset):%Y%m%d}"


async def old_day(desk: Desk, offset: int) -> None:
    """A day of the past, as if it had been made then."""
    at = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=offset)
    span = f"FROM ('{at.isoformat()}') TO ('{(at + timedelta(days=1)).isoformat()}')"
    await desk.store.database.execute(f"CREATE TABLE {day(offset)} PARTITION OF token FOR VALUES {span}")


async def test_the_days_ahead_are_made_once_by_however_many(desk: Desk) -> None:
    await desk.store.database.execute(f"DROP TABLE {day(AHEAD)}")

    await asyncio.gather(*(desk.store.upkeep.make_days() for _ in range(5)))
    await desk.store.upkeep.make_days()

    assert await days(desk) == [day(offset) for offset in range(AHEAD + 1)]


async def test_whole_days_are_dropped_when_they_are_old_enough(desk: Desk) -> None:
    for offset in range(-5, 0):
        await old_day(desk, offset)

    await desk.store.upkeep.drop_days()
    kept = await days(desk)
    await desk.store.upkeep.drop_days()

    assert kept == [day(offset) for offset in range(-KEPT, AHEAD + 1)] == await days(desk)
    assert KEPT >= 2


async def test_a_day_whose_removal_broke_off_is_removed_by_the_next_round(desk: Desk) -> None:
    await old_day(desk, -5)
    await desk.store.database.execute(f"ALTER TABLE token DETACH PARTITION {day(-5)}")

    await desk.store.upkeep.drop_days()

    assert not await desk.rows("SELECT FROM pg_class WHERE relname = $1", day(-5))


async def test_dropping_a_day_does_not_stop_those_who_write(desk: Desk) -> None:
    await old_day(desk, -5)
    run = await desk.admitted()
    taken = await desk.taken(run)
    writer = desk.store.log.writer(taken.channel_id, 1)
    log = asyncio.create_task(desk.store.log.run())

    dropping = asyncio.create_task(desk.store.upkeep.drop_days())
    for n in range(50):
        writer.add(events.token(str(n)))
        await asyncio.sleep(0)
    await dropping
    left = await writer.close()
    log.cancel()

    assert not writer.refused
    tokens = await desk.rows("SELECT FROM token WHERE channel_id = $1", taken.channel_id)
    assert len(tokens) + len(left) == 50


async def test_the_words_of_a_stateless_completion_go_five_minutes_after_its_end(desk: Desk) -> None:
    run = (await desk.accept()).run.id
    await desk.store.turns.cancel(desk.caller, run)
    await desk.store.upkeep.scrub()
    kept = await desk.rows("SELECT FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", run)
    await desk.store.database.execute(
        "UPDATE run SET scrub_at = now() - interval '1 second' WHERE id = $1", run
    )

    await desk.store.upkeep.scrub()

    assert kept
    assert not await desk.rows("SELECT FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", run)
    (row,) = await desk.rows(
        "SELECT request, error_message, scrub_at, fingerprint FROM run WHERE id = $1", run
    )
    assert tuple(row) == (None, None, None, b"a body")


async def test_a_run_that_is_held_for_a_moment_is_waited_for_by_who_answered_it_and_passed_over_by_the_rounds(
    desk: Desk, url: str
) -> None:
    run = (await desk.accept()).run.id
    await desk.store.turns.cancel(desk.caller, run)
    await desk.store.database.execute(
        "UPDATE run SET scrub_at = now() - interval '1 second' WHERE id = $1", run
    )
    other = await asyncpg.connect(url)
    try:
        async with other.transaction():
            await other.execute("SELECT FROM run WHERE id = $1 FOR UPDATE", run)
            await desk.store.upkeep.scrub()
            forgetting = asyncio.create_task(desk.store.upkeep.scrub(run))
            await eventually(partial(waited_for, desk))
        await forgetting
    finally:
        await other.close()

    assert not await desk.rows("SELECT FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", run)


async def waited_for(desk: Desk) -> None:
    assert await desk.rows("SELECT FROM pg_locks WHERE NOT granted")


async def test_the_words_of_turns_and_dispatches_are_not_scrubbed(desk: Desk) -> None:
    runs = [
        (await desk.accept(await desk.conversation())).run.id,
        (await desk.accept(lane="background")).run.id,
    ]
    for run in runs:
        await desk.store.turns.cancel(desk.caller, run)

    await desk.store.upkeep.scrub()
    for run in runs:
        await desk.store.upkeep.scrub(run)

    for run in runs:
        assert await desk.rows("SELECT FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", run)


async def test_events_go_a_day_after_their_channel_closed(desk: Desk) -> None:
    old, new = [(await desk.accept(await desk.conversation())).run.id for _ in range(2)]
    for run in (old, new):
        await desk.store.turns.cancel(desk.caller, run)
    await desk.store.database.execute(
        "UPDATE channel SET closed_at = now() - interval '25 hours' WHERE run_id = $1", old
    )

    await desk.store.upkeep.tidy(365)

    assert not await desk.rows("SELECT FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", old)
    assert await desk.rows("SELECT FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", new)


async def test_what_was_published_is_kept_a_week_and_a_key_two_days(desk: Desk) -> None:
    for name in ("old", "new"):
        await desk.store.channels.publish(desk.caller, name, key(name), {"n": 1})
    await desk.store.database.execute(
        "UPDATE event SET at = now() - interval '8 days'"
        " FROM channel c WHERE c.id = channel_id AND c.name = 'old'"
    )
    await desk.store.database.execute(
        "UPDATE idempotency SET created_at = now() - interval '49 hours' WHERE key = 'old'"
    )

    await desk.store.upkeep.tidy(365)

    left = await desk.rows("SELECT c.name FROM event JOIN channel c ON c.id = channel_id")
    assert [row["name"] for row in left] == ["new"]
    assert [row["key"] for row in await desk.rows("SELECT key FROM idempotency")] == ["new"]


async def test_a_deleted_conversation_leaves_a_tombstone_without_a_word(desk: Desk) -> None:
    conversation = await desk.conversation()
    run = (await desk.accept(conversation)).run.id
    await desk.taken(run)

    await desk.store.conversations.delete(desk.caller, conversation)

    told = await desk.rows(
        "SELECT type, data FROM event e JOIN run r USING (channel_id) WHERE r.id = $1", run
    )
    assert [(row["type"], "NOT_FOUND" in row["data"]) for row in told] == [("error", True)]
    (channel,) = await desk.rows("SELECT open, deleted FROM channel WHERE run_id = $1", run)
    assert tuple(channel) == (False, True)
    assert not await desk.rows("SELECT FROM message")


async def test_a_tombstone_outlives_its_events(desk: Desk) -> None:
    conversation = await desk.conversation()
    run = (await desk.accept(conversation)).run
    await desk.store.turns.cancel(desk.caller, run.id)
    await desk.rows(
        "UPDATE channel SET closed_at = now() - interval '25 hours' WHERE id = $1", run.channel_id
    )

    await desk.store.conversations.delete(desk.caller, conversation)
    await desk.store.upkeep.tidy(365)

    told = await desk.store.channels.terminal(run.channel_id)
    assert told is not None
    assert told.type == "error"
    assert (await desk.store.runs.fetch(desk.account, run.id)).error_code == "NOT_FOUND"


async def test_one_round_takes_all_that_is_due_however_much_it_is(desk: Desk) -> None:
    run = (await desk.accept()).run
    await desk.rows(
        "INSERT INTO channel (account_id, name, open, closed_at)"
        " SELECT $1, 'old' || n, false, now() - interval '25 hours' FROM generate_series(1, 1200) n",
        desk.account,
    )
    await desk.rows(
        "INSERT INTO event (channel_id, seq, step, attempt, type, data)"
        " SELECT id, 1, 0, 0, 'result', '{}' FROM channel WHERE id <> $1",
        run.channel_id,
    )

    await desk.store.upkeep.tidy(365)

    assert await desk.rows("SELECT FROM event") == []


async def test_a_run_that_was_looked_after_for_ever_stops_nobody(desk: Desk) -> None:
    run = await desk.admitted()
    await desk.rows("UPDATE run SET looks = 5000, next_look_at = now() WHERE id = $1", run)

    assert [plan.run_id for plan in await desk.store.looks.due()] == [run]


async def test_what_cannot_be_tidied_keeps_nothing_else_from_going(desk: Desk) -> None:
    await desk.rows(
        "INSERT INTO audit (id, account_id, type, about, meta, at)"
        " VALUES ('evt_1', $1, 'old', '{}', '{}', '2020-01-01')",
        desk.account,
    )
    await desk.rows("ALTER TABLE idempotency RENAME TO elsewhere")

    with pytest.raises(asyncpg.UndefinedTableError):
        await desk.store.upkeep.tidy(365)

    assert not await desk.rows("SELECT FROM audit WHERE type = 'old'")


async def test_an_occurrence_goes_400_days_after_it_was_due_and_decided(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    days = {
        "old": (401, 401, "paused"),
        "young": (399, 399, "paused"),
        "backfilled since": (500, 1, "paused"),
        "decided late": (500, 401, "paused"),
        "to come": (-10, 500, "excluded"),
        "taken out, over": (401, 500, "excluded"),
        "undecided": (500, None, "due"),
    }
    for name, (due, decided, state) in days.items():
        await desk.rows(
            "INSERT INTO occurrence (task_id, key, at, decided_at, state)"
            " VALUES ($1, $2, now() - $3 * interval '1 day', now() - $4 * interval '1 day', $5)",
            *(task, name, due, decided, state),
        )

    await desk.store.upkeep.tidy(365)

    left = {row["key"] for row in await desk.rows("SELECT key FROM occurrence")}
    assert left == {"young", "backfilled since", "to come", "undecided"}


async def test_more_than_a_batch_of_old_occurrences_goes_in_one_round(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    await desk.rows(
        "INSERT INTO occurrence (task_id, key, at, decided_at, state)"
        " SELECT $1, n::text, '2020-01-01', '2020-01-01', 'missed' FROM generate_series(1, 1200) n",
        task,
    )

    await desk.store.upkeep.tidy(365)

    assert await desk.rows("SELECT FROM occurrence") == []
