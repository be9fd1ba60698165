"""A thousand subscribers to one run: does each hear every token, and how long after the model has sent it?"""

from __future__ import annotations

import time
from collections.abc import Sequence
from uuid import uuid4

from bench.bench import Bench
from bench.callers import said
from bench.figures import figure, millis, percentile
from bench.listeners import Crowd, Listener, crowd
from bench.meters import CLIENT
from bench.report import Row

DELAY = 100
"""Milliseconds between two tokens."""
JOIN, LATE = 15.0, 20.0
"""Seconds that all may take to be answered, and to hear the end after the last token was due."""


async def measure(bench: Bench) -> None:
    found = [await _round(bench) for _ in range(bench.amount.repeats)]
    whole = sum(one for one, _, _ in found)
    lags = [lags for _, lags, _ in found if lags]
    count, tokens = bench.amount.listeners, bench.amount.fan_tokens
    name = f"{count:,} subscribers of one run, {tokens} tokens {DELAY} ms apart"
    bench.report.rows.append(
        Row(f"{name}: missed nothing", figure([whole]), least=count * len(found), note="of all rounds")
    )
    used = figure([share for _, _, share in found])
    busy = f"load generator: {used.median:.0%} of a core" if used else ""
    for share, most in ((0.5, None), (0.95, 100), (0.99, None)):
        lag = figure([millis(percentile(some, share)) for some in lags])
        bench.report.rows.append(Row(f"{name}: lag p{share * 100:.0f}, ms", lag, most=most, note=busy))


async def _round(bench: Bench) -> tuple[int, list[float], float]:
    """How many were told everything, every lag in seconds, and the load generator's share of a core."""
    tokens, gate = bench.amount.fan_tokens, bench.amount.join_seconds
    opens = time.time() + gate
    channel = f"fanout-{uuid4()}"
    text = said(tokens, delay=DELAY, stamp=1, at=round(opens * 1000))
    await bench.ours.dispatch(channel, text)
    async with crowd(bench.house.url, bench.house.key, channel) as subscribers:
        await subscribers.grow(bench.amount.listeners, JOIN)
        return await _listened(bench, subscribers, opens - time.time() + tokens * DELAY / 1000 + LATE)


async def _listened(bench: Bench, subscribers: Crowd, seconds: float) -> tuple[int, list[float], float]:
    joined, began, used = time.time(), time.perf_counter(), bench.meters.cpu()[CLIENT]
    await subscribers.finish(seconds)
    busy = (bench.meters.cpu()[CLIENT] - used) / (time.perf_counter() - began)
    whole = sum(listener.is_whole(bench.amount.fan_tokens) for listener in subscribers.listeners)
    return whole, _lags(subscribers.listeners, joined), busy


def _lags(listeners: Sequence[Listener], joined: float) -> list[float]:
    """Of the tokens sent after everybody had come: what is caught up is no lag."""
    return [
        one.received - one.sent for listener in listeners for one in listener.heard() if one.sent > joined
    ]
