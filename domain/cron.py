"""A cron expression: five fields as conventional cron reads them."""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import date, timedelta
from typing import NamedTuple

from domain.base import Frozen
from domain.errors import BadRequest

MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
LONGEST_MONTHS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


class Field(NamedTuple):
    place: str
    low: int
    high: int
    names: dict[str, int]


FIELDS = (
    Field("field 1 (minute)", 0, 59, {}),
    Field("field 2 (hour)", 0, 23, {}),
    Field("field 3 (day of month)", 1, 31, {}),
    Field("field 4 (month)", 1, 12, {name: number for number, name in enumerate(MONTHS, 1)}),
    Field("field 5 (day of week)", 0, 7, {name: number for number, name in enumerate(WEEKDAYS)}),
)


class Cron(Frozen):
    """The values of each field in rising order; weekdays from 0, Sunday, to 6."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    both: bool
    """Whether a day must match by its date and by its weekday: if either field begins with a star."""
    wild: bool
    """Whether the hour begins with a star: then it follows real hours, not the wall's."""

    def meets(self, day: date) -> bool:
        """Whether it runs on a day."""
        if day.month not in self.months:
            return False
        by_date, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_date and by_weekday if self.both else by_date or by_weekday

    def dates(self, day: date, step: int) -> Iterator[date]:
        """The days it runs on, from one on: forward (1) or backward (-1), without an end."""
        while True:
            if self.meets(day):
                yield day
            day = day + timedelta(days=step) if day.month in self.months else _beyond(day, step)

    @property
    def closest(self) -> int:
        """The seconds between two runs at least, if it runs on two days in a row."""
        times = [hour * 60 + minute for hour in self.hours for minute in self.minutes]
        nexts = [*times[1:], times[0] + 24 * 60]
        return 60 * min(later - earlier for earlier, later in zip(times, nexts, strict=True))


def read(text: str) -> Cron:
    """Reads an expression. Raises BadRequest, saying where, for what is none or would never run."""
    parts = text.lower().split()
    if len(parts) != len(FIELDS):
        raise BadRequest(f"schedule: a cron expression has 5 fields, this has {len(parts)}.")
    minutes, hours, days, months, weekdays = (
        _field(part, field) for part, field in zip(parts, FIELDS, strict=True)
    )
    cron = Cron(
        minutes=minutes,
        hours=hours,
        days=days,
        months=months,
        weekdays=tuple(sorted({weekday % 7 for weekday in weekdays})),
        both=parts[2].startswith("*") or parts[4].startswith("*"),
        wild=parts[1].startswith("*"),
    )
    if cron.both and not any(days[0] <= LONGEST_MONTHS[month - 1] for month in months):
        raise BadRequest(
            f"schedule: this would never run: field 3 (day of month) begins at {days[0]}, "
            "which no month of field 4 has."
        )
    return cron


def daily(hour: int, minute: int) -> Cron:
    """Every day at one time of the wall."""
    return read(f"{minute} {hour} * * *")


def _field(text: str, field: Field) -> tuple[int, ...]:
    values: set[int] = set()
    for term in text.split(","):
        values.update(_term(term, field))
    return tuple(sorted(values))


def _term(term: str, field: Field) -> range:
    """`*`, `5`, `1-5`, each with a step or without; `5/2` goes on to the field's end."""
    span, slash, every = term.partition("/")
    start, dash, end = span.partition("-")
    if span == "*":
        low, high = field.low, field.high
    else:
        low = _value(start, field)
        high = _value(end, field) if dash else field.high if slash else low
    if high < low:
        raise BadRequest(
            f'schedule: {field.place}: "{span}" ends before it begins; list its parts with commas.'
        )
    return range(low, high + 1, _step(every, field) if slash else 1)


def _value(text: str, field: Field) -> int:
    if text in field.names:
        return field.names[text]
    value = _number(text)
    if value is None or not field.low <= value <= field.high:
        names = f", or {next(iter(field.names))} to {[*field.names][-1]}" if field.names else ""
        raise BadRequest(
            f'schedule: {field.place}: "{text}" is no number from {field.low} to {field.high}{names}.'
        )
    return value


def _step(text: str, field: Field) -> int:
    step = _number(text)
    if not step:
        raise BadRequest(f'schedule: {field.place}: "{text}" is no step; write one from 1 on, as in */5.')
    return step


def _number(text: str) -> int | None:
    """Digits of ASCII, as many as a number here may have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 4 else None


def _beyond(day: date, step: int) -> date:
    """The next month's first day, or the last one's last."""
    if step < 0:
        return day.replace(day=1) - timedelta(days=1)
    return day.replace(day=calendar.monthrange(day.year, day.month)[1]) + timedelta(days=1)
