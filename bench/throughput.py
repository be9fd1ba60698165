"""Sixteen conversations at once: turns a second, and what a turn costs each process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from bench.bench import Bench
from bench.callers import said
from bench.report import Row

CONVERSATIONS = 16
SETTLE = 0.5
"""Seconds after the last answer in which what the turns left behind is done, and counted."""
WARM = 1.5
DIRECT = 1.5
TEXT = said()

Turn = Callable[[str, str], Awaitable[object]]


class Load:
    """One way of asking, over all its rounds."""

    def __init__(self, name: str, turn: Turn) -> None:
        self.name = name
        self.turn = turn
        self.turns = 0
        self.seconds = 0.0
        self.cpu: dict[str, float] = {}

    @property
    def rate(self) -> float:
        return self.turns / self.seconds

    @property
    def cpu_per_turn(self) -> dict[str, float]:
        return {name: used * 1000 / self.turns for name, used in self.cpu.items()}

    async def round(self, bench: Bench, seconds: float) -> None:
        """Every conversation asks again and again until the time is over; the last answers count."""
        places = [await bench.ours.conversation() for _ in range(CONVERSATIONS)]
        before, began = bench.meters.cpu(), time.perf_counter()
        turns = await asyncio.gather(*(self._one(place, began + seconds) for place in places))
        took = time.perf_counter() - began
        await asyncio.sleep(SETTLE)
        after = bench.meters.cpu()
        self.turns += sum(turns)
        self.seconds += took
        for name, used in after.items():
            self.cpu[name] = self.cpu.get(name, 0) + used - before[name]

    async def _one(self, place: str, ends: float) -> int:
        turns = 0
        while time.perf_counter() < ends:
            await self.turn(place, TEXT)
            turns += 1
        return turns


async def measure(bench: Bench) -> None:
    """The loads in short rounds, another one first every time: what else the machine does meets all alike."""
    loads = [
        Load("blocking", bench.ours.whole),
        Load("streamed", bench.ours.streamed),
        Load("floor", bench.floor.whole),
    ]
    for load in loads:
        await Load("warm", load.turn).round(bench, WARM)
    for first in range(bench.amount.rounds):
        for load in [*loads[first:], *loads[:first]]:
            await load.round(bench, bench.amount.round_seconds)
    direct = Load("direct", bench.direct.whole)
    await direct.round(bench, DIRECT)
    _rows(bench, loads, direct.rate)


def _rows(bench: Bench, loads: list[Load], direct: float) -> None:
    blocking, streamed, floor = (load.rate for load in loads)
    name = f"turns a second, {CONVERSATIONS} conversations"
    aim = 0.9 * floor
    note = "aim: 0.9 of the floor"
    bench.report.rows += [
        Row(f"{name}, blocking", blocking, direct, floor, least=aim, note=note),
        Row(f"{name}, streamed", streamed, direct, floor, least=aim, note=note),
        Row("streamed beside blocking, turns a second", streamed / blocking, least=0.9),
    ]
    bench.report.cpu = {load.name: load.cpu_per_turn for load in loads}
    sums = [sum(load.cpu_per_turn.values()) for load in loads]
    bench.report.rows += [
        Row("CPU a turn, blocking, ms", sums[0], floor=sums[2], note="all processes"),
        Row("CPU a turn, streamed, ms", sums[1], floor=sums[2], note="all processes"),
    ]
