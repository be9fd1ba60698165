"""`python -m bench [--quick] [--only NAME] [--json FILE]`: measures speed and size, prints one table."""

from __future__ import annotations

import argparse
import asyncio
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path

import uvloop
from aiohttp import ClientError

from bench import (
    agent,
    events,
    fanout,
    growth,
    idle,
    latency,
    machine,
    page,
    sizes,
    streams,
    table,
    tasks,
    throughput,
)
from bench.bench import QUICK, Amount, Bench, prepared
from bench.callers import BadAnswer
from bench.house import House, HouseFell
from bench.meters import machine_busy
from bench.report import Report
from bench.result import RESULT, dumped, loaded, renewed

MEASUREMENTS: dict[str, Callable[[Bench], Awaitable[None]]] = {
    "latency": latency.measure,
    "throughput": throughput.measure,
    "growth": growth.measure,
    "sizes": sizes.measure,
    "streams": streams.measure,
    "fanout": fanout.measure,
    "idle": idle.measure,
    "agent": agent.measure,
    "events": events.measure,
    "tasks": tasks.measure,
}
LIMIT = 300.0
"""Seconds that one measurement may take."""


async def run(names: list[str], amount: Amount, home: Path) -> Report:
    """What was asked for, in a house of its own that is gone afterwards."""
    began = time.perf_counter()
    report = Report(machine.here(), _now(), machine.load(), names, asdict(amount))
    house = House(home)
    try:
        say("starting Postgres, Temporal, the demo model, the worker, the API and the floor's worker")
        await house.open()
        async with prepared(house, amount, report) as bench:
            await _measure(bench, began + amount.total_seconds)
        house.check()
    finally:
        house.close()
    report.after, report.seconds = machine.load(), round(time.perf_counter() - began, 1)
    return report


async def _measure(bench: Bench, ends: float) -> None:
    report = bench.report
    began, busy, spent = time.perf_counter(), machine_busy(), bench.meters.spent()
    for name in report.measured:
        say(f"measuring {name}")
        try:
            async with asyncio.timeout(min(LIMIT, ends - time.perf_counter())):
                await MEASUREMENTS[name](bench)
        except (BadAnswer, TimeoutError, OSError, ClientError) as error:
            report.failed.append(f"{name}: {str(error) or 'not done in time'}")
    report.peak = bench.meters.peak()
    others = machine_busy() - busy - (bench.meters.spent() - spent)
    report.others = round(max(0.0, others / (time.perf_counter() - began) / report.machine.cores), 4)


def say(text: str) -> None:
    """Progress, apart from the table."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def main() -> int:
    arguments = _parser().parse_args()
    amount = QUICK if arguments.quick else Amount()
    # What leaves the most behind is last.
    names = [name for name in MEASUREMENTS if name in (arguments.only or MEASUREMENTS)]
    # A stop by signal takes the same way out as Ctrl-C: what was started is ended.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    machine.allow_sockets()
    try:
        with tempfile.TemporaryDirectory(prefix="holdfast-bench-") as home:
            report = uvloop.run(run(names, amount, Path(home)))
    except (HouseFell, TimeoutError) as error:
        say(f"given up: {str(error) or 'it took too long'}")
        return 1
    except KeyboardInterrupt:
        return 130
    print(table.text(report))
    if arguments.renew and not report.failed:
        _renew(report)
    else:
        _keep(report, arguments.json, is_whole=not (arguments.quick or arguments.only or report.failed))
    return 1 if report.failed else 0


def _renew(report: Report) -> None:
    """What was measured apart, in its place of the result file and of the page."""
    whole = loaded(RESULT.read_text())
    renewed(whole, report, table.circumstances(report))
    # As a whole run would have made them.
    whole.measured.sort(key=[*MEASUREMENTS].index)
    RESULT.write_text(dumped(whole))
    page.renew()


def _keep(report: Report, file: Path | None, is_whole: bool) -> None:
    """Page and result file belong together: the page is renewed with its own result or not at all, and with
    nothing of which a part failed."""
    if file is not None:
        file.write_text(dumped(report))
    elif is_whole:
        RESULT.write_text(dumped(report))
        page.renew()


def _now() -> str:
    return time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="less of everything: two and a half minutes at most"
    )
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, help="this one; may be repeated")
    parser.add_argument(
        "--renew", action="store_true", help="what --only measures goes into the result file and the page"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="the result, there and nowhere else")
    return parser


if __name__ == "__main__":
    sys.exit(main())
