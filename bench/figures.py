"""Medians, percentiles, and a figure: the median of its rounds beside their spread."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

DIGITS = 5
"""Significant digits that a round's figure keeps: more would be noise in the result file."""


@dataclass(frozen=True)
class Figure:
    """What several rounds of the same measurement said."""

    rounds: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.rounds)

    @property
    def low(self) -> float:
        return min(self.rounds)

    @property
    def high(self) -> float:
        return max(self.rounds)


def figure(rounds: Sequence[float]) -> Figure | None:
    """None when no round could say anything."""
    return Figure(tuple(_short(value) for value in rounds)) if rounds else None


def ratio(of: Sequence[float], to: Sequence[float]) -> Figure | None:
    """Round by round: both of a round met the same machine."""
    return figure([one / other for one, other in zip(of, to, strict=True)])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values) - 1e-9) - 1)]


def median(values: Sequence[float]) -> float:
    return _short(statistics.median(values))


def millis(seconds: float) -> float:
    return seconds * 1000


def _short(value: float) -> float:
    return float(f"{value:.{DIGITS}g}")
