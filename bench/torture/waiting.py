"""Waiting, by asking again, within a bound."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

TICK = 0.02


async def until(met: Callable[[], object], seconds: float) -> bool:
    """Whether it came about within so many seconds."""
    ends = time.monotonic() + seconds
    while not met():
        if time.monotonic() > ends:
            return False
        await asyncio.sleep(TICK)
    return True
