"""A schedule: when a task or a trigger is due, as its owner says it and as it is kept."""

from __future__ import annotations

import hashlib
import re
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from domain import cron, dates, zones
from domain.base import Frozen
from domain.cron import Cron
from domain.errors import BadRequest

MINUTE, HOUR, DAY = 60, 3_600, 86_400
LONGEST_TEXT = 200
LONGEST_EVERY = 366 * DAY
YEARS = (2000, 2099)
"""The years that a schedule knows, first and last; Temporal's calendars end with 2100."""
SHORTEST = 60_000
"""Milliseconds between two runs, unless the operator says otherwise."""

PERIODS = {
    "quarterhourly": 15 * MINUTE,
    "halfhourly": 30 * MINUTE,
    "hourly": HOUR,
    "twicedaily": 12 * HOUR,
    "daily": DAY,
    "twiceweekly": 7 * DAY // 2,
    "weekly": 7 * DAY,
}
HALVES = {"twicemonthly": 2, "monthly": 1}
"""The words of the calendar month: runs in each, 14 days apart."""
NEVER = "never"
WORDS = (NEVER, *PERIODS, *HALVES)
_CLOCK = re.compile(r"(\d{1,2}):(\d{2})", re.ASCII)


class Every(Frozen):
    """At each instant whose seconds since 1970 leave the phase when divided by the period."""

    period: int
    """Seconds, as is the phase."""
    phase: int


class Monthly(Frozen):
    """In each month of UTC, so many seconds after its beginning."""

    slots: tuple[int, ...]


class Once(Frozen):
    """At one instant, and never again."""

    at: datetime
    key: str


Rule = Cron | Every | Monthly | Once


class Timing(Frozen):
    """What a task's owner says about when (contract §6.1; the last three are ours)."""

    schedule: str | None = None
    timezone: str | None = None
    every: int | None = None
    """Milliseconds; instead of a schedule."""
    start_at: datetime | None = None
    """Nothing is due before; `every` counts from here."""
    end_at: datetime | None = None
    """Nothing is due after."""


class Schedule(Frozen):
    """What it means. Nothing is due where there is no rule."""

    rule: Rule | None = None
    zone: str = "UTC"
    """Whose walls a cron rule follows."""
    start_at: datetime | None = None
    end_at: datetime | None = None
    excluded: frozenset[str] = frozenset()
    """Keys of occurrences that were taken out by hand."""


def parse(timing: Timing, seed: str, shortest: int = SHORTEST) -> Schedule:
    """Reads what an owner says. The seed, a task's id, spreads words over their period.

    Raises BadRequest, saying where, for what is malformed, would never run, or runs more often than each
    `shortest` ms.
    """
    zone, text = zones.zone(timing.timezone), (timing.schedule or "").strip()
    _check_bounds(timing)
    if text and timing.every is not None:
        raise BadRequest("every: there is a schedule too; send one of the two.")
    rule = _every(timing, seed) if timing.every is not None else _rule(text, zone, seed)
    _check_often(rule, shortest, "schedule" if text else "every")
    return Schedule(rule=rule, zone=zone, start_at=timing.start_at, end_at=timing.end_at)


def key(wall: datetime, zone: str) -> str:
    """How an occurrence is known: its wall and the zone, or `Z` in UTC.

    The zone is part of it: who moves a task from Tokyo to New York at noon gets seven o'clock there as well.
    """
    return f"{wall:%Y-%m-%dT%H:%M:%S}" + ("Z" if zone == "UTC" else f"[{zone}]")


def check_jitter(schedule: Schedule, jitter: int) -> None:
    """Raises BadRequest where a run could begin so many ms late that another is due before."""
    closest = _closest(schedule.rule)
    if closest is not None and jitter > closest * 1_000:
        raise BadRequest(f"jitter: two runs may be {closest * 1_000} ms apart; send no more than that.")


def _rule(text: str, zone: str, seed: str) -> Rule | None:
    if text in ("", NEVER):
        return None
    if text in PERIODS:
        return Every(period=PERIODS[text], phase=_slot(seed, PERIODS[text]))
    if text in HALVES:
        half = 28 * DAY // HALVES[text]
        return Monthly(slots=tuple(_slot(seed, half) + half * part for part in range(HALVES[text])))
    if len(text) > LONGEST_TEXT:
        raise BadRequest(f"schedule: longer than {LONGEST_TEXT} characters.")
    if clock := _CLOCK.fullmatch(text):
        return _daily(int(clock[1]), int(clock[2]))
    return _once(text, zone) or _cron(text)


def _daily(hour: int, minute: int) -> Cron:
    if hour > 23 or minute > 59:
        raise BadRequest("schedule: a time of day is 00:00 to 23:59.")
    return cron.daily(hour, minute)


def _once(text: str, zone: str) -> Once | None:
    at = dates.read(text)
    if at is None:
        return None
    if at.year > YEARS[1]:
        raise BadRequest(f"schedule: a date is in {YEARS[1]} at the latest.")
    if at.tzinfo is None:
        return Once(at=zones.first(at, ZoneInfo(zone)), key=key(at, zone))
    return Once(at=at.astimezone(UTC), key=key(at.astimezone(UTC), "UTC"))


def _cron(text: str) -> Cron:
    if len(text.split()) > 1:
        return cron.read(text)
    raise BadRequest(
        f"schedule: send one of {', '.join(WORDS)}; or a cron expression of 5 fields, "
        "a time of day like 07:30, or a date like 2027-01-31 or 2027-01-31T07:30:00Z."
    )


def _every(timing: Timing, seed: str) -> Every:
    period, rest = divmod(timing.every or 0, 1_000)
    if rest or not 0 < period <= LONGEST_EVERY:
        raise BadRequest(f"every: send whole seconds, in milliseconds, {LONGEST_EVERY * 1_000} at most.")
    since = timing.start_at
    return Every(period=period, phase=int(since.timestamp()) % period if since else _slot(seed, period))


def _check_bounds(timing: Timing) -> None:
    for name, at in (("startAt", timing.start_at), ("endAt", timing.end_at)):
        if at and not YEARS[0] <= at.astimezone(UTC).year <= YEARS[1]:
            raise BadRequest(f"{name}: lies outside of the years {YEARS[0]} to {YEARS[1]}.")
    if timing.start_at and timing.end_at and timing.end_at < timing.start_at:
        raise BadRequest("endAt: lies before startAt.")


def _check_often(rule: Rule | None, shortest: int, field: str) -> None:
    closest = _closest(rule)
    if closest is not None and closest * 1_000 < shortest:
        raise BadRequest(f"{field}: two runs are {shortest} ms apart at least.")


def _closest(rule: Rule | None) -> int | None:
    """The seconds between two runs at least; None: days, or there is but one."""
    if isinstance(rule, Cron):
        return rule.closest
    return rule.period if isinstance(rule, Every) else None


def _slot(seed: str, size: int) -> int:
    """Where in a period a task has its place, for good: the same on every machine."""
    return int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8]) % size
