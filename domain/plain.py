"""JSON from elsewhere, bounded, and made such that it can be stored and shown."""

from __future__ import annotations

import math
import re
from typing import Any

DEPTH = 32
"""Levels of what tools take and give."""
ITEMS = 10_000
"""Values of the same."""
BYTES = 1_000_000
"""And its length as JSON in UTF-8."""

_UNKEPT = re.compile("[\0\ud800-\udfff]")
_LARGEST = 2**63 - 1


def plain(value: Any, depth: int = DEPTH, most: int = ITEMS) -> Any:
    """The value without NUL and lone surrogates. Raises ValueError as `within` does."""
    within(value, depth, most)
    return _cleaned(value)


def within(value: Any, depth: int = DEPTH, most: int = ITEMS) -> None:
    """Raises ValueError for more levels or values than that, for NaN, and for numbers beyond 64 bits."""
    _Walk(depth, most).through(value)


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return _UNKEPT.sub("\ufffd", value)
    if isinstance(value, list):
        return [_cleaned(part) for part in value]
    if isinstance(value, dict):
        return {_cleaned(key): _cleaned(part) for key, part in value.items()}
    return value


class _Walk:
    """A walk through free JSON, which goes no further than it may."""

    def __init__(self, depth: int, most: int) -> None:
        self._depth, self._most, self._seen = depth, most, 0

    def through(self, value: Any, level: int = 0) -> None:
        self._seen += 1
        if self._seen > self._most:
            raise ValueError(f"more than {self._most} values")
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError("NaN and Infinity are not JSON")
        if isinstance(value, int) and abs(value) > _LARGEST:
            raise ValueError("a number is beyond 64 bits")
        if isinstance(value, dict | list):
            if level == self._depth:
                raise ValueError(f"nested deeper than {self._depth} levels")
            for part in value.values() if isinstance(value, dict) else value:
                self.through(part, level + 1)
