"""Occurrences: once each, in order, whatever is done to the clocks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from time import perf_counter

import pytest

from domain.occurrences import (
    INSTANT,
    Occurrence,
    back,
    between,
    find,
    following,
    instant,
    periods,
    preceding,
    upcoming,
)
from domain.schedule import Schedule, Timing, parse

NEW_YORK, LONDON = "America/New_York", "Europe/London"
GAP, FOLD = datetime(2027, 3, 14, 7, tzinfo=UTC), datetime(2027, 11, 7, 6, tzinfo=UTC)
"""New York's clocks go from 02:00 to 03:00, and from 02:00 back to 01:00."""
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
START = datetime(2027, 1, 1, tzinfo=UTC)


def told(text: str, zone: str = NEW_YORK, **timing: object) -> Schedule:
    return parse(Timing.model_validate({"schedule": text, "timezone": zone} | timing), "task_1")


def near(text: str, change: datetime, zone: str = NEW_YORK) -> list[tuple[str, str]]:
    """What is due within a day of a change: the wall of the key, and when."""
    return [plainly(one) for one in between(told(text, zone), change - 12 * HOUR, change + 12 * HOUR)]


def plainly(one: Occurrence) -> tuple[str, str]:
    return one.key.partition("[")[0], f"{one.at:%H:%M}"


def due(schedule: Schedule, at: datetime) -> list[Occurrence]:
    """What is due at an instant."""
    return [*between(schedule, at - INSTANT, at)]


def test_an_occurrence_is_known_by_its_wall_and_zone() -> None:
    assert following(told("0 7 * * 1-5"), datetime(2027, 1, 1, 12, tzinfo=UTC), 2) == [
        Occurrence(key="2027-01-04T07:00:00[America/New_York]", at=datetime(2027, 1, 4, 12, tzinfo=UTC)),
        Occurrence(key="2027-01-05T07:00:00[America/New_York]", at=datetime(2027, 1, 5, 12, tzinfo=UTC)),
    ]


def test_one_whose_hour_is_wild_is_known_by_its_time_in_utc() -> None:
    assert [one.key for one in following(told("30 */2 * * *"), GAP - HOUR, 3)] == [
        "2027-03-14T08:30:00Z",
        "2027-03-14T10:30:00Z",
        "2027-03-14T12:30:00Z",
    ]


@pytest.mark.parametrize("text", ["0 7 * * *", "30 * * * *", "daily"])
def test_in_utc_a_wall_is_known_by_its_time(text: str) -> None:
    assert following(told(text, "UTC"), START, 1)[0].key.endswith("Z")


def test_what_the_clocks_leave_out_is_due_at_the_first_instant_after() -> None:
    assert near("30 2 * * *", GAP) == [("2027-03-14T02:30:00", "07:00")]


def test_each_wall_that_is_left_out_is_one_occurrence_beside_those_that_are_shown() -> None:
    assert near("0,30 2-3 * * *", GAP) == [
        ("2027-03-14T02:00:00", "07:00"),
        ("2027-03-14T02:30:00", "07:00"),
        ("2027-03-14T03:00:00", "07:00"),
        ("2027-03-14T03:30:00", "07:30"),
    ]


def test_what_comes_twice_is_due_the_first_time() -> None:
    assert near("30 1 * * *", FOLD) == [("2027-11-07T01:30:00", "05:30")]


def test_minutes_with_a_star_follow_the_wall_like_others() -> None:
    assert near("*/30 2 * * *", GAP) == near("0,30 2 * * *", GAP)
    assert near("*/30 1 * * *", FOLD) == near("0,30 1 * * *", FOLD)


def test_a_wild_hour_runs_each_real_hour() -> None:
    for change in (GAP, FOLD):
        due_ = [*between(told("0 * * * *"), change - 12 * HOUR, change + 12 * HOUR)]

        assert len(due_) == 24
        assert {later.at - earlier.at for earlier, later in pairwise(due_)} == {HOUR}


