"""Pages of a ledger: what is written and what is not yet, in one order, each once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import BadRequest
from domain.ledger import AHEAD, LedgerEntry, When, merged, unwritten, window
from domain.paging import Page
from domain.schedule import Schedule, parse
from domain.task import Task
from domain.zones import changes

NOW = datetime(2027, 1, 10, 12, 30, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def task(schedule: str = "0 7 * * *", **more: Any) -> Task:
    """Due each day, and not yet since the morning before yesterday."""
    unsaid = dict.fromkeys(
        (
            *("name", "description", "bot_id", "contact_id", "timezone", "every", "start_at", "end_at"),
            *("catchup", "session_duration", "max_iterations", "max_time", "max_calls", "expires_at"),
            *("paused_at", "note", "trigger_id"),
        )
    )
    said = {"id": "task_1", "account_id": "acct_1", "meta": {}, "schedule": schedule, "overlap": "skip"}
    rest = {"jitter": 0, "pause_on_failure": False, "revision": 1, "created_at": NOW, "updated_at": NOW}
    first = {"next_at": datetime(2027, 1, 8, 7, tzinfo=UTC)}
    return Task.model_validate(unsaid | said | rest | first | more)


def meaning(of: Task) -> Schedule:
    return parse(of.timing, of.id, 0)


def page_of(
    of: Task,
    rows: list[LedgerEntry],
    page: Page | None = None,
    when: When | None = None,
    now: datetime = NOW,
) -> list[LedgerEntry]:
    """As the store makes one, from rows that lie in no database."""
    page = page or Page()
    shown = window(page, when, now)
    held = [
        row
        for row in sorted(rows, key=lambda row: (row.at, row.id), reverse=not page.ascending)
        if shown.since <= row.at <= shown.until
        and ((row.at, row.id) > shown.after if page.ascending else (row.at, row.id) < shown.after)
    ]
    return merged(held[: page.take], unwritten(of, meaning(of), shown, now), shown, page.take)


def pages(of: Task, rows: list[LedgerEntry], page: Page, now: datetime = NOW) -> list[LedgerEntry]:
    """All of them, one after the other."""
    found: list[LedgerEntry] = []
    while more := page_of(of, rows, page, now=now):
        found += more
        page = page.model_copy(update={"cursor": more[-1].id})
    return found


def row(at: datetime, state: Any = "skipped", **more: Any) -> LedgerEntry:
    reason = "overlap" if state == "skipped" else None
    return LedgerEntry(
        id=f"{at:%Y-%m-%dT%H:%M:%S}Z", task_id="task_1", at=at, state=state, reason=reason, **more
    )


def days(found: list[LedgerEntry]) -> list[tuple[int, str]]:
    return [(one.at.timetuple().tm_yday, one.state) for one in found]


def test_what_is_due_and_what_comes_follow_what_is_written() -> None:
    rows = [row(datetime(2027, 1, day, 7, tzinfo=UTC)) for day in (5, 6, 7)]

    found = page_of(task(), rows, Page(ascending=True))

    assert days(found) == [
        *[(day, "skipped") for day in (5, 6, 7)],
        *[(day, "due") for day in (8, 9, 10)],
        *[(10 + day, "expected") for day in range(1, AHEAD + 1)],
    ]
    assert page_of(task(), rows) == found[::-1]


def test_what_was_and_what_comes_can_be_had_by_themselves() -> None:
    rows = [row(datetime(2027, 1, 7, 7, tzinfo=UTC)), row(datetime(2027, 1, 12, 7, tzinfo=UTC), "excluded")]

    past, coming = page_of(task(), rows, when="past"), page_of(task(), rows, Page(ascending=True), "next")

    assert days(past) == [(10, "due"), (9, "due"), (8, "due"), (7, "skipped")]
    assert days(coming)[:3] == [(11, "expected"), (12, "excluded"), (13, "expected")]
    assert len(coming) == AHEAD


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("take", [1, 2, 7, 100])
def test_pages_have_everything_once_in_order(take: int, ascending: bool) -> None:
    rows = [row(datetime(2027, 1, 1, 7, tzinfo=UTC) + n * DAY) for n in range(7)]
    rows += [row(datetime(2027, 1, 13, 7, tzinfo=UTC), "excluded")]
    rows += [row(datetime(2028, 1, 1, 7, tzinfo=UTC), "excluded")]

    found = pages(task(), rows, Page(take=take, ascending=ascending))

    assert len(found) == 7 + 3 + AHEAD + 1
    assert len({one.id for one in found}) == len(found)
    assert sorted(found, key=lambda one: one.at, reverse=not ascending) == found


@pytest.mark.parametrize("ascending", [True, False])
def test_pages_have_everything_once_where_several_are_due_at_one_instant(ascending: bool) -> None:
    gap = next(one for one in changes("America/New_York", 2027) if one.gap).at
    of = task("0,20,40 2 * * *", timezone="America/New_York", next_at=gap)

    found = pages(of, [], Page(take=2, ascending=ascending), gap - HOUR)
    due = [one.id[11:16] for one in found if one.at == gap]

    assert due == (["02:00", "02:20", "02:40"] if ascending else ["02:40", "02:20", "02:00"])
    assert len({one.id for one in found}) == len(found)


def test_a_row_is_believed_where_both_know_of_a_time() -> None:
    at = datetime(2027, 1, 9, 7, tzinfo=UTC)

    found = page_of(task(), [row(at, "missed")], when="past")

    assert days(found) == [(10, "due"), (9, "missed"), (8, "due")]


def test_what_comes_while_a_task_is_paused_is_told_as_paused() -> None:
    found = page_of(task(paused_at=NOW - DAY), [])

    assert {one.state for one in found} == {"paused"}
    assert len(found) == 3 + AHEAD


def test_a_task_that_ends_or_expires_has_nothing_after_that() -> None:
    for bound in ("end_at", "expires_at"):
        more: dict[str, Any] = {bound: datetime(2027, 1, 12, 7, tzinfo=UTC)}
        found = page_of(task(**more), [], when="next")

        assert days(found) == [(12, "expected"), (11, "expected")]


@pytest.mark.parametrize("schedule", ["", "never"])
def test_a_task_without_a_schedule_has_what_is_written(schedule: str) -> None:
    rows = [row(datetime(2027, 1, 7, 7, tzinfo=UTC))]

    assert page_of(task(schedule, next_at=None), rows) == rows


def test_an_outage_of_years_costs_no_more_than_its_page() -> None:
    of = task("* * * * *", next_at=datetime(2001, 1, 1, tzinfo=UTC))

    newest = page_of(of, [], Page(take=5), "past")
    oldest = page_of(of, [], Page(take=5, ascending=True))

    assert [one.at for one in newest] == [NOW - n * timedelta(minutes=1) for n in range(5)]
    assert oldest[0].at == datetime(2001, 1, 1, tzinfo=UTC)


def test_a_cursor_goes_on_where_its_time_was_whatever_the_schedule_is_now() -> None:
    cursor = "2027-01-09T08:00:00[Europe/Berlin]"

    found = page_of(task(timezone="America/New_York"), [], Page(cursor=cursor, take=1))

    assert [one.id for one in found] == ["2027-01-08T07:00:00[America/New_York]"]


@pytest.mark.parametrize("cursor", ["x", "task_1", "2027-02-30T00:00:00Z"])
def test_a_cursor_that_is_no_occurrence_is_refused(cursor: str) -> None:
    with pytest.raises(BadRequest, match="cursor"):
        window(Page(cursor=cursor), None, NOW)


def test_a_word_is_told_of_like_any_schedule() -> None:
    of = task("hourly", next_at=NOW - 2 * HOUR)

    found = page_of(of, [], Page(ascending=True))

    assert [one.state for one in found] == ["due"] * 2 + ["expected"] * AHEAD
