"""Triggers: how soon events are acknowledged while the platform works, and how fast results are delivered."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import NamedTuple

import asyncpg

from bench.bench import Bench
from bench.callers import BadAnswer, Source, said
from bench.figures import figure, millis, percentile
from bench.report import Row

RATE = 50
"""Events a second."""
MOST = 50
"""Milliseconds: the aim of the p99."""
CALLERS = 16
TURNS = 4
"""Conversations that each ask again as soon as they are answered, while results are delivered."""
TARGETS = 8
"""A target has so many attempts at once; with as many targets it is the platform that is measured."""
TEXT = said(5)
SETTLED = 60.0
"""Seconds in which all must be delivered."""
LOOK = 0.05
_DELIVERED = "SELECT count(*) FROM delivery WHERE state = 'delivered'"


class Round(NamedTuple):
    """Some events at a steady rate."""

    took: Sequence[float]
    """Seconds from when each was to be posted until it was acknowledged."""
    seconds: float


async def measure(bench: Bench) -> None:
    """What is left to do for events is called off before the next is measured."""
    async with _trigger(bench) as source:
        _report(bench, await _steady(bench, source), "Temporal up")
    async with _trigger(bench) as source:
        with bench.house.without("temporal"):
            _report(bench, await _steady(bench, source), "Temporal stopped")
    async with _trigger(bench) as source:
        rates = [await _crowd(bench, source, number) for number in range(bench.amount.repeats)]
    note = f"{CALLERS} callers; Temporal up"
    bench.report.rows.append(Row("events accepted a second, as fast as they come", figure(rates), note=note))
    await _deliver(bench)


def _report(bench: Bench, found: Round, note: str) -> None:
    name = f"{RATE} events a second for {bench.amount.event_seconds:.0f} s, {note}"
    rows = bench.report.rows
    rows.append(Row(f"{name}: acknowledged a second", figure([len(found.took) / found.seconds])))
    for share, most in ((0.5, None), (0.99, MOST)):
        took = figure([millis(percentile(found.took, share))])
        rows.append(Row(f"{name}: p{share * 100:.0f}, ms", took, most=most))


@asynccontextmanager
async def _trigger(bench: Bench, **given: object) -> AsyncIterator[Source]:
    """One whose agent answers shortly; each event has its own conversation."""
    source = await bench.ours.trigger({"description": TEXT, "sessionDuration": 0, **given})
    try:
        yield source
    finally:
        await bench.ours.remove_trigger(source)


async def _steady(bench: Bench, source: Source) -> Round:
    """Each at its own moment, however long those before it take."""
    count, began = int(RATE * bench.amount.event_seconds), time.perf_counter()

    async def one(number: int) -> float:
        due = began + number / RATE
        await asyncio.sleep(due - time.perf_counter())
        await bench.ours.event(source, f"steady-{number}")
        return time.perf_counter() - due

    took = await asyncio.gather(*(one(number) for number in range(count)))
    return Round(took, time.perf_counter() - began)


async def _crowd(bench: Bench, source: Source, round: int) -> float:
    """Events a second, by callers who post again as soon as they are answered."""
    began, ends, count = time.perf_counter(), time.perf_counter() + bench.amount.round_seconds, 0

    async def caller(number: int) -> None:
        nonlocal count
        while time.perf_counter() < ends:
            await bench.ours.event(source, f"crowd-{round}-{number}-{count}")
            count += 1

    await asyncio.gather(*(caller(number) for number in range(CALLERS)))
    return count / (time.perf_counter() - began)


async def _deliver(bench: Bench) -> None:
    """Pings: what is delivered without a run of its own."""
    async with AsyncExitStack() as stack:
        targets = [await _target(bench, stack, number) for number in range(TARGETS)]
        async with _busy(bench):
            rates = [await _pinged(bench, targets) for _ in range(bench.amount.repeats)]
    note = f"{bench.amount.deliveries} pings to {TARGETS} targets; {TURNS} conversations meanwhile"
    bench.report.rows.append(Row("webhooks delivered a second", figure(rates), note=note))


async def _target(bench: Bench, stack: AsyncExitStack, number: int) -> str:
    webhook = {"url": f"{bench.house.tools_url}/text=taken/hook{number}"}
    source = await stack.enter_async_context(_trigger(bench, delivery={"webhook": webhook}))
    return await bench.ours.target(source)


async def _pinged(bench: Bench, targets: Sequence[str]) -> float:
    """Webhooks a second, from the first call until all were taken."""
    connection = await asyncpg.connect(bench.house.database_url)
    try:
        before, began = await connection.fetchval(_DELIVERED), time.perf_counter()
        line = iter(range(bench.amount.deliveries))

        async def caller() -> None:
            for number in line:
                await bench.ours.ping(targets[number % len(targets)])

        await asyncio.gather(*(caller() for _ in range(CALLERS)))
        while await connection.fetchval(_DELIVERED) < before + bench.amount.deliveries:
            if time.perf_counter() - began > SETTLED:
                raise BadAnswer(f"not everything is delivered after {SETTLED:.0f} s")
            await asyncio.sleep(LOOK)
        return bench.amount.deliveries / (time.perf_counter() - began)
    finally:
        await connection.close()


@asynccontextmanager
async def _busy(bench: Bench) -> AsyncIterator[None]:
    """The rest of the platform is at work."""

    async def ask(place: str) -> None:
        while True:
            await bench.ours.whole(place, TEXT)

    places = [await bench.ours.conversation() for _ in range(TURNS)]
    asking = [asyncio.create_task(ask(place)) for place in places]
    try:
        yield
    finally:
        for task in asking:
            task.cancel()
        await asyncio.wait(asking)