def test_half_an_hour_is_a_change_as_well() -> None:
    back = datetime(2027, 4, 3, 15, tzinfo=UTC)

    assert near("45 1 * * *", back, "Australia/Lord_Howe") == [("2027-04-04T01:45:00", "14:45")]
    assert [at for _, at in near("*/15 1 * * *", back, "Australia/Lord_Howe")] == [
        "14:00",
        "14:15",
        "14:30",
        "14:45",
    ]
    assert [at for _, at in near("*/15 * * * *", back, "Australia/Lord_Howe")][47:51] == [
        "15:00",
        "15:15",
        "15:30",
        "15:45",
    ]
    forward = datetime(2027, 10, 2, 15, 30, tzinfo=UTC)
    assert near("15 2 * * *", forward, "Australia/Lord_Howe") == [("2027-10-03T02:15:00", "15:30")]


def test_a_day_that_was_left_out_is_due_at_the_start_of_the_next() -> None:
    # Samoa had no 30 December 2011.
    samoa = told("0 7 * * *", "Pacific/Apia")
    found = [*between(samoa, datetime(2011, 12, 29, tzinfo=UTC), datetime(2011, 12, 31, tzinfo=UTC))]

    assert [plainly(one) for one in found] == [
        ("2011-12-29T07:00:00", "17:00"),
        ("2011-12-30T07:00:00", "10:00"),
        ("2011-12-31T07:00:00", "17:00"),
    ]


def test_a_day_that_ends_after_the_next_began_is_in_order() -> None:
    # At one minute past midnight the clocks went back to 23:01.
    change = datetime(2010, 11, 7, 2, 31, tzinfo=UTC)
    for text in ("*/30 * * * *", "30 23,0 * * *"):
        schedule = told(text, "America/St_Johns")
        found = [one.at for one in between(schedule, change - DAY, change + DAY)]

        assert found == sorted(found)
        assert [one.at for one in preceding(schedule, found[-1] + timedelta(seconds=1), len(found))] == found[
            ::-1
        ]


@pytest.mark.parametrize("change", [GAP, FOLD])
@pytest.mark.parametrize("text", ["*/20 * * * *", "0,30 1-3 * * *", "hourly", "0 7 * * *", "30 */3 * * 0,6"])
def test_looking_back_sees_the_same(text: str, change: datetime) -> None:
    schedule, begin, end = told(text), change - 3 * DAY, change + 3 * DAY
    forward = [*between(schedule, begin, end)]

    assert [*reversed(preceding(schedule, end + timedelta(microseconds=1), len(forward)))] == forward
    assert len({one.key for one in forward}) == len(forward)


@pytest.mark.parametrize("change", [GAP, FOLD])
@pytest.mark.parametrize(
    "text",
    [
        "0,30 1-3 * * *",
        "*/20 * * * *",
        "0 7 * * *",
        "hourly",
        "monthly",
        "2027-03-14T02:30",
        "2027-11-07T01:30",
    ],
)
def test_each_is_found_by_its_key(text: str, change: datetime) -> None:
    schedule = told(text)
    found = [*between(schedule, change - 20 * DAY, change + 20 * DAY)]

    assert found or text.startswith("2027")
    assert [find(schedule, one.key) for one in found] == found
    assert [instant(one.key) for one in found] == [one.at for one in found]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "task_1",
        "2027-01-04",
        "2027-01-04T07:00:00",
        "2027-13-04T07:00:00Z",
        "2027-02-30T07:00:00Z",
        "2027-01-04T07:00:00[Mars/Phobos]",
        "2027-01-04T07:00:00[/etc/passwd]",
        "1999-12-31T07:00:00Z",
        "9999-12-31T23:59:59[America/New_York]",
        "0001-01-01T00:00:00[Asia/Tokyo]",
        "٢٠٢٧-01-04T07:00:00Z",
    ],
)
def test_what_is_no_key_is_nobodys(name: str) -> None:
    assert instant(name) is None
    assert find(told("* * * * *", "UTC"), name) is None


@pytest.mark.parametrize(
    "name",
    ["2027-01-04T07:00:00Z", "2027-01-04T07:00:00[Europe/London]", "2027-01-04T08:00:00[America/New_York]"],
)
def test_a_key_of_another_zone_or_another_time_is_not_found(name: str) -> None:
    assert instant(name) is not None
    assert find(told("0 7 * * *"), name) is None
    assert find(told("0 7 * * *"), "2027-01-04T07:00:00[America/New_York]") is not None


