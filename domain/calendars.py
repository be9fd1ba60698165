"""What Temporal is told of a schedule: calendars and intervals whose firings hold every occurrence.

Temporal's calendars are no cron (measured on 1.32, and read in its source). A day matches by its date *and*
its weekday. Near a change of the clocks they skip what is left out, fire twice, or only the second time, for
what comes twice, and lose some of the hour after; a day without a midnight has the weekday of the day before.
So what is due near a change is spelled out, instant by instant. What remains is that it fires too often,
and a spare firing finds nothing that is not decided yet.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta

from domain import zones
from domain.base import Frozen
from domain.cron import Cron
from domain.occurrences import between
from domain.schedule import DAY, YEARS, Every, Monthly, Once, Schedule
from domain.zones import Change

AHEAD = 2
"""Years (UTC) whose changes are spelled out: the one asked about, and the next."""
HOUR = timedelta(hours=1)


class Span(Frozen):
    """Whole numbers from one to another, both included."""

    start: int
    end: int


Spans = tuple[Span, ...]


class Calendar(Frozen):
    """Each second whose fields all match, on the walls of the spec's zone; no spans match every year."""

    second: Spans
    minute: Spans
    hour: Spans
    day: Spans
    month: Spans
    weekday: Spans
    """0, Sunday, to 6."""
    year: Spans = ()


class Interval(Frozen):
    """Each instant whose seconds since 1970 leave the phase when divided by the period."""

    period: int
    phase: int


class Spec(Frozen):
    """What fires a schedule: any of these, from one instant to another, both included."""

    calendars: tuple[Calendar, ...] = ()
    intervals: tuple[Interval, ...] = ()
    zone: str = "UTC"
    start_at: datetime | None = None
    end_at: datetime | None = None


FULL = [24, 31, 12, 7]
"""How many hours, days, months and weekdays there are."""


def calendars(schedule: Schedule, year: int) -> Spec:
    """What Temporal is to be told in a year (UTC), and told again in the next, whose changes are others.

    Occurrences taken out by hand are not taken out here: they fire, and stand for nothing.
    """
    rule, spec = schedule.rule, Spec(start_at=schedule.start_at, end_at=schedule.end_at)
    if isinstance(rule, Every):
        return spec.model_copy(update={"intervals": (Interval(period=rule.period, phase=rule.phase),)})
    if isinstance(rule, Monthly):
        return spec.model_copy(update={"calendars": tuple(_monthly(slot) for slot in rule.slots)})
    if isinstance(rule, Once) and rule.at.year >= YEARS[0]:
        return spec.model_copy(update={"calendars": (_exactly(rule.at),)})
    if isinstance(rule, Cron):
        return _cron(rule, spec, schedule.zone, year)
    return spec


def _cron(rule: Cron, spec: Spec, zone: str, year: int) -> Spec:
    changes = [change for near in range(year, year + AHEAD) for change in zones.changes(zone, near)]
    shift = _shift(rule, zone, year, changes)
    if shift is not None:
        minutes = sorted((minute - shift) % 60 for minute in rule.minutes)
        return spec.model_copy(update={"calendars": (_calendar(minutes, rule.hours),)})
    days = [change.shows.date() for change in changes if _without_midnight(change)]
    found = (*_usual(rule), *(_on(rule, day) for day in days if rule.meets(day)))
    near = tuple(_instant(at) for at in _near(rule, zone, changes))
    return spec.model_copy(update={"calendars": found, "intervals": near, "zone": zone})


def _shift(rule: Cron, zone: str, year: int, changes: list[Change]) -> int | None:
    """How many minutes past the hour of UTC the hours of a zone begin, for a rule of every hour; else None.

    Such a rule knows nothing of hours and days, so it can be told in UTC, which has no changes.
    """
    if (
        not rule.wild
        or [len(values) for values in (rule.hours, rule.days, rule.months, rule.weekdays)] != FULL
    ):
        return None
    ahead = {zones.ahead(datetime(year, 1, 1, tzinfo=UTC), zone), *(change.after for change in changes)}
    shifts = {int(offset.total_seconds()) // 60 % 60 for offset in ahead}
    return shifts.pop() if len(shifts) == 1 else None


def _near(rule: Cron, zone: str, changes: list[Change]) -> list[datetime]:
    """When something is due around a change: while walls come twice, and in the hour after it."""
    schedule, found = Schedule(rule=rule, zone=zone), set[datetime]()
    for change in changes:
        twice = max(change.before - change.after, timedelta())
        after, until = change.at - twice - zones.SECOND, change.at + twice + HOUR
        found.update(occurrence.at for occurrence in between(schedule, after, until))
    return sorted(found)


def _instant(at: datetime) -> Interval:
    """An interval that fires then, for the first time since 1970, and next in as many years.

    No phase: Temporal passes over the first time of an interval whose phase is yet to come.
    """
    return Interval(period=int(at.timestamp()), phase=0)


def _without_midnight(change: Change) -> bool:
    midnight = datetime.combine(change.shows, time())
    return change.begins <= midnight < change.shows


def _usual(rule: Cron) -> list[Calendar]:
    """One where a day must match by date and weekday, or by one of them alone; two where either will do."""
    whole = _calendar(rule.minutes, rule.hours, rule.months)
    day, weekday = {"day": _spans(rule.days)}, {"weekday": _spans(rule.weekdays)}
    return [whole.model_copy(update=each) for each in ([day | weekday] if rule.both else [day, weekday])]


def _on(rule: Cron, day: date) -> Calendar:
    dated = {"day": _spans([day.day]), "month": _spans([day.month]), "year": _spans([day.year])}
    return _calendar(rule.minutes, rule.hours).model_copy(update=dated)


def _monthly(slot: int) -> Calendar:
    days, rest = divmod(slot, DAY)
    calendar = _calendar([rest // 60 % 60], [rest // 3_600])
    return calendar.model_copy(update={"second": _spans([rest % 60]), "day": _spans([days + 1])})


def _exactly(at: datetime) -> Calendar:
    dated = {"second": [at.second], "day": [at.day], "month": [at.month], "year": [at.year]}
    update = {name: _spans(values) for name, values in dated.items()}
    return _calendar([at.minute], [at.hour]).model_copy(update=update)


def _calendar(minutes: Iterable[int], hours: Iterable[int], months: Iterable[int] = range(1, 13)) -> Calendar:
    """Every day of some months, at some times."""
    return Calendar(
        second=_spans([0]),
        minute=_spans(minutes),
        hour=_spans(hours),
        day=_spans(range(1, 32)),
        month=_spans(months),
        weekday=_spans(range(7)),
    )


def _spans(values: Iterable[int]) -> Spans:
    """Rising numbers, those in a row as one span."""
    found: list[Span] = []
    for value in values:
        if found and value == found[-1].end + 1:
            found[-1] = Span(start=found[-1].start, end=value)
        else:
            found.append(Span(start=value, end=value))
    return tuple(found)
