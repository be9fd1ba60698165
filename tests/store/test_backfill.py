"""A backfill: every time of a past range that has no run gets one, once, in the order of the times."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.accept import Key
from domain.errors import BadRequest, Conflict, LimitsReached, NotFound
from domain.ledger import Backfilled
from domain.occurrences import INSTANT
from store import Caps, Quotas, Store
from store.backfill import PIECE
from tests import oracle
from tests.store.conftest import Desk, caller, key
from tests.store.test_calendar import acts, told
from tests.store.test_occurrences import became, due, end, fire, runs
from tests.tasks import new_task

NEW_YORK = "America/New_York"
YEAR = (datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


async def weekdays(desk: Desk, **more: Any) -> str:
    """Due each weekday at seven in New York, whose clocks change twice a year."""
    given: dict[str, Any] = {"schedule": "0 7 * * 1-5", "timezone": NEW_YORK, "session_duration": 0} | more
    return await new_task(desk.store, desk.account, **given)


async def backfill(
    desk: Desk, task: str, since: datetime, until: datetime, with_key: Key | None = None
) -> Backfilled:
    return await desk.store.backfill.run(desk.caller, task, with_key or key(), since, until)


async def test_a_past_year_of_weekdays_has_each_of_them_run_once(desk: Desk) -> None:
    task = await weekdays(desk)
    expected = oracle.due("0 7 * * 1-5", NEW_YORK, YEAR[0] - INSTANT, YEAR[1])
    before = await told(desk, task)

    first = await backfill(desk, task, *YEAR)
    again = await backfill(desk, task, *YEAR)

    made = await runs(desk, task)
    assert len(expected) == 261
    assert first == Backfilled(occurrences=261, runs=261, ran=0, excluded=0)
    assert again == Backfilled(occurrences=261, runs=0, ran=261, excluded=0)
    assert [run["due_at"] for run in made] == expected
    assert {run["lane"] for run in made} == {"scheduled"}
    rows = await desk.rows(
        "SELECT key, at, state, run_id FROM occurrence WHERE task_id = $1 ORDER BY at", task
    )
    assert [(row["at"], row["state"], row["run_id"]) for row in rows] == [
        (at, "ran", run["id"]) for at, run in zip(expected, made, strict=True)
    ]
    assert {row["key"][11:] for row in rows} == {"07:00:00[America/New_York]"}
    assert {row["at"].hour for row in rows} == {11, 12}
    assert (await told(desk, task))["next_at"] == before["next_at"]
    assert [act for act, _ in await acts(desk, task)] == ["task.backfill"] * 2


@pytest.mark.parametrize("overlap", ["skip", "buffer_one", "cancel_other", "allow_all"])
async def test_under_every_policy_they_go_one_after_the_other(desk: Desk, overlap: str) -> None:
    task = await weekdays(desk, overlap=overlap)

    await backfill(desk, task, YEAR[0], YEAR[0] + 7 * DAY)

    made = await runs(desk, task)
    assert len(made) == 5
    for n, run in enumerate(made):
        states = [one["admitted_at"] is not None for one in await runs(desk, task)]
        assert states == [True] * (n + 1) + [False] * (4 - n)
        await end(desk, run["id"])
        await desk.store.admission.admit()


async def test_what_was_missed_skipped_or_paused_is_made_up_for(desk: Desk) -> None:
    task, times = await due(desk, 6, overlap="skip")
    for at in times[:5]:
        await fire(desk, task, at)
    for at, state in zip(times[2:5], ("missed", "paused", "excluded"), strict=True):
        query = "UPDATE occurrence SET state = $3, reason = NULL WHERE task_id = $1 AND at = $2"
        await desk.rows(query, task, at, state)
    before = await became(desk, task)

    found = await backfill(desk, task, times[0], times[5])

    assert before == ["ran", "skipped overlap", "missed", "paused", "excluded"]
    assert found.occurrences == 6
    assert (found.runs, found.ran, found.excluded) == (4, 1, 1)
    assert await became(desk, task) == [*["ran"] * 4, "excluded", "ran"]
    assert [run["due_at"] for run in await runs(desk, task)] == [*times[:4], times[5]]
    # What nobody had decided yet has its run too, and a firing that is late finds it.
    assert (await fire(desk, task, times[5])).run_id is None
    assert len(await runs(desk, task)) == 5


async def test_both_ends_are_included(desk: Desk) -> None:
    task, times = await due(desk, 5)

    assert (await backfill(desk, task, times[1], times[3])).runs == 3
    assert (await backfill(desk, task, times[0] + INSTANT, times[4] - INSTANT)).runs == 0


async def test_the_same_key_is_the_same_backfill(desk: Desk) -> None:
    task, times = await due(desk, 4)
    one = key("k")

    told_ = [await backfill(desk, task, times[0], times[2], one) for _ in range(3)]
    with pytest.raises(Conflict, match="another body"):
        await backfill(desk, task, times[0], times[3], one.model_copy(update={"fingerprint": b"another"}))

    assert told_ == [Backfilled(occurrences=3, runs=3, ran=0, excluded=0)] * 3
    assert [act for act, _ in await acts(desk, task)] == ["task.backfill"]


async def test_one_that_was_canceled_before_it_began_is_made_up_for_again(desk: Desk) -> None:
    task, week = await weekdays(desk), (YEAR[0], YEAR[0] + 7 * DAY)
    await backfill(desk, task, *week)
    await desk.taken((await runs(desk, task))[0]["id"])

    await desk.store.tasks.cancel(desk.caller, task)
    again = await backfill(desk, task, *week)

    assert again == Backfilled(occurrences=5, runs=4, ran=1, excluded=0)
    made = await runs(desk, task)
    assert [run["due_at"] for run in made[5:]] == [run["due_at"] for run in made[1:5]]
    assert {run["state"] for run in made[:5]} == {"canceled"}
    assert (await backfill(desk, task, *week)).runs == 0


async def test_one_that_was_broken_off_goes_on_under_its_key(desk: Desk) -> None:
    store = await Store.open(desk.store.database.url, Caps(1, 1, 1), Quotas(waiting_of_account=150))
    task = await weekdays(desk)

    with pytest.raises(LimitsReached):
        await backfill(Desk(store, desk.account), task, *YEAR, key("k"))
    before = await runs(desk, task)
    found = [await backfill(desk, task, *YEAR, key("k")) for _ in range(2)]

    assert len(before) == PIECE
    assert found == [Backfilled(occurrences=261, runs=261, ran=0, excluded=0)] * 2
    made = await runs(desk, task)
    assert len(made) == len({run["due_at"] for run in made}) == 261
    assert [act for act, _ in await acts(desk, task)] == ["task.backfill"]
    await store.close()


async def test_calls_with_one_key_at_once_are_one_backfill(desk: Desk) -> None:
    task, spans = await weekdays(desk), (YEAR[0], YEAR[0] + 210 * DAY)

    found = await asyncio.gather(*(backfill(desk, task, *spans, key("k")) for _ in range(2)))

    assert found == [Backfilled(occurrences=150, runs=150, ran=0, excluded=0)] * 2
    assert len(await runs(desk, task)) == 150


async def test_backfills_at_once_make_each_run_once(desk: Desk) -> None:
    task = await weekdays(desk)

    found = await asyncio.gather(*(backfill(desk, task, YEAR[0], YEAR[0] + 28 * DAY) for _ in range(4)))

    assert sum(one.runs for one in found) == 20
    assert len(await runs(desk, task)) == 20


async def test_a_range_is_past_and_not_turned_round_and_not_too_long(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account, schedule="* * * * *")
    now = datetime.now(UTC)
    wrong = {
        "until: lies in the future": (now - DAY, now + MINUTE),
        "from: does not lie before": (now - DAY, now - DAY),
        "from: more than 1,000": (now - DAY, now - MINUTE),
    }

    for message, (since, until) in wrong.items():
        with pytest.raises(BadRequest, match=message):
            await backfill(desk, task, since, until, key("k"))

    assert await runs(desk, task) == []
    assert (await backfill(desk, task, now - 10 * MINUTE, now - MINUTE, key("k"))).runs in (9, 10)


async def test_a_thousand_are_made_by_one_call(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account, schedule="* * * * *")
    since = YEAR[0]

    found = await backfill(desk, task, since, since + 999 * MINUTE)

    assert (found.occurrences, found.runs) == (1_000, 1_000)


async def test_a_piece_that_may_not_wait_whole_is_not_made_at_all(desk: Desk) -> None:
    store = await Store.open(desk.store.database.url, Caps(1, 1, 1), Quotas(waiting_of_account=5))
    tight = Desk(store, desk.account)
    task, times = await due(tight, 12)

    with pytest.raises(LimitsReached):
        await backfill(tight, task, times[0], times[-1], key("k"))

    assert await runs(desk, task) == []
    assert await became(desk, task) == []
    await store.close()


async def test_a_task_without_a_schedule_and_a_foreign_one_have_nothing_to_make_up_for(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account, schedule="never")

    assert (await backfill(desk, task, *YEAR)).occurrences == 0
    foreign = caller(await desk.store.accounts.create("other"))
    for of, who in ((task, foreign), (ids.task(), desk.caller)):
        with pytest.raises(NotFound):
            await desk.store.backfill.run(who, of, key(), *YEAR)


async def test_a_paused_task_is_made_up_for_all_the_same(desk: Desk) -> None:
    task = await weekdays(desk, paused_at=datetime.now(UTC))

    assert (await backfill(desk, task, YEAR[0], YEAR[0] + 7 * DAY)).runs == 5
