"""How long those who listen or call go without, measured on streams that speak all the time."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import Sequence

from bench.torture.clients import Client
from bench.torture.history import Op
from bench.torture.talk import Talk
from bench.torture.waiting import until

FLOWING = 6
FRESH = 2
APART = 0.15
PACE, LENGTH = 80, 80
"""A probe's milliseconds a token, and its words: it streams for eight seconds."""
SILENCE = 0.5
"""Seconds without an event after which a stream stands still."""
ON_ITS_WAY = 1.0
"""Seconds in which what was sent before a fault may still arrive."""
PATIENCE = 25.0


class Probes:
    """Streams around one fault: some that flow when it begins, some that call in the middle of it."""

    def __init__(self, client: Client, talk: Talk) -> None:
        self._client = client
        self._talk = talk
        self._tasks: list[asyncio.Task[None]] = []
        self._flowing: list[Op] = []
        self._fresh: list[Op] = []

    async def begin(self) -> None:
        """Returns once some streams flow."""
        for _ in range(FLOWING):
            self._flowing.append(self._ask())
            # Together one worker might take them all.
            await asyncio.sleep(APART)
        await until(lambda: all(len(self._talk.times[op.id]) > 1 for op in self._flowing), 6)
        self._tasks.append(asyncio.create_task(self._call_in_the_middle()))

    async def recovery(self, moment: float) -> float:
        """Seconds from a moment until everybody was served again."""
        await until(lambda: all(self._served(op, moment) for op in self._all), PATIENCE)
        flowing = [_silence(self._talk.times[op.id], moment) for op in self._flowing]
        fresh = [next(iter(self._talk.times[op.id]), time.time()) - moment for op in self._fresh]
        return max(0.0, *flowing, *fresh)

    async def end(self) -> None:
        await asyncio.gather(*self._tasks)

    @property
    def _all(self) -> list[Op]:
        return [*self._flowing, *self._fresh]

    def _ask(self) -> Op:
        op = self._client.op("stateless", pace=PACE, length=LENGTH)
        self._tasks.append(asyncio.create_task(self._client.stream(op)))
        return op

    async def _call_in_the_middle(self) -> None:
        await asyncio.sleep(0.3)
        self._fresh = [self._ask() for _ in range(FRESH)]

    def _served(self, op: Op, moment: float) -> bool:
        last = max(self._talk.times[op.id][-1:], default=0.0)
        return op.outcome != "unknown" or last > moment + ON_ITS_WAY


def _silence(times: Sequence[float], moment: float) -> float:
    """From the moment to the end of the longest silence that began about then."""
    around = [
        (after - before, after)
        for before, after in itertools.pairwise([*times, time.time()])
        if before <= moment + ON_ITS_WAY and after > moment
    ]
    longest, end = max(around, default=(0.0, moment))
    return end - moment if longest > SILENCE else longest
