"""At idle, one client: how much later than the model itself do we speak?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import TypeVar

from bench.bench import Bench
from bench.callers import said
from bench.figures import median, millis, percentile
from bench.report import Row

T = TypeVar("T")

PAUSE = 0.05
"""Seconds between two calls: what a turn leaves behind is done by then."""
FRESH = 10
"""Turns after which a new conversation is begun."""
TEXT = said()


async def measure(bench: Bench) -> None:
    """Ours, the model and the floor in turn, so that whatever else the machine does meets all alike."""
    first: list[float] = []
    whole: list[float] = []
    floor: list[float] = []
    direct_first: list[float] = []
    direct_whole: list[float] = []
    for turn in range(bench.amount.latencies):
        if turn % FRESH == 0:
            place = await bench.ours.conversation()
        first.append((await _calm(bench.ours.streamed(place, TEXT))).first)
        model = await _calm(bench.direct.streamed("", TEXT))
        direct_first.append(model.first)
        direct_whole.append(model.whole)
        whole.append(await _calm(bench.ours.whole(place, TEXT)))
        floor.append(await _calm(bench.floor.whole("", TEXT)))
    _rows(bench, (first, direct_first), (whole, direct_whole, floor))


async def _calm(call: Awaitable[T]) -> T:
    await asyncio.sleep(PAUSE)
    return await call


def _rows(bench: Bench, first: Sequence[list[float]], whole: Sequence[list[float]]) -> None:
    """Added is what comes on top of the model's own median."""
    ours, direct = first
    for share, most in ((0.5, 50), (0.95, 120)):
        name = f"added to the first token, p{share * 100:.0f}, ms"
        added, alone = percentile(ours, share) - median(direct), percentile(direct, share)
        bench.report.rows.append(Row(name, millis(added), millis(alone), most=most))
    ours, direct, floor = whole
    for share in (0.5, 0.95):
        name = f"added to a blocking turn, p{share * 100:.0f}, ms"
        added, bare = (millis(percentile(some, share) - median(direct)) for some in (ours, floor))
        alone = millis(percentile(direct, share))
        bench.report.rows.append(Row(name, added, alone, bare, most=bare, note="aim: the floor"))
