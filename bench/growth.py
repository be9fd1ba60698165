"""A long conversation: what does a turn take at a thousand stored messages, beside one at ten?"""

from __future__ import annotations

from bench.bench import Bench
from bench.callers import Messages, said
from bench.figures import median, ratio
from bench.report import Row

FEW, MANY = 10, 1_000
TEXT = said()

Times = dict[str, list[float]]
"""Seconds, by who and how much was stored: "ours few", …"""


async def measure(bench: Bench) -> None:
    """In every round the median of short and long turns; the ratio of the two is the round's figure."""
    place = await bench.ours.conversation(_stored(MANY))
    await _round(bench, place, 1)
    rounds = [await _round(bench, place, bench.amount.growth) for _ in range(bench.amount.rounds)]
    ours, direct, floor = (
        ratio(*([median(times[f"{who} {much}"]) for times in rounds] for much in ("many", "few")))
        for who in ("ours", "direct", "floor")
    )
    name = f"a turn at {MANY:,} messages beside one at {FEW}, ratio"
    bench.report.rows.append(Row(name, ours, direct, floor, most=1.5))


async def _round(bench: Bench, long: str, turns: int) -> Times:
    """Short and long in turn. The floor and the model are handed the messages with every call."""
    times: Times = {}
    for _ in range(turns):
        short = await bench.ours.conversation(_stored(FEW))
        for much, messages, place in (("few", _stored(FEW), short), ("many", _stored(MANY), long)):
            through = await bench.ours.whole(place, TEXT)
            alone = (await bench.direct.streamed("", TEXT, messages)).whole
            bare = await bench.floor.whole("", TEXT, messages)
            for who, took in (("ours", through), ("direct", alone), ("floor", bare)):
                times.setdefault(f"{who} {much}", []).append(took)
    return times


def _stored(count: int) -> Messages:
    text = "What was said before stays as it was said."
    return [("user" if place % 2 == 0 else "bot", f"{place} {text}") for place in range(count)]
