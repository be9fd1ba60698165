"""At idle, one client: a turn in which the model has ten tools called at once, beside the floor's."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import NamedTuple

from bench.bench import Bench
from bench.figures import figure, millis, percentile, ratio
from bench.floor import Errand
from bench.report import Row

CALLS = 10
PAUSE = 0.1
"""Seconds between two turns: what one leaves behind is done by then."""
WARM = 3
MOST = 1.15
"""The aim: so much of the floor's."""


class Took(NamedTuple):
    """One turn of both, in seconds."""

    ours: float
    floor: float


async def measure(bench: Bench) -> None:
    """Every round in a conversation of its own, both in turn."""
    await _round(bench, WARM)
    rounds = [await _round(bench, bench.amount.latencies) for _ in range(bench.amount.rounds)]
    for share in (0.5, 0.95):
        ours, floor = (_at(rounds, share, who) for who in Took._fields)
        name = f"a turn with {CALLS} calls at once, p{share * 100:.0f}, ms"
        bench.report.rows.append(Row(name, figure(ours), floor=figure(floor)))
    halves = (_at(rounds, 0.5, who) for who in Took._fields)
    name = f"a turn with {CALLS} calls at once beside the floor's, p50, ratio"
    bench.report.rows.append(Row(name, ratio(*halves), most=MOST, note="round by round"))


async def _round(bench: Bench, turns: int) -> list[Took]:
    errand = Errand(calls=CALLS, url=f"{bench.house.tools_url}/text=done/bench")
    place, found = await bench.ours.conversation(), []
    for _ in range(turns):
        await asyncio.sleep(PAUSE)
        ours = await bench.ours.errand(place, errand)
        await asyncio.sleep(PAUSE)
        found.append(Took(ours, await bench.floor.errand(errand)))
    return found


def _at(rounds: Sequence[Sequence[Took]], share: float, who: str) -> list[float]:
    return [millis(percentile([getattr(took, who) for took in one], share)) for one in rounds]
