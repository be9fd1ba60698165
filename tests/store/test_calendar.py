"""What people see of a task's occurrences and do to them: the list, skip and unskip, pause and resume."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.errors import BadRequest, Conflict, NotFound
from domain.ledger import AHEAD, LedgerEntry, When
from domain.occurrences import between, following, preceding
from domain.paging import Page
from domain.schedule import Timing, parse
from domain.zones import changes
from store.calendar import EXCLUDED
from store.tasks import TaskFilter
from tests.house import eventually, minute_lasts
from tests.store.conftest import Desk, caller
from tests.store.test_occurrences import ago, became, due, end, fire, runs
from tests.tasks import new_task

NEW_YORK = "America/New_York"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


async def daily(desk: Desk, **more: Any) -> str:
    """Due each day at seven in New York, and not just now."""
    await minute_lasts()
    given: dict[str, Any] = {"schedule": "0 7 * * *", "timezone": NEW_YORK} | more
    return await new_task(desk.store, desk.account, **given)


def coming(count: int) -> list[Any]:
    """The next occurrences of such a task."""
    return following(parse(Timing(schedule="0 7 * * *", timezone=NEW_YORK), ""), datetime.now(UTC), count)


async def listed(
    desk: Desk, task: str, page: Page | None = None, when: When | None = None
) -> Sequence[LedgerEntry]:
    return await desk.store.calendar.list(desk.account, task, page or Page(), when)


async def told(desk: Desk, task: str) -> Any:
    (row,) = await desk.rows("SELECT * FROM task WHERE id = $1", task)
    return row


async def acts(desk: Desk, task: str) -> list[tuple[str, str | None]]:
    """What the audit log tells of a task, and of which occurrence."""
    rows = await desk.rows(
        "SELECT type, about ->> 'occurrenceId' AS of FROM audit WHERE about ->> 'taskId' = $1 "
        "AND type LIKE 'task.%' ORDER BY id",
        task,
    )
    return [(row["type"], row["of"]) for row in rows]


# The list.


async def test_what_became_of_each_time_and_the_next_twenty_are_one_list(desk: Desk) -> None:
    task, times = await due(desk, 3, overlap="skip")
    await fire(desk, task, times[0])
    await fire(desk, task, times[1])

    found = await listed(desk, task, Page(ascending=True), "past")
    ahead = await listed(desk, task, Page(ascending=True), "next")
    both = await listed(desk, task)

    # A minute may have passed meanwhile.
    assert [(one.state, one.reason) for one in found][:3] == [
        ("late", None),
        ("skipped", "overlap"),
        ("due", None),
    ]
    assert [one.at for one in found][:3] == times
    assert {one.state for one in ahead} == {"expected"}
    assert len(ahead) == AHEAD
    assert {one.id for one in both} >= {one.id for one in found}
    assert [one.at for one in both] == sorted((one.at for one in both), reverse=True)
    (run,) = await runs(desk, task)
    assert (found[0].execution_id, found[0].outcome, found[0].started_at) == (run["id"], "pending", None)


@pytest.mark.parametrize("ascending", [True, False])
async def test_pages_have_each_once(desk: Desk, ascending: bool) -> None:
    task = await daily(desk)
    for one in preceding(parse(Timing(schedule="0 7 * * *", timezone=NEW_YORK), ""), datetime.now(UTC), 30):
        await desk.rows(
            "INSERT INTO occurrence (task_id, key, at, state, decided_at) "
            "VALUES ($1, $2, $3, 'missed', now())",
            *(task, one.key, one.at),
        )
    found: list[LedgerEntry] = []
    page = Page(take=7, ascending=ascending)
    while more := await listed(desk, task, page):
        found += more
        page = page.model_copy(update={"cursor": more[-1].id})

    assert len(found) == len({one.id for one in found}) == 30 + AHEAD


async def test_one_that_ran_at_its_time_is_not_late(desk: Desk) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    task = await new_task(desk.store, desk.account, every=1_000, next_at=at, catchup=60_000)
    await fire(desk, task, at, "w")
    (run,) = await runs(desk, task)

    (before,) = await listed(desk, task, Page(take=1, ascending=True), "past")
    await desk.taken(run["id"])
    await end(desk, run["id"])
    (after,) = await listed(desk, task, Page(take=1, ascending=True), "past")

    assert (before.state, before.outcome, before.execution_id) == ("ran", "pending", run["id"])
    assert (after.state, after.outcome) == ("ran", "failure")
    assert after.started_at is not None


async def test_one_that_had_to_wait_for_its_turn_is_late_and_jitter_is_not_counted(desk: Desk) -> None:
    at = datetime.now(UTC).replace(microsecond=0)
    task = await new_task(desk.store, desk.account, every=1_000, next_at=at, catchup=60_000)
    await fire(desk, task, at, "w")
    await desk.rows("UPDATE run SET begun_at = $2 WHERE task_id = $1", task, at + 8 * SECOND)

    (waited,) = await listed(desk, task, Page(take=1, ascending=True), "past")
    await desk.rows("UPDATE task SET jitter = 5000 WHERE id = $1", task)
    (spread,) = await listed(desk, task, Page(take=1, ascending=True), "past")

    assert (waited.state, spread.state) == ("late", "ran")


async def test_what_is_kept_of_a_run_may_be_gone_before_its_occurrence(desk: Desk) -> None:
    task, times = await due(desk, 1)
    await fire(desk, task, times[0])
    await desk.rows("UPDATE occurrence SET run_id = 'run_gone' WHERE task_id = $1", task)

    (found,) = await listed(desk, task, Page(take=1, ascending=True), "past")

    assert (found.state, found.execution_id, found.outcome) == ("late", "run_gone", None)


async def test_another_accounts_ledger_is_unknown(desk: Desk) -> None:
    task = await daily(desk)

    for account, of in ((await desk.store.accounts.create("other"), task), (desk.account, ids.task())):
        with pytest.raises(NotFound):
            await desk.store.calendar.list(account, of, Page())


# Skip and unskip.


async def test_what_is_skipped_is_not_due_until_it_is_unskipped(desk: Desk) -> None:
    task, (first, second, third) = await daily(desk), coming(3)

    await desk.store.calendar.skip(desk.caller, task, first.key)
    without_first = await told(desk, task)
    await desk.store.calendar.skip(desk.caller, task, second.at)
    without_both = await told(desk, task)
    shown = await listed(desk, task, Page(take=3, ascending=True), "next")
    await desk.store.calendar.unskip(desk.caller, task, first.at)
    with_first = await told(desk, task)
    await desk.store.calendar.unskip(desk.caller, task, second.key)

    assert [row["next_at"] for row in (without_first, without_both, with_first)] == [
        *(second.at, third.at),
        first.at,
    ]
    assert [(one.id, one.state) for one in shown] == [
        *((first.key, "excluded"), (second.key, "excluded")),
        (third.key, "expected"),
    ]
    assert await became(desk, task) == []
    assert await acts(desk, task) == [
        *(("task.skip", first.key), ("task.skip", second.key)),
        *(("task.unskip", first.key), ("task.unskip", second.key)),
    ]
    assert without_first["revision"] == 1, "it fires, and stands for nothing"


async def test_skipping_a_later_one_leaves_the_next_as_it_is(desk: Desk) -> None:
    task, (first, second, third) = await daily(desk), coming(3)

    await desk.store.calendar.skip(desk.caller, task, second.key)
    before = await told(desk, task)
    await fire(desk, task, first.at)
    after = await told(desk, task)
    await fire(desk, task, second.at)

    assert (before["next_at"], after["next_at"]) == (first.at, third.at)
    assert await became(desk, task) == ["ran", "excluded"]
    assert len(await runs(desk, task)) == 1


async def test_skipping_and_unskipping_can_be_repeated(desk: Desk) -> None:
    task, (first, second) = await daily(desk), coming(2)

    for _ in range(3):
        await desk.store.calendar.skip(desk.caller, task, first.key)
    skipped = await told(desk, task)
    for _ in range(3):
        await desk.store.calendar.unskip(desk.caller, task, first.key)

    assert skipped["next_at"] == second.at
    assert (await told(desk, task))["next_at"] == first.at
    assert [act for act, _ in await acts(desk, task)] == ["task.skip", "task.unskip"]


async def test_many_who_skip_at_once_agree(desk: Desk) -> None:
    task, found = await daily(desk), coming(6)

    await asyncio.gather(
        *(desk.store.calendar.skip(desk.caller, task, one.key) for one in found[:5] for _ in range(2))
    )

    assert await became(desk, task) == ["excluded"] * 5
    assert (await told(desk, task))["next_at"] == found[5].at


async def test_one_that_is_skipped_as_it_fires_is_out_or_ran(desk: Desk) -> None:
    (first,) = coming(1)
    for n in range(10):
        task = await daily(desk)
        both = [fire(desk, task, first.at), desk.store.calendar.skip(desk.caller, task, first.key)]
        found = await asyncio.gather(*both[:: 1 if n % 2 else -1], return_exceptions=True)

        refused = any(isinstance(one, Conflict) for one in found)
        (state,) = await became(desk, task)
        assert state == ("ran" if refused else "excluded")
        assert len(await runs(desk, task)) == refused


async def test_the_only_time_of_a_task_can_be_skipped_and_put_back(desk: Desk) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + DAY
    task = await new_task(desk.store, desk.account, every=86_400_000, start_at=at, end_at=at)

    await desk.store.calendar.skip(desk.caller, task, at)
    skipped = await told(desk, task)
    await desk.store.calendar.unskip(desk.caller, task, at)

    back = await told(desk, task)
    assert (skipped["next_at"], skipped["revision"], skipped["untold_at"] is None) == (None, 2, False)
    assert (back["next_at"], back["revision"]) == (at, 3), "Temporal has to know of it again"


async def test_a_skipped_date_can_be_put_back_until_it_is_over_and_is_then_forgotten(desk: Desk) -> None:
    at = datetime.now(UTC).replace(microsecond=0) + DAY
    task = await new_task(desk.store, desk.account, schedule=at.isoformat())

    async def shown() -> tuple[str | None, datetime | None]:
        fetched = await desk.store.tasks.fetch(desk.account, task)
        assert await desk.store.tasks.list(desk.account, Page(), {}, TaskFilter()) == [fetched]
        return fetched.schedule, fetched.next_run_at

    await desk.store.calendar.skip(desk.caller, task, at)
    skipped = await shown()
    await desk.store.calendar.unskip(desk.caller, task, at)
    back = await shown()
    await desk.store.calendar.skip(desk.caller, task, at)
    before = await told(desk, task)
    place = await fire(desk, task, at)

    assert (skipped, back) == ((at.isoformat(), None), (at.isoformat(), at))
    assert before["revision"] == 1, "it fires, and stands for nothing"
    assert place.run_id is None
    assert await became(desk, task) == ["excluded"]
    over = await told(desk, task)
    assert (over["schedule"], over["next_at"], over["revision"]) == (None, None, 2)


async def test_what_has_no_such_time_has_nothing_to_skip(desk: Desk) -> None:
    task, (first,) = await daily(desk), coming(1)
    foreign = caller(await desk.store.accounts.create("other"))

    for act in (desk.store.calendar.skip, desk.store.calendar.unskip):
        for name in ("", "x", first.key.replace("07:00", "08:00"), first.at + SECOND):
            with pytest.raises(NotFound, match="no such occurrence"):
                await act(desk.caller, task, name)
        with pytest.raises(NotFound):
            await act(foreign, task, first.key)
    assert await became(desk, task) == []


async def test_what_is_past_or_decided_is_neither_taken_out_nor_put_back(desk: Desk) -> None:
    task, times = await due(desk, 2)
    await fire(desk, task, times[0])
    await desk.rows("UPDATE occurrence SET state = 'excluded', run_id = NULL WHERE task_id = $1", task)
    old = [f"{at:%Y-%m-%dT%H:%M:%S}Z" for at in times]

    with pytest.raises(Conflict, match="time has come"):
        await desk.store.calendar.skip(desk.caller, task, old[1])
    for name in old:
        with pytest.raises(Conflict, match="time has come"):
            await desk.store.calendar.unskip(desk.caller, task, name)

    assert await became(desk, task) == ["excluded"]


async def test_of_several_that_are_due_at_one_instant_one_is_named_by_its_key(desk: Desk) -> None:
    now = datetime.now(UTC)
    ahead = [one for year in (now.year, now.year + 1) for one in changes(NEW_YORK, year) if one.gap]
    gap = next(one.at for one in ahead if one.at > now)
    task = await daily(desk, schedule="0,30 2 * * *", overlap="buffer_all")
    (first, second) = between(
        parse(Timing(schedule="0,30 2 * * *", timezone=NEW_YORK), ""), gap - SECOND, gap
    )

    with pytest.raises(Conflict, match="occurrenceId"):
        await desk.store.calendar.skip(desk.caller, task, gap)
    await desk.store.calendar.skip(desk.caller, task, first.key)
    await fire(desk, task, gap)

    rows = await desk.rows("SELECT key, state FROM occurrence WHERE task_id = $1 AND at = $2", task, gap)
    assert {row["key"]: row["state"] for row in rows} == {first.key: "excluded", second.key: "ran"}


async def test_a_thousand_to_come_are_taken_out_and_no_more(desk: Desk) -> None:
    task = await daily(desk)
    found = coming(EXCLUDED + 1)
    await desk.rows(
        "INSERT INTO occurrence (task_id, key, at, state, decided_at) "
        "SELECT $1, key, at, 'excluded', now() FROM unnest($2::text[], $3::timestamptz[]) AS found (key, at)",
        *(task, [one.key for one in found[:-1]], [one.at for one in found[:-1]]),
    )

    with pytest.raises(Conflict, match="1,000"):
        await desk.store.calendar.skip(desk.caller, task, found[-1].key)


# Pause and resume.


async def test_each_time_between_pause_and_resume_is_paused(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account, every=1_000, catchup=60_000, overlap="buffer_all")
    await desk.store.calendar.pause(desk.caller, task, "holidays")
    paused = await told(desk, task)

    async def three_ticks() -> None:
        assert len([one for one in await listed(desk, task, when="past") if one.state == "paused"]) >= 3

    await eventually(three_ticks)
    await fire(desk, task, (await told(desk, task))["next_at"])
    await desk.store.calendar.resume(desk.caller, task, None)
    resumed = await told(desk, task)

    rows = await desk.rows("SELECT at, state FROM occurrence WHERE task_id = $1 ORDER BY at", task)
    expected = between(parse(Timing(every=1_000), task, 0), paused["paused_at"], resumed["resumed_at"])
    assert [(row["at"], row["state"]) for row in rows if row["at"] > paused["paused_at"]] == [
        (one.at, "paused") for one in expected
    ]
    assert (paused["note"], paused["revision"], paused["untold_at"] is None) == ("holidays", 2, False)
    assert (resumed["paused_at"], resumed["note"], resumed["revision"]) == (None, None, 3)
    assert resumed["resumed_at"] > paused["paused_at"]
    assert [act for act, _ in await acts(desk, task) if act in ("task.pause", "task.resume")] == [
        *("task.pause", "task.resume"),
    ]
    await fire(desk, task, resumed["next_at"], "after")
    assert (await became(desk, task))[-1] == "ran"


async def test_what_was_due_before_a_pause_is_decided_as_things_were(desk: Desk) -> None:
    task, times = await due(desk, 2, overlap="buffer_all")

    await desk.store.calendar.pause(desk.caller, task, None)

    assert (await became(desk, task))[:2] == ["ran", "ran"]
    assert [run["due_at"] for run in await runs(desk, task)][:2] == times


async def test_hundreds_that_were_due_before_a_pause_are_decided_first(desk: Desk) -> None:
    task, times = await due(desk, 230, overlap="cancel_other")

    decided = await desk.store.calendar.pause(desk.caller, task, None)

    assert len(await became(desk, task)) >= len(times)
    assert {*await became(desk, task)} == {"ran"}
    assert sum(decided.became.values()) == len(await runs(desk, task))
    assert len(decided.cancel) == len(await runs(desk, task)) - 1
    assert (await told(desk, task))["paused_at"] is not None


async def test_pausing_and_resuming_can_be_repeated_and_a_note_given_is_kept(desk: Desk) -> None:
    task = await daily(desk)

    await desk.store.calendar.resume(desk.caller, task, None)
    for why in ("first", None, "second"):
        await desk.store.calendar.pause(desk.caller, task, why)
    paused = await told(desk, task)
    for _ in range(2):
        await desk.store.calendar.resume(desk.caller, task, "back")
    resumed = await told(desk, task)

    assert (paused["note"], paused["revision"]) == ("second", 2)
    assert (resumed["note"], resumed["revision"]) == ("back", 3)
    assert [act for act, _ in await acts(desk, task)] == ["task.pause", "task.resume"]
    assert await became(desk, task) == []


async def test_a_task_that_failed_before_it_was_resumed_is_not_paused_again(desk: Desk) -> None:
    task, times = await due(desk, 2, pause_on_failure=True, overlap="buffer_all", resumed_at=ago(60))
    await fire(desk, task, times[0])
    (run,) = await runs(desk, task)
    await end(desk, run["id"])
    await desk.store.ledger.ended(task)
    failed = await told(desk, task)

    await desk.store.calendar.resume(desk.caller, task, None)
    await desk.store.ledger.ended(task)

    assert failed["paused_at"] is not None
    assert (await told(desk, task))["paused_at"] is None
    assert (await became(desk, task))[:2] == ["ran", "paused"]


async def test_another_accounts_task_is_neither_paused_nor_resumed(desk: Desk) -> None:
    task = await daily(desk)
    foreign = caller(await desk.store.accounts.create("other"))

    for act in (desk.store.calendar.pause, desk.store.calendar.resume):
        with pytest.raises(NotFound):
            await act(foreign, task, "x")
    assert (await told(desk, task))["paused_at"] is None


async def test_a_cursor_that_is_no_occurrence_is_refused(desk: Desk) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        await listed(desk, await daily(desk), Page(cursor="x"))
