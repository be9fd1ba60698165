"""Subscribers to a channel on which nothing happens: how much memory of the API does each take?"""

from __future__ import annotations

import asyncio
from uuid import uuid4

from api.streams import SILENCE
from bench.bench import Bench
from bench.figures import figure
from bench.listeners import crowd
from bench.meters import memory
from bench.report import Row

WARM = 20
"""Subscribers who come first and stay, and are not counted: the first of anything costs more."""
JOIN = 30.0
SETTLE = 2.0
"""Seconds for what has come to come to rest."""


async def measure(bench: Bench) -> None:
    """Every round with a fresh API: memory that was used before would be used again, and not be seen.

    The rounds go on side by side: each weighs what is its own API's alone, and most of their time is waiting.
    """
    found = await asyncio.gather(*(_round(bench) for _ in range(bench.amount.repeats)))
    name = f"an idle subscriber, {bench.amount.listeners:,} at once: API memory, KiB"
    bench.report.rows.append(Row(name, figure(found), most=40, note="after a first sign of life"))


async def _round(bench: Bench) -> float:
    """KiB for each of the crowd, once each was sent a sign of life: that takes memory too."""
    count, channel = bench.amount.listeners, f"idle-{uuid4()}"
    await bench.ours.publish(channel)
    async with (
        bench.house.another_api() as (url, pid),
        crowd(url, bench.house.key, channel) as subscribers,
    ):
        await subscribers.grow(WARM, JOIN)
        await asyncio.sleep(SETTLE)
        before = memory(pid)
        await subscribers.grow(count, JOIN)
        await asyncio.sleep(SILENCE + SETTLE)
        return (memory(pid) - before) / count / 1024
