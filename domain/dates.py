"""A date that somebody wrote: ISO 8601, RFC 2822, or the day alone."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

EARLIEST = 1900
"""The first year that is read; nearer the calendar's own first day, an offset can lead out of it."""
_ISO = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d([.,]\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII | re.IGNORECASE
)
_MAIL = re.compile(
    r"(?:(?:mon|tue|wed|thu|fri|sat|sun), )?"
    r"(\d{1,2} (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) \d{4})"
    r"( \d\d:\d\d(?::\d\d)?)?( [+-]\d{4}| (?:gmt|utc?|z|[ecmp][sd]t))?",
    re.ASCII | re.IGNORECASE,
)


def read(text: str) -> datetime | None:
    """The time it names, with its offset if it has one, to the second; None if it is no date of the calendar.

    A day alone is its midnight.
    """
    try:
        found = _read(text)
    except (ValueError, OverflowError):
        return None
    return found.replace(microsecond=0) if found and found.year >= EARLIEST else None


def _read(text: str) -> datetime | None:
    if _ISO.fullmatch(text):
        return datetime.fromisoformat(text.upper())
    mail = _MAIL.fullmatch(text)
    if not mail:
        return None
    day, clock, offset = mail.groups()
    read = parsedate_to_datetime(f"{day}{clock or ' 00:00:00'}{(offset or ' -0000').replace(' z', ' +0000')}")
    # An offset of -0000 says UTC, and that nothing is known of the place.
    return read.replace(tzinfo=UTC) if offset and read.tzinfo is None else read
