"""Sixteen conversations at once: turns a second, and what a turn costs each process."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import NamedTuple

from bench.bench import Bench
from bench.callers import said
from bench.figures import figure, ratio
from bench.report import Row
from bench.table import ALL

CONVERSATIONS = 16
SETTLE = 0.5
"""Seconds after the last answer in which what the turns left behind is done, and counted."""
WARM = 1.0
DIRECT = 0.3
"""The part of a round's seconds that the model alone needs: it makes a hundred times the turns."""
TEXT = said()

Turn = Callable[[str, str], Awaitable[object]]


class Round(NamedTuple):
    rate: float
    """Turns a second."""
    cpu: dict[str, float]
    """Milliseconds a turn, by process and of all."""


async def measure(bench: Bench) -> None:
    """The loads in short rounds, another one first every time: what else the machine does meets all alike."""
    loads: dict[str, Turn] = {
        "blocking": bench.ours.whole,
        "streamed": bench.ours.streamed,
        "floor": bench.floor.whole,
        "direct": bench.direct.whole,
    }
    for turn in loads.values():
        await _round(bench, turn, WARM)
    found: dict[str, list[Round]] = {name: [] for name in loads}
    for number in range(bench.amount.rounds):
        first = number % len(loads)
        for name in [*list(loads)[first:], *list(loads)[:first]]:
            seconds = bench.amount.round_seconds * (DIRECT if name == "direct" else 1)
            found[name].append(await _round(bench, loads[name], seconds))
    _rates(bench, {name: [one.rate for one in rounds] for name, rounds in found.items()})
    _cpu(bench, {name: found[name] for name in ("blocking", "streamed", "floor")})


async def _round(bench: Bench, turn: Turn, seconds: float) -> Round:
    """Every conversation asks again and again until the time is over; the last answers count."""
    places = [await bench.ours.conversation() for _ in range(CONVERSATIONS)]
    before, began = bench.meters.cpu(), time.perf_counter()
    turns = sum(await asyncio.gather(*(_turns(turn, place, began + seconds) for place in places)))
    took = time.perf_counter() - began
    await asyncio.sleep(SETTLE)
    used = {name: (now - before[name]) * 1000 / turns for name, now in bench.meters.cpu().items()}
    return Round(turns / took, {**used, ALL: sum(used.values())})


async def _turns(turn: Turn, place: str, ends: float) -> int:
    turns = 0
    while time.perf_counter() < ends:
        await turn(place, TEXT)
        turns += 1
    return turns


def _rates(bench: Bench, rates: Mapping[str, Sequence[float]]) -> None:
    direct, floor = figure(rates["direct"]), figure(rates["floor"])
    for load in ("blocking", "streamed"):
        name = f"turns a second, {CONVERSATIONS} conversations, {load}"
        bench.report.rows.append(Row(name, figure(rates[load]), direct, floor))
    note = "round by round; aim: beyond the floor"
    for load in ("blocking", "streamed"):
        name = f"turns a second beside the floor's, {load}, ratio"
        bench.report.rows.append(Row(name, ratio(rates[load], rates["floor"]), least=1.0, note=note))
    name, beside = (
        "streamed beside blocking, turns a second, ratio",
        ratio(rates["streamed"], rates["blocking"]),
    )
    bench.report.rows.append(Row(name, beside, least=0.9, note="round by round"))


def _cpu(bench: Bench, found: Mapping[str, Sequence[Round]]) -> None:
    for load, rounds in found.items():
        each = {name: figure([one.cpu[name] for one in rounds]) for name in rounds[0].cpu}
        bench.report.cpu[load] = {name: one for name, one in each.items() if one}
    floor = bench.report.cpu["floor"][ALL]
    for load in ("blocking", "streamed"):
        used = bench.report.cpu[load][ALL]
        bench.report.rows.append(Row(f"CPU a turn, {load}, ms", used, floor=floor, note="all processes"))
