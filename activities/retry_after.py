"""How long a server asks to be left alone: its Retry-After header."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST = 60
"""Seconds we wait at most, whatever a server asks for, where something goes on meanwhile."""


def seconds(header: str, longest: float = LONGEST) -> float | None:
    """From a number or an HTTP date; None when it makes no sense."""
    try:
        asked = float(header)
    except ValueError:
        try:
            asked = (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds()
        except (ValueError, TypeError, OverflowError):
            return None
    return min(max(asked, 0.0), longest) if asked == asked else None