def test_one_looks_back_down_to_an_instant_that_is_included() -> None:
    schedule = told("0 * * * *", "UTC")

    assert [one.at.hour for one in back(schedule, START + 3 * HOUR, START + HOUR)] == [2, 1]
    assert [*back(schedule, START, START + HOUR)] == []


def test_between_leaves_the_first_instant_out_and_takes_the_last_in() -> None:
    schedule = told("0 * * * *", "UTC")

    assert [one.at.hour for one in between(schedule, START, START + 3 * HOUR)] == [1, 2, 3]
    assert [one.at.hour for one in between(schedule, START, START + DAY, limit=2)] == [1, 2]
    assert [one.at.hour for one in preceding(schedule, START + 3 * HOUR, 2)] == [2, 1]


def test_no_schedule_and_a_date_that_is_past_have_nothing_to_come() -> None:
    assert following(told("never"), START, 1) == []
    past = told("2026-12-31T10:00", "UTC")
    assert following(past, START, 1) == []
    assert [one.key for one in preceding(past, START, 5)] == ["2026-12-31T10:00:00Z"]
    assert following(told("1999-12-31", "UTC"), datetime(1990, 1, 1, tzinfo=UTC), 1) == []


@pytest.mark.parametrize(
    ("word", "count", "apart"),
    [
        ("quarterhourly", 4 * 24 * 365, {HOUR / 4}),
        ("halfhourly", 2 * 24 * 365, {HOUR / 2}),
        ("hourly", 24 * 365, {HOUR}),
        ("twicedaily", 2 * 365, {DAY / 2}),
        ("daily", 365, {DAY}),
        ("twiceweekly", 104, {DAY * 3.5}),
        ("weekly", 52, {DAY * 7}),
        ("twicemonthly", 24, {DAY * 14, DAY * 16, DAY * 17}),
        ("monthly", 12, {DAY * 28, DAY * 30, DAY * 31}),
    ],
)
def test_a_word_is_due_as_often_as_it_says(word: str, count: int, apart: set[timedelta]) -> None:
    found = [*between(told(word), START, datetime(2028, 1, 1, tzinfo=UTC))]

    assert len(found) in (count, count + 1)
    assert {later.at - earlier.at for earlier, later in pairwise(found)} == apart


def test_a_new_task_first_runs_at_its_own_place_within_one_period() -> None:
    firsts = {
        following(parse(Timing(schedule="hourly"), f"task_{number}"), START, 1)[0].at for number in range(500)
    }

    assert len(firsts) > 400
    assert all(START < first <= START + HOUR for first in firsts)


def test_nothing_is_due_outside_of_start_and_end() -> None:
    bounded = told("0 7 * * *", "UTC", start_at=START + 7 * HOUR, end_at=START + 2 * DAY + 7 * HOUR)

    assert [one.at.day for one in following(bounded, START - 99 * DAY, 9)] == [1, 2, 3]
    assert [one.at.day for one in preceding(bounded, START + 99 * DAY, 9)] == [3, 2, 1]


def test_every_is_due_first_when_it_starts() -> None:
    schedule = parse(Timing(every=90_000, start_at=START), "task_1")

    assert [one.at - START for one in following(schedule, START - DAY, 2)] == [
        timedelta(0),
        timedelta(seconds=90),
    ]


def test_what_was_taken_out_is_not_due() -> None:
    schedule = told("0 7 * * *", "UTC").model_copy(update={"excluded": frozenset({"2027-01-02T07:00:00Z"})})

    assert [one.at.day for one in following(schedule, START, 3)] == [1, 3, 4]
    assert due(schedule, START + DAY + 7 * HOUR) == []


