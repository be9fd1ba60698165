"""What happened and what held, for people (report.md) and for programs (report.json)."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from bench.figures import percentile
from bench.machine import Load, here, load
from bench.table import table
from bench.torture.faults import FAULTS
from bench.torture.history import Op
from bench.torture.nemesis import Suffered

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 5


@dataclass
class Report:
    """`broken` is what makes it red, `short` what makes it say too little."""

    seed: int
    sabotage: str = ""
    commit: str = field(default_factory=lambda: commit())
    began: float = field(default_factory=time.time)
    seconds: float = 0.0
    ops: dict[str, dict[str, int]] = field(default_factory=dict)
    """By kind and outcome."""
    runs: dict[str, int] = field(default_factory=dict)
    """By state."""
    due: dict[str, int] = field(default_factory=dict)
    """The times that tasks were due, by what became of them; and those among them that were healed."""
    posted: dict[str, int] = field(default_factory=dict)
    """Events of triggers, how often they were posted, and what else set triggers off."""
    sent: dict[str, int] = field(default_factory=dict)
    """Deliveries by state, and the attempts of them."""
    faults: list[Suffered] = field(default_factory=list)
    reached: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Failpoints armed and not reached."""
    untried: list[str] = field(default_factory=list)
    """Failpoints there was no time for; a short torture takes a third."""
    scenarios: list[str] = field(default_factory=list)
    held: dict[str, int] = field(default_factory=dict)
    """Complaints by invariant."""
    broken: list[str] = field(default_factory=list)
    short: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    load: Load = field(default_factory=load)

    @property
    def status(self) -> int:
        """The exit status: 0 green, 1 something was broken, 2 too little happened."""
        return 1 if self.broken else 2 if self.short else 0

    @property
    def verdict(self) -> str:
        return ("green", "RED: an invariant does not hold", "too little progress to say")[self.status]

    def count(self, ops: Iterable[Op]) -> None:
        counted: dict[str, Counter[str]] = {}
        for op in ops:
            counted.setdefault(op.kind, Counter())[op.outcome] += 1
        self.ops = {kind: dict(outcomes) for kind, outcomes in sorted(counted.items())}

    def write(self, folder: Path) -> None:
        (folder / "report.md").write_text(self.text())
        known = asdict(self) | {"verdict": self.verdict, "status": self.status}
        known |= {"machine": here().text(), "recovery": self.recovery()}
        (folder / "report.json").write_text(json.dumps(known, indent=1) + "\n")

    def recovery(self) -> dict[str, dict[str, float]]:
        """Seconds by fault, where it was measured."""
        found: dict[str, list[float]] = {}
        for suffered in self.faults:
            if suffered.recovery is not None:
                found.setdefault(suffered.name, []).append(suffered.recovery)
        return {
            name: {
                "count": len(some),
                "p50": round(percentile(some, 0.5), 2),
                "p99": round(percentile(some, 0.99), 2),
            }
            for name, some in sorted(found.items())
        }

    def text(self) -> str:
        parts = [self._opening(), self._bound(), self._invariants(), self._faults(), self._operations()]
        if self.reached or self.missed:
            parts.append(self._points())
        parts += [f"Note: {note}" for note in self.notes]
        return "\n\n".join(part for part in parts if part) + "\n"

    def _opening(self) -> str:
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.began))
        lines = [
            f"# Torture: {self.verdict}",
            "",
            f"{date}, {self.seconds:.0f} s, seed {self.seed}, commit {self.commit}"
            + (f", sabotage: {self.sabotage}" if self.sabotage else ""),
            "",
            f"{here().text()}; load at the end {', '.join(f'{figure:.1f}' for figure in self.load)}.",
        ]
        for line in [*self.broken[:40], *self.short]:
            lines += ["", f"- {line}"]
        return "\n".join(lines)

    def _bound(self) -> str:
        """The rule of three: with no failure in n trials, the rate is below 3/n with 95 % confidence."""
        runs, faults = sum(self.runs.values()), len(self.faults) + len(self.reached)
        states = ", ".join(f"{count} {state}" for state, count in sorted(self.runs.items()))
        said = f"{runs:,} runs ({states}), {faults:,} faults of which {len(self.reached)} at failpoints."
        for what, counted in (
            ("Times that tasks were due", self.due),
            ("What set triggers off", self.posted),
            ("Deliveries", self.sent),
        ):
            told = ", ".join(f"{count} {name}" for name, count in sorted(counted.items()))
            said += f" {what}: {told}." if counted else ""
        if self.broken or not runs:
            return said
        return (
            f"{said} None lost, doubled or stuck: by the rule of three fewer than {3 / runs:.3%} are, "
            "at 95 % confidence, under such faults."
        )

    def _invariants(self) -> str:
        lines = [
            [name, "held" if not count else f"**{count} complaints**"] for name, count in self.held.items()
        ]
        return "## What must hold\n\n" + table(["invariant", "outcome"], lines)

    def _faults(self) -> str:
        counted, measured = Counter(suffered.name for suffered in self.faults), self.recovery()
        aims = {fault.name: fault.aim for fault in FAULTS}
        lines = []
        for name, count in sorted(counted.items()):
            known = measured.get(name, {})
            cells = [_figure(known.get(key)) for key in ("count", "p50", "p99")]
            lines.append([name, str(count), *cells, _figure(aims.get(name)), _met(known, aims.get(name))])
        heads = ["fault", "times", "measured", "recovery p50, s", "p99, s", "aim p99, s", "met"]
        return "## What was broken\n\n" + table(heads, lines) if lines else ""

    def _operations(self) -> str:
        lines = [
            [kind, *(str(outcomes.get(outcome, 0)) for outcome in ("ok", "fail", "unknown"))]
            for kind, outcomes in self.ops.items()
        ]
        return "## What clients did\n\n" + table(["operation", "ok", "fail", "unknown"], lines)

    def _points(self) -> str:
        missed = f" Not reached: {', '.join(self.missed)}." if self.missed else ""
        scenes = f"\n\nScenarios: {', '.join(self.scenarios)}." if self.scenarios else ""
        return f"## Failpoints\n\nReached: {', '.join(self.reached)}.{missed}{scenes}"


def commit() -> str:
    """The commit that is checked out, marked when the tree differs from it."""
    told = subprocess.run(
        ["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT, capture_output=True, text=True
    )
    return told.stdout.strip() or "unknown"


def _met(known: dict[str, float], aim: float | None) -> str:
    if aim is None or not known:
        return ""
    return "yes" if known["p99"] <= aim else "**no**"


def _figure(figure: float | None) -> str:
    return "" if figure is None else f"{figure:g}"


def complaints(name: str, some: Sequence[str]) -> list[str]:
    """The first complaints of an invariant, and how many more there are."""
    more = [f"{name}: and {len(some) - SHOWN} more"] if len(some) > SHOWN else []
    return [f"{name}: {complaint}" for complaint in some[:SHOWN]] + more
