"""What Temporal is told of a schedule, as data; `tests/workflows/test_schedules.py` asks Temporal itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.calendars import Calendar, Interval, Span, Spans, Spec, calendars
from domain.schedule import Every, Monthly, Schedule, Timing, parse

EVERY_DAY, EVERY_MONTH, EVERY_WEEKDAY = (
    (Span(start=low, end=high),) for low, high in ((1, 31), (1, 12), (0, 6))
)


def told(schedule: str | None, zone: str = "UTC", **timing: object) -> Spec:
    said = Timing.model_validate({"schedule": schedule, "timezone": zone} | timing)
    return calendars(parse(said, "task_1"), 2027)


def only(*values: int) -> Spans:
    return tuple(Span(start=value, end=value) for value in values)


def calendar(minute: Spans, hour: Spans, **others: Spans) -> Calendar:
    usual = {"second": only(0), "day": EVERY_DAY, "month": EVERY_MONTH, "weekday": EVERY_WEEKDAY}
    return Calendar.model_validate(usual | {"minute": minute, "hour": hour} | others)


@pytest.mark.parametrize("text", ["", "never", "1999-12-31"])
def test_no_schedule_is_nothing_to_fire(text: str) -> None:
    assert told(text) == Spec()


def test_a_day_by_its_date_or_its_weekday_is_two_calendars() -> None:
    assert told("0 12 1,15 * 1-5").calendars == (
        calendar(only(0), only(12), day=only(1, 15)),
        calendar(only(0), only(12), weekday=(Span(start=1, end=5),)),
    )


def test_a_day_by_date_and_weekday_is_one() -> None:
    assert told("0 12 */10 3 1").calendars == (
        calendar(only(0), only(12), day=only(1, 11, 21, 31), month=only(3), weekday=only(1)),
    )


def test_it_is_on_the_zones_clocks() -> None:
    spec = told("0 7 * * *", "Asia/Tokyo")

    assert (spec.zone, spec.intervals, len(spec.calendars)) == ("Asia/Tokyo", (), 1)


@pytest.mark.parametrize(
    ("zone", "minutes"), [("Europe/London", (0, 20, 40)), ("Asia/Kathmandu", (15, 35, 55))]
)
def test_every_hour_of_every_day_is_told_in_utc_which_has_no_changes(
    zone: str, minutes: tuple[int, ...]
) -> None:
    assert told("*/20 * * * *", zone) == Spec(calendars=(calendar(only(*minutes), (Span(start=0, end=23),)),))


def test_what_is_due_near_a_change_is_spelled_out_in_this_year_and_the_next() -> None:
    spec = told("30 2 * * *", "America/New_York")

    assert [datetime.fromtimestamp(interval.period, UTC) for interval in spec.intervals] == [
        datetime(2027, 3, 14, 7, tzinfo=UTC),
        datetime(2027, 11, 7, 7, 30, tzinfo=UTC),
        datetime(2028, 3, 12, 7, tzinfo=UTC),
        datetime(2028, 11, 5, 7, 30, tzinfo=UTC),
    ]
    assert {interval.phase for interval in spec.intervals} == {0}
    assert told("0 12 * * *", "America/New_York").intervals == ()


def test_a_day_without_a_midnight_is_spelled_out_for_its_weekday() -> None:
    spec = told("0 7 * * 0", "America/Havana")

    assert spec.calendars[1:] == (
        calendar(only(0), only(7), day=only(14), month=only(3), year=only(2027)),
        calendar(only(0), only(7), day=only(12), month=only(3), year=only(2028)),
    )
    assert len(told("0 7 * * 1", "America/Havana").calendars) == 1


def test_words_and_periods_are_intervals() -> None:
    rule = parse(Timing(schedule="weekly"), "task_1").rule

    assert isinstance(rule, Every)
    assert told("weekly", "America/New_York") == Spec(
        intervals=(Interval(period=7 * 86_400, phase=rule.phase),)
    )


def test_months_are_calendars_in_utc() -> None:
    for word in ("monthly", "twicemonthly"):
        rule, spec = parse(Timing(schedule=word), "task_1").rule, told(word, "America/New_York")
        assert isinstance(rule, Monthly)
        slots = [
            (found.day[0].start - 1) * 86_400
            + found.hour[0].start * 3_600
            + found.minute[0].start * 60
            + found.second[0].start
            for found in spec.calendars
        ]

        assert (tuple(slots), spec.zone) == (rule.slots, "UTC")


def test_a_date_is_its_instant_in_utc() -> None:
    spec = told("2027-03-14T02:30", "America/New_York")

    assert spec == Spec(calendars=(calendar(only(0), only(7), day=only(14), month=only(3), year=only(2027)),))


def test_start_and_end_go_with_it_and_what_was_taken_out_does_not() -> None:
    start = datetime(2027, 1, 1, tzinfo=UTC)
    schedule = parse(Timing(schedule="07:00", start_at=start, end_at=start + timedelta(days=9)), "task_1")

    spec = calendars(schedule.model_copy(update={"excluded": frozenset({"2027-01-02T07:00:00Z"})}), 2027)

    assert spec == calendars(schedule, 2027)
    assert (spec.start_at, spec.end_at) == (start, start + timedelta(days=9))


def test_what_is_told_stays_small() -> None:
    worst = [
        calendars(Schedule(rule=parse(Timing(schedule=text), "x").rule, zone=zone), 2027)
        for text in ("* * * * 0,6", "* 0-3 * * *", "* */2 * * *")
        for zone in ("Europe/London", "Africa/Casablanca", "Antarctica/Troll", "Australia/Lord_Howe")
    ]

    assert max(len(spec.intervals) for spec in worst) <= 1_000
