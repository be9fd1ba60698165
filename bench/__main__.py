"""`python -m bench [--quick] [--only NAME] [--json FILE]`: measures speed and size, prints one table."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import ClientError

from bench import growth, latency, sizes, streams, throughput
from bench.bench import QUICK, Amount, Bench, prepared
from bench.callers import BadAnswer
from bench.house import House, HouseFell
from bench.meters import machine_busy
from bench.report import Report

MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "latency": latency.measure,
    "throughput": throughput.measure,
    "growth": growth.measure,
    "sizes": sizes.measure,
    "streams": streams.measure,
}
LIMIT = 120.0
"""Seconds that one measurement may take."""


async def run(arguments: argparse.Namespace, home: Path) -> Report:
    """Everything that was asked for, in a house of its own that is gone afterwards."""
    report, house = Report(), House(home)
    try:
        say("starting Postgres, Temporal, the demo model, the worker, the API and the floor's worker")
        await house.open()
        async with prepared(house, QUICK if arguments.quick else Amount(), report) as bench:
            await _measure(bench, arguments.only or list(MEASUREMENTS))
        house.check()
    finally:
        house.close()
    return report


async def _measure(bench: Bench, names: list[str]) -> None:
    began, busy, used = time.perf_counter(), machine_busy(), bench.meters.cpu()
    for name in names:
        say(f"measuring {name}")
        try:
            async with asyncio.timeout(LIMIT):
                await MEASUREMENTS[name](bench)
        except (BadAnswer, TimeoutError, ClientError) as error:
            bench.report.failed.append(f"{name}: {error or f'not done within {LIMIT:.0f} s'}")
    bench.report.peak = bench.meters.peak()
    ours = sum(bench.meters.cpu().values()) - sum(used.values())
    bench.report.note_others(machine_busy() - busy - ours, time.perf_counter() - began)


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _parser().parse_args()
    # A stop by signal takes the same way out as Ctrl-C: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as home:
            report = asyncio.run(run(arguments, Path(home)))
    except (HouseFell, TimeoutError) as error:
        say(f"given up: {error or 'it took too long'}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(report.text())
    if arguments.json:
        report.write(arguments.json)
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="less of everything: a minute and a half")
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="this one; may be repeated")
    parser.add_argument("--json", type=Path, metavar="FILE", help="the same figures as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
