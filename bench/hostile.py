"""`make hostile [REQUESTS=20000] [SEED=n]`: requests made from the document, to a whole house; 0 is green."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.fuzz import ENDLESS, Outcome, Plan, fuzz
from bench.machine import here, load
from bench.table import table
from bench.torture.report import commit
from tests.house import House

REPORTS = Path(".local/hostile")
EXAMPLES = 100
"""Of every operation, a round."""
WHAT = (
    "They are made by schemathesis from `/v1/openapi.json`: the edges of every schema, then, round by round, "
    f"{EXAMPLES} examples of every operation, half of them wrong, and walks from one operation to the next. "
    f"Left out, for their answers have no end: {', '.join(ENDLESS)}."
)
EXPECTED = {501}
"""What is not served yet is said to be so; no other 5xx is an answer."""


@dataclass
class Report:
    seed: int
    outcome: Outcome
    grown: float
    """MiB that the API's memory was larger by at the end."""
    began: float

    @property
    def red(self) -> bool:
        return bool(self.outcome.problems) or any(
            status == 0 or (status >= 500 and status not in EXPECTED) for status in self.outcome.statuses
        )

    def text(self) -> str:
        date = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.began))
        rows = [[str(status), f"{count:,}"] for status, count in sorted(self.outcome.statuses.items())]
        parts = [
            f"# Hostile requests: {'red' if self.red else 'green'}",
            f"{date}, {self.outcome.seconds:.0f} s, seed {self.seed}, commit {commit()}",
            f"{here().text()}; load at the end {', '.join(f'{figure:.1f}' for figure in load())}.",
            f"{self.outcome.requests:,} requests. The API's memory grew by {self.grown:.0f} MiB.",
            table(["answered", "times"], rows),
            WHAT,
            *(f"- {where}\n\n  {told}" for where, told in self.outcome.problems.items()),
        ]
        return "\n\n".join(parts) + "\n"


async def hostile(home: Path, requests: int, seed: int) -> Report:
    """One run against a house of its own."""
    house, began = House(home), time.time()
    try:
        await house.open()
        before = _memory(house)
        plan = Plan(requests=requests, seed=seed, examples=EXAMPLES, edges=True)
        outcome = await asyncio.to_thread(fuzz, house.api().url, house.key, plan)
        return Report(seed, outcome, _memory(house) - before, began)
    finally:
        await house.close()


def _memory(house: House) -> float:
    return float(psutil.Process(house.pid("api")).memory_info().rss / 2**20)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.hostile", description=__doc__)
    parser.add_argument("--requests", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--out", type=Path, default=REPORTS)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="holdfast-hostile-") as home:
        report = asyncio.run(hostile(Path(home), arguments.requests, arguments.seed))
    arguments.out.mkdir(parents=True, exist_ok=True)
    (arguments.out / "report.md").write_text(report.text())
    print(report.text())
    print(f"report: {arguments.out}/report.md; once more: --seed {arguments.seed}")
    return 1 if report.red else 0


if __name__ == "__main__":
    sys.exit(main())
