"""Percentiles."""

from __future__ import annotations

import math
from collections.abc import Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


def median(values: Sequence[float]) -> float:
    return percentile(values, 0.5)


def millis(seconds: float) -> float:
    return seconds * 1000
