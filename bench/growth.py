"""A long conversation: what does a turn take at a thousand stored messages, beside one at ten?"""

from __future__ import annotations

from bench.bench import Bench
from bench.callers import Messages, said
from bench.figures import median
from bench.report import Row

FEW, MANY = 10, 1_000
TEXT = said()


async def measure(bench: Bench) -> None:
    """Short and long in turn. The floor and the model are handed the messages with every call."""
    few, many = _stored(FEW), _stored(MANY)
    long = await bench.ours.conversation(many)
    times: dict[str, list[float]] = {}
    for _ in range(bench.amount.growth):
        short = await bench.ours.conversation(few)
        for name, messages, place in (("few", few, short), ("many", many, long)):
            through = await bench.ours.whole(place, TEXT)
            alone = (await bench.direct.streamed("", TEXT, messages)).whole
            bare = await bench.floor.whole("", TEXT, messages)
            for who, took in (("ours", through), ("direct", alone), ("floor", bare)):
                times.setdefault(f"{who} {name}", []).append(took)
    ours, direct, floor = (
        median(times[f"{who} many"]) / median(times[f"{who} few"]) for who in ("ours", "direct", "floor")
    )
    name = f"a turn at {MANY:,} messages beside one at {FEW}, ratio"
    bench.report.rows.append(Row(name, ours, direct, floor, most=1.5))


def _stored(count: int) -> Messages:
    text = "What was said before stays as it was said."
    return [("user" if place % 2 == 0 else "bot", f"{place} {text}") for place in range(count)]
