"""`make schedules-full`: all zones, 40 expressions and ten years, beside the oracle; 0 is green."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import available_timezones

from bench.machine import here
from bench.table import table
from bench.torture.report import commit
from domain import zones
from domain.cron import read
from domain.occurrences import between
from domain.schedule import Timing, parse
from tests import oracle

REPORTS = Path(".local/schedules")
YEARS = range(2026, 2036)
BESIDE = timedelta(days=4)
SHOWN = 20
WHAT = (
    "Zones whose clocks show the same all ten years are one case. An expression whose hour follows "
    "the wall is compared over all of the ten years. One whose hour begins with a star follows real "
    "hours, and all of them would take more than an hour: it is compared over the first month, and "
    f"over {BESIDE.days} days before and after every change of the clocks. The oracle is cronsim; "
    "where its walk in real time goes astray (clocks changed by half an hour, or at midnight), it is "
    "the wall of every minute, matched by cronsim's fields."
)

Window = tuple[datetime, datetime]


@dataclass
class Outcome:
    names: int = 0
    clocks: int = 0
    windows: int = 0
    instants: int = 0
    seconds: float = 0
    wrong: list[str] = field(default_factory=list)

    def text(self) -> str:
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
        rows = [
            ["zones", f"{self.names:,}"],
            ["different clocks among them", f"{self.clocks:,}"],
            ["expressions", f"{len(oracle.EXPRESSIONS):,}"],
            ["stretches of time compared", f"{self.windows:,}"],
            ["instants compared", f"{self.instants:,}"],
            ["differences", f"{len(self.wrong):,}"],
        ]
        parts = [
            f"# Schedules beside the oracle: {'red' if self.wrong else 'green'}",
            f"{date}, {self.seconds:.0f} s of one core, {YEARS[0]} to {YEARS[-1]}, commit {commit()}",
            f"{here().text()}.",
            table(["what", "how many"], rows),
            WHAT,
            *(f"- {wrong}" for wrong in self.wrong[:SHOWN]),
        ]
        return "\n\n".join(parts) + "\n"


def compare(expressions: tuple[str, ...] = oracle.EXPRESSIONS) -> Outcome:
    """Everything, in one process."""
    outcome, alike = Outcome(), clocks()
    outcome.names, outcome.clocks = sum(map(len, alike)), len(alike)
    for names in alike:
        for text in expressions:
            for window in windows(names[0], text):
                look(outcome, names[0], text, window)
    outcome.seconds = time.process_time()
    return outcome


def clocks() -> list[list[str]]:
    """The zones, those together whose clocks show the same all the years."""
    alike: dict[object, list[str]] = {}
    for name in sorted(available_timezones() - zones.NOT_ZONES):
        begins = zones.ahead(_first(YEARS[0]), name)
        alike.setdefault((begins, *_changes(name)), []).append(name)
    return [*alike.values()]


def windows(zone: str, text: str) -> Iterator[Window]:
    """The stretches of time over which an expression is compared in a zone."""
    begin, end = _first(YEARS[0]), _first(YEARS[-1] + 1)
    if not read(text).wild:
        yield begin, end
        return
    yield begin, begin + timedelta(days=31)
    for change in _changes(zone):
        yield change.at - BESIDE, change.at + BESIDE


def look(outcome: Outcome, zone: str, text: str, window: Window) -> None:
    found = [one.at for one in between(parse(Timing(schedule=text, timezone=zone), "full"), *window)]
    instants = sorted({*found})
    outcome.windows += 1
    outcome.instants += len(instants)
    if found != sorted(found) or instants != oracle.due(text, zone, *window):
        outcome.wrong.append(f"`{text}` in {zone} between {window[0]} and {window[1]}")


def _changes(zone: str) -> list[zones.Change]:
    return [change for year in YEARS for change in zones.changes(zone, year)]


def _first(year: int) -> datetime:
    return datetime(year, 1, 1, tzinfo=UTC)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.schedules", description=__doc__)
    parser.add_argument("--out", type=Path, default=REPORTS)
    arguments = parser.parse_args()
    outcome = compare()
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "report.md").write_text(outcome.text())
    print(outcome.text())
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
