"""Occurrences: each time that a schedule is due, once, whatever is done to the clocks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, pairwise, takewhile
from zoneinfo import ZoneInfo

from domain import zones
from domain.base import Frozen
from domain.cron import Cron
from domain.errors import BadRequest
from domain.schedule import YEARS, Every, Monthly, Once, Schedule, key

FIRST = datetime(YEARS[0], 1, 1, tzinfo=UTC)
LAST = datetime(YEARS[1] + 1, 1, 1, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)
"""What lies between two times, here and in Postgres."""
_DAY = timedelta(days=1)
_KEY = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:Z|\[(\S{1,100})\])", re.ASCII)

Due = tuple[datetime, str]
"""An instant (UTC) and its occurrence's key."""


class Occurrence(Frozen):
    """One time that a schedule is due.

    In a gap of the clocks several may be due at one instant, for they are several on the wall.
    """

    key: str
    """Its own for ever: the wall and its zone, or UTC where the rule follows real time."""
    at: datetime
    """When, UTC: the first instant that shows its wall, or the first after the gap that leaves it out."""


def between(
    schedule: Schedule, after: datetime, until: datetime, limit: int | None = None
) -> Iterator[Occurrence]:
    """Those after an instant and up to another, that one included, in order; so many at most."""
    due = takewhile(lambda occurrence: occurrence.at <= until, _walk(schedule, after, 1))
    return islice(due, limit)


def following(schedule: Schedule, after: datetime, count: int) -> list[Occurrence]:
    """The next ones."""
    return [*islice(_walk(schedule, after, 1), count)]


def preceding(schedule: Schedule, before: datetime, count: int) -> list[Occurrence]:
    """The ones before an instant, the latest first."""
    return [*islice(_walk(schedule, before, -1), count)]


def back(schedule: Schedule, before: datetime, since: datetime) -> Iterator[Occurrence]:
    """Those before an instant and down to another, that one included, the latest first."""
    return takewhile(lambda occurrence: occurrence.at >= since, _walk(schedule, before, -1))


def upcoming(schedule: Schedule, after: datetime) -> datetime | None:
    """When it is due next. A date that was taken out is waited for all the same: only then is it over."""
    if isinstance(schedule.rule, Once):
        schedule = schedule.model_copy(update={"excluded": frozenset()})
    coming = following(schedule, after, 1)
    return coming[0].at if coming else None


def periods(schedule: Schedule, times: Sequence[datetime]) -> list[timedelta | None]:
    """How long it is from each of its times, given in order, to the next; from the one before to the last.

    None: it is the only one.
    """
    if not times:
        return []
    first, last = times[0], times[-1]
    near = [*preceding(schedule, first, 1), *between(schedule, first, last), *following(schedule, last, 1)]
    known = sorted({*times, *(one.at for one in near)})
    steps: list[timedelta | None] = [later - at for at, later in pairwise(known)]
    step = dict(zip(known, [*steps, steps[-1] if steps else None], strict=True))
    return [step[at] for at in times]


def find(schedule: Schedule, name: str) -> Occurrence | None:
    """The one with a key; None where the schedule has none, and for what is no key."""
    at = instant(name)
    if at is None:
        return None
    return next((one for one in between(schedule, at - INSTANT, at) if one.key == name), None)


def instant(name: str) -> datetime | None:
    """When the occurrence with a key is due, whatever the schedule; None for what is no key."""
    read = _KEY.fullmatch(name)
    if read is None:
        return None
    try:
        wall, zone = datetime.fromisoformat(read[1]), zones.zone(read[2])
    except (ValueError, BadRequest):
        return None
    return zones.first(wall, ZoneInfo(zone)) if YEARS[0] <= wall.year <= LAST.year else None


def moments(rule: Cron, tz: ZoneInfo, day: date) -> Iterator[tuple[datetime, datetime]]:
    """A day of a cron rule: instants, and the walls they are due for. In order, but on a day of a change."""
    ahead = zones.even(day, tz)
    for hour in rule.hours:
        for minute in rule.minutes:
            wall = datetime.combine(day, time(hour, minute))
            if ahead is not None:
                yield (wall - ahead).replace(tzinfo=UTC), wall
            elif rule.wild:
                yield from ((at, wall) for at in zones.instants(wall, tz))
            else:
                yield zones.first(wall, tz), wall


def _walk(schedule: Schedule, start: datetime, step: int) -> Iterator[Occurrence]:
    """Forward (1) from the first after an instant, or backward (-1) from the last before it."""
    low, high = schedule.start_at or FIRST, schedule.end_at or LAST
    start = min(max(start, low - INSTANT), high + INSTANT)
    for at, name in _due(schedule, start, step):
        if not low <= at <= high:
            return
        if name not in schedule.excluded:
            yield Occurrence(key=name, at=at)


def _due(schedule: Schedule, start: datetime, step: int) -> Iterator[Due]:
    rule = schedule.rule
    if isinstance(rule, Every):
        found = _every(rule, start, step)
    elif isinstance(rule, Monthly):
        found = _monthly(rule, start, step)
    elif isinstance(rule, Cron):
        found = _cron(rule, schedule.zone, start, step)
    else:
        found = iter([(rule.at, rule.key)] if isinstance(rule, Once) else [])
    return (one for one in found if _beyond(one[0], start, step))


def _every(rule: Every, start: datetime, step: int) -> Iterator[Due]:
    count = (int(start.timestamp()) - rule.phase) // rule.period + (step < 0)
    while True:
        at = datetime.fromtimestamp(count * rule.period + rule.phase, UTC)
        yield at, key(at, "UTC")
        count += step


def _monthly(rule: Monthly, start: datetime, step: int) -> Iterator[Due]:
    month = start.year * 12 + start.month - 1
    while True:
        begins = datetime(month // 12, month % 12 + 1, 1, tzinfo=UTC)
        for slot in rule.slots[::step]:
            at = begins + timedelta(seconds=slot)
            yield at, key(at, "UTC")
        month += step


def _cron(rule: Cron, zone: str, start: datetime, step: int) -> Iterator[Due]:
    """In order, though where the clocks change, the end of a day can come after the start of the next."""
    tz = ZoneInfo(zone)
    begin = zones.shown(start, tz).date()
    if zones.even(begin, tz) is None:
        begin -= step * _DAY
    uneven: list[tuple[datetime, datetime]] = []
    for day in rule.dates(begin, step):
        found = ((at, wall) for at, wall in moments(rule, tz, day) if _beyond(at, start, step))
        if zones.even(day, tz) is None:
            uneven += found
            continue
        yield from _named(rule, zone, sorted(uneven)[::step])
        uneven = []
        yield from _named(rule, zone, found if step > 0 else [*found][::-1])


def _named(rule: Cron, zone: str, found: Iterable[tuple[datetime, datetime]]) -> Iterator[Due]:
    for at, wall in found:
        yield at, key(at, "UTC") if rule.wild else key(wall, zone)


def _beyond(at: datetime, start: datetime, step: int) -> bool:
    return at > start if step > 0 else at < start
