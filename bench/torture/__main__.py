"""`make torture [MINUTES=3] [SEED=n] [SABOTAGE=name|all] [ONLY=…]`: exits 0 green, 1 red, 2 too little."""

from __future__ import annotations

import argparse
import asyncio
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from bench.torture import disk
from bench.torture.report import Report
from bench.torture.sabotages import SABOTAGES
from bench.torture.voyage import Plan, Voyage, planned

REPORTS = Path(".local/torture")
"""Where reports go, and what there is to look at after a red one."""


def voyage(plan: Plan, folder: Path) -> Report:
    """One torture in a home of its own; what there is to look at is kept when it was red."""
    with tempfile.TemporaryDirectory(prefix="holdfast-torture-") as home, disk.small(Path(home), plan.disk):
        report = asyncio.run(Voyage(Path(home), plan).run())
        folder.mkdir(parents=True, exist_ok=True)
        report.write(folder)
        if report.status == 1:
            _keep(Path(home), folder)
    return report


def _keep(home: Path, folder: Path) -> None:
    shutil.rmtree(folder / "log", ignore_errors=True)
    shutil.copytree(home / "log", folder / "log")
    for name in ("history.jsonl", "hits", "sink.jsonl", "postbox.jsonl"):
        if (home / name).exists():
            shutil.copy(home / name, folder / name)


def every_sabotage(arguments: argparse.Namespace) -> int:
    """Each must be caught; 1 when one was not."""
    missed = []
    for name, sabotage in SABOTAGES.items():
        began = time.monotonic()
        plan = Plan(arguments.minutes, arguments.seed, name, (sabotage.scenario,), chaos=False)
        report = voyage(plan, arguments.out / f"sabotage-{name}")
        caught = any(line.startswith(sabotage.seen_as) for line in report.broken)
        said = "caught" if caught else "NOT CAUGHT"
        print(f"{said}: {name} ({sabotage.safety}), {time.monotonic() - began:.0f} s", flush=True)
        missed += [] if caught else [name]
    return 1 if missed else 0


def main() -> int:
    arguments = _parser().parse_args()
    disk.unshare()
    # A stop by signal takes the same way out as Ctrl-C: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if arguments.sabotage == "all":
        return every_sabotage(arguments)
    try:
        plan = planned(arguments, disk.possible())
    except LookupError as unknown:
        sys.exit(f"ONLY={unknown}: there is no such fault, failpoint or scenario")
    report = voyage(plan, arguments.out)
    print(report.text())
    print(f"report: {arguments.out}/report.md; once more: --seed {arguments.seed}")
    return report.status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench.torture", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--sabotage", default="", choices=["", "all", *SABOTAGES])
    parser.add_argument(
        "--only", default="", help="chaos, points; or one fault, failpoint or scenario by its name"
    )
    parser.add_argument("--out", type=Path, default=REPORTS)
    return parser


if __name__ == "__main__":
    sys.exit(main())
