"""Walls and instants: what the clocks of a zone show, and when they show it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, available_timezones

from domain.base import Frozen
from domain.errors import BadRequest

NOT_ZONES = {"localtime", "Factory"}
"""Files beside the zones: whatever this machine is set to, and what a machine is before it is set."""
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)


class Change(Frozen):
    """One time that the clocks of a zone are changed, by an hour forward as a rule, or back."""

    at: datetime
    """The first instant of the new time, UTC."""
    before: timedelta
    """What the clocks were ahead of UTC until then."""
    after: timedelta

    @property
    def gap(self) -> bool:
        """Whether walls are left out; else some come twice."""
        return self.after > self.before

    @property
    def begins(self) -> datetime:
        """The wall that would be shown at that instant without the change."""
        return self.at.replace(tzinfo=None) + self.before

    @property
    def shows(self) -> datetime:
        """The wall that is shown."""
        return self.at.replace(tzinfo=None) + self.after


def zone(name: str | None) -> str:
    """The name of a zone, UTC for none. Raises BadRequest for what is no IANA name, to the letter."""
    if not name:
        return "UTC"
    if name in NOT_ZONES or name not in _names():
        raise BadRequest("timezone: send an IANA name like Europe/London.")
    return name


def ahead(at: datetime, name: str) -> timedelta:
    """What the clocks of a zone are ahead of UTC at an instant."""
    return _ahead(at, ZoneInfo(name))


def shown(at: datetime, tz: ZoneInfo) -> datetime:
    """The wall of an instant."""
    return at.astimezone(tz).replace(tzinfo=None)


def first(wall: datetime, tz: ZoneInfo) -> datetime:
    """The first instant (UTC) that shows a wall; where none does, the first one after the gap."""
    early, late = _candidates(wall, tz)
    if shown(late, tz) == wall or shown(early, tz) == wall:
        return min(early, late)
    return _changed(early, late, tz)


def instants(wall: datetime, tz: ZoneInfo) -> list[datetime]:
    """Every instant (UTC) that shows a wall: one as a rule, none in a gap, two where it comes twice."""
    return [at for at in sorted({*_candidates(wall, tz)}) if shown(at, tz) == wall]


def even(day: date, tz: ZoneInfo) -> timedelta | None:
    """What the clocks are ahead of UTC all of a day; None on a day with a change, or beside one."""
    noon = datetime.combine(day, time(12), tz)
    ahead = {(noon + hours).replace(fold=fold).utcoffset() for hours in (-DAY, DAY) for fold in (0, 1)}
    return noon.utcoffset() if ahead == {noon.utcoffset()} else None


@lru_cache(4_096)
def changes(name: str, year: int) -> tuple[Change, ...]:
    """What is done to the clocks of a zone in a year (UTC)."""
    tz, found = ZoneInfo(name), []
    for begin, end in pairwise(_weeks(year)):
        before, after = _ahead(begin, tz), _ahead(end, tz)
        if before != after:
            found.append(Change(at=_changed(begin, end, tz), before=before, after=after))
    return tuple(found)


@lru_cache(1)
def _names() -> frozenset[str]:
    return frozenset(available_timezones())


def _weeks(year: int) -> Iterator[datetime]:
    """A year in steps that no clock is changed twice in."""
    day, end = datetime(year, 1, 1, tzinfo=UTC), datetime(year + 1, 1, 1, tzinfo=UTC)
    while day < end:
        yield day
        day += 7 * DAY
    yield end


def _ahead(at: datetime, tz: ZoneInfo) -> timedelta:
    return at.astimezone(tz).utcoffset() or timedelta()


def _candidates(wall: datetime, tz: ZoneInfo) -> tuple[datetime, datetime]:
    """What a wall is by the clocks after the nearest change, and by those before it; equal far from one."""
    new, old = wall.replace(tzinfo=tz, fold=1), wall.replace(tzinfo=tz, fold=0)
    return new.astimezone(UTC), old.astimezone(UTC)


def _changed(before: datetime, after: datetime, tz: ZoneInfo) -> datetime:
    """The first whole second that has another time than `before`, which `after` has."""
    ahead = _ahead(before, tz)
    low, high = 0, int((after - before).total_seconds())
    while high - low > 1:
        middle = (low + high) // 2
        if _ahead(before + middle * SECOND, tz) == ahead:
            low = middle
        else:
            high = middle
    return before + high * SECOND