def test_however_far_one_looks_there_is_an_end() -> None:
    for text in ("0 7 * * *", "*/5 * * * *", "hourly", "monthly"):
        assert following(told(text), datetime.max.replace(tzinfo=UTC), 1) == []
        assert preceding(told(text), datetime.min.replace(tzinfo=UTC), 1) == []
        assert following(told(text), datetime.min.replace(tzinfo=UTC), 1)[0].at.year == 2000
        assert preceding(told(text), datetime.max.replace(tzinfo=UTC), 1)[0].at.year in (2099, 2100)


def test_rare_ones_are_found_at_once() -> None:
    began = perf_counter()

    assert following(told("0 0 29 2 */7"), START, 3)[-1].at.year == 2088
    assert [one.at.year for one in preceding(told("0 0 29 2 *"), START, 6)][-1] == 2004
    assert len(following(told("* * * * *"), START, 20)) == 20
    assert following(told("0 0 1 1 *"), datetime(2098, 6, 1, tzinfo=UTC), 9)[-1].at.year == 2099
    assert perf_counter() - began < 1


def test_an_instant_between_two_has_nothing() -> None:
    schedule = told("0,30 1-3 * * *")

    assert [plainly(one) for one in due(schedule, GAP - HOUR)] == [("2027-03-14T01:00:00", "06:00")]
    assert due(schedule, GAP + HOUR) == []


def test_all_that_a_gap_leaves_out_is_due_at_its_end() -> None:
    assert [one.key[:19] for one in due(told("0,30 1-3 * * *"), GAP)] == [
        "2027-03-14T02:00:00",
        "2027-03-14T02:30:00",
        "2027-03-14T03:00:00",
    ]


def test_nothing_is_due_at_a_walls_second_time_but_in_a_wild_hour() -> None:
    schedule = told("30 1 * * *")

    assert [one.at for one in due(schedule, FOLD - HOUR / 2)] == [FOLD - HOUR / 2]
    assert due(schedule, FOLD + HOUR / 2) == []
    assert [one.at for one in due(told("30 * * * *"), FOLD + HOUR / 2)] == [FOLD + HOUR / 2]


def test_a_past_year_of_weekdays_at_seven_is_each_of_them_once() -> None:
    found = [
        *between(
            told("0 7 * * 1-5", LONDON), datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)
        )
    ]

    weekdays = [START.replace(year=2025) + day * DAY for day in range(365)]
    assert [one.key for one in found] == [
        f"{day:%Y-%m-%d}T07:00:00[Europe/London]" for day in weekdays if day.isoweekday() < 6
    ]
    assert {one.at.hour for one in found} == {6, 7}


def test_a_time_has_a_period_of_its_own_which_is_how_long_it_is_to_the_next() -> None:
    schedule = told("0 7,8 * * *", "UTC")
    times = [one.at for one in following(schedule, START, 5)]

    assert periods(schedule, times) == [HOUR, 23 * HOUR, HOUR, 23 * HOUR, HOUR]
    assert periods(schedule, times[1:2]) == [23 * HOUR]
    assert periods(schedule, []) == []


def test_the_last_time_has_the_period_of_the_one_before_and_an_only_one_has_none() -> None:
    first, second = (one.at for one in following(told("0 7,8 * * *", "UTC"), START, 2))
    date = told("2027-06-01", "UTC")

    assert periods(told("0 7,8 * * *", "UTC", end_at=second), [second]) == [HOUR]
    assert periods(told("0 7,8 * * *", "UTC", start_at=first, end_at=first), [first]) == [None]
    assert periods(date, [following(date, START, 1)[0].at]) == [None]


def test_times_that_are_due_at_one_instant_have_one_period() -> None:
    assert periods(told("0,30 2 * * *"), [GAP]) == [23 * HOUR]


def test_a_date_that_was_taken_out_is_waited_for_and_any_other_time_is_passed_over() -> None:
    at = datetime(2027, 6, 1, 7, tzinfo=UTC)
    away = {"excluded": frozenset({"2027-06-01T07:00:00Z"})}
    date, daily = (told(text, "UTC").model_copy(update=away) for text in ("2027-06-01T07:00:00", "0 7 * * *"))

    assert [upcoming(date, at - HOUR), upcoming(date, at)] == [at, None]
    assert upcoming(daily, at - HOUR) == at + DAY
