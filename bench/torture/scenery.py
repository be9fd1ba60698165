"""What scenarios are made of: processes kept away, armed, waited for."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Any

from bench.torture.ship import Ship
from bench.torture.stage import Stage


def keep_away(ship: Ship, names: Sequence[str]) -> None:
    for name in names:
        ship.hold(name, 60)
        ship.strike(name)


def let_back(ship: Ship, names: Sequence[str]) -> None:
    for name in names:
        ship.hold(name, 0)


async def armed(stage: Stage, name: str, spelled: str) -> None:
    """A process anew, with a failpoint."""
    stage.ship.forget_hits()
    stage.ship.arm_failpoint(name, spelled)
    stage.ship.strike(name)
    await stage.ship.up(name)
    await stage.ship.ready("api")


async def over(stage: Stage, runs: int, seconds: float) -> bool:
    """Whether so many runs were accepted, and all there are have an end, within so many seconds."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        ((accepted, over),) = await stage.ship.rows("SELECT count(*), count(ended_at) FROM run")
        if accepted >= runs and over == accepted:
            return True
        await asyncio.sleep(0.1)
    return False


async def shown(stage: Stage, what: str, query: str, seconds: float, *of: object) -> None:
    """Returns once a query finds something; that it does not is wrong."""
    ends = time.monotonic() + seconds
    while not await stage.ship.rows(query, *of):
        if time.monotonic() > ends:
            stage.wrong.append(f"{what}: not within {seconds:.0f} s")
            return
        await asyncio.sleep(0.05)


async def end_in_time(stage: Stage, runs: int, seconds: float = 22) -> None:
    """Every run has an end within the time its retries may take."""
    if not await over(stage, stage.runs_before + runs, seconds):
        stage.wrong.append(f"a run has no end after {seconds:.0f} s")


async def gone(*tasks: asyncio.Task[Any], seconds: float = 2) -> None:
    """Callers who have waited long enough hang up."""
    await asyncio.wait(tasks, timeout=seconds)
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
