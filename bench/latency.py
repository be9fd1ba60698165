"""At idle, one client: how much later than the model itself do we speak?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from typing import NamedTuple, TypeVar

from bench.bench import Bench
from bench.callers import said
from bench.figures import figure, median, millis, percentile
from bench.report import Row

T = TypeVar("T")

PAUSE = 0.05
"""Seconds between two calls: what a turn leaves behind is done by then."""
WARM = 3
TEXT = said()


class Took(NamedTuple):
    """One turn of everybody, in seconds."""

    first: float
    model_first: float
    whole: float
    model_whole: float
    floor: float


Round = list[Took]


async def measure(bench: Bench) -> None:
    """Every round in a conversation of its own."""
    await _round(bench, WARM)
    _rows(bench, [await _round(bench, bench.amount.latencies) for _ in range(bench.amount.rounds)])


async def _round(bench: Bench, turns: int) -> Round:
    """Ours, the model and the floor in turn, so that whatever else the machine does meets all alike."""
    place, found = await bench.ours.conversation(), []
    for _ in range(turns):
        first = (await _calm(bench.ours.streamed(place, TEXT))).first
        model = await _calm(bench.direct.streamed("", TEXT))
        whole = await _calm(bench.ours.whole(place, TEXT))
        floor = await _calm(bench.floor.whole("", TEXT))
        found.append(Took(first, model.first, whole, model.whole, floor))
    return found


async def _calm(call: Awaitable[T]) -> T:
    await asyncio.sleep(PAUSE)
    return await call


def _rows(bench: Bench, rounds: Sequence[Round]) -> None:
    """Added is what comes on top of the model's own median in the same round."""
    for share, most in ((0.5, 35), (0.95, 120)):
        name = f"added to the first token, p{share * 100:.0f}, ms"
        added = _added(rounds, share, ("first", "model_first"))
        alone = figure([_at(one, share, "model_first") for one in rounds])
        bench.report.rows.append(Row(name, figure(added), alone, most=most))
    for share in (0.5, 0.95):
        name = f"added to a blocking turn, p{share * 100:.0f}, ms"
        ours, bare = (_added(rounds, share, (who, "model_whole")) for who in ("whole", "floor"))
        alone = figure([_at(one, share, "model_whole") for one in rounds])
        row = Row(name, figure(ours), alone, figure(bare), most=median(bare), note="aim: the floor")
        bench.report.rows.append(row)


def _added(rounds: Sequence[Round], share: float, names: tuple[str, str]) -> list[float]:
    ours, model = names
    return [_at(one, share, ours) - _at(one, 0.5, model) for one in rounds]


def _at(one: Round, share: float, name: str) -> float:
    """Milliseconds."""
    return millis(percentile([getattr(took, name) for took in one], share))
