"""What a run found: rows of figures beside their aims, and what the processes used."""

from __future__ import annotations

from dataclasses import dataclass, field

from bench.figures import Figure
from bench.machine import Load, Machine


@dataclass(frozen=True)
class Row:
    """One figure: ours, the same model called directly, the floor; `most` or `least` is the aim."""

    name: str
    ours: Figure | None
    direct: Figure | None = None
    floor: Figure | None = None
    most: int | float | None = None
    least: int | float | None = None
    note: str = ""
    """Where the aim comes from, or what was counted."""

    @property
    def met(self) -> bool | None:
        """Of the median. None when nothing was aimed at; what could not be measured is not met."""
        if self.most is None and self.least is None:
            return None
        if self.ours is None:
            return False
        return (self.most is None or self.ours.median <= self.most) and (
            self.least is None or self.ours.median >= self.least
        )


@dataclass
class Report:
    """Rows in the order they were measured; CPU (ms a turn) by load and process; peaks (MiB) by process."""

    machine: Machine
    began: str
    before: Load
    """The load average before anything was started."""
    measured: list[str]
    amount: dict[str, int | float]
    """A whole number stays one: the file that is read and written again is the same."""
    seconds: float = 0.0
    after: Load = (0.0, 0.0, 0.0)
    """The load average at the end: our own load, mostly."""
    others: float = 0.0
    """The share of the machine that was used by nobody of ours meanwhile."""
    rows: list[Row] = field(default_factory=list)
    cpu: dict[str, dict[str, Figure]] = field(default_factory=dict)
    """With the sum of each round under `all`."""
    peak: dict[str, float] = field(default_factory=dict)
    renewed: dict[str, str] = field(default_factory=dict)
    """Measurements that were made again apart from the others, and what the table says of that."""
    failed: list[str] = field(default_factory=list)
    """What could not be measured, or went wrong meanwhile, and why."""
