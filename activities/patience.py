"""Waiting inside an activity: heartbeats go on, and an outage of Postgres spends no attempt."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from temporalio import activity

from domain.errors import TooSlow, Unavailable

T = TypeVar("T")

SLOW_TRIES = 3

BEAT = (0.8, 1.2)
"""Seconds before the first heartbeat and between two: a quarter of their timeout. Short turns send none.

By chance, because activities that begin together would beat together, and tokens would wait behind that.
"""


@asynccontextmanager
async def beating() -> AsyncIterator[None]:
    """Heartbeats from the side: a silent model is not a dead worker. Its silence has its own limit."""
    task = asyncio.create_task(_beat())
    try:
        yield
    finally:
        task.cancel()


async def _beat() -> None:
    while True:
        await asyncio.sleep(random.uniform(*BEAT))
        activity.heartbeat()


async def patiently(work: Callable[[], Awaitable[T]]) -> T:
    """Repeats safe work until Postgres is there; the activity's own timeout bounds it.

    Raises TooSlow when Postgres is there and gives up on the work several times: waiting does not help then.
    """
    pause, slow = 0.2, 0
    while True:
        try:
            return await work()
        except Unavailable as trouble:
            slow += isinstance(trouble, TooSlow)
            if slow == SLOW_TRIES:
                raise
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2.0)
