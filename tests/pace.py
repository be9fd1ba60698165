"""How slow this machine is just now: what is promised in seconds is promised of one that is not overrun."""

from __future__ import annotations

import time
from statistics import median

from tests.http import Api

USUAL = 0.08
"""Seconds that the shortest turn takes on two cores with nothing else to do, at most."""
_ASK = {"messages": [{"type": "user", "text": "[model tokens=1]"}]}


async def pace(api: Api) -> float:
    """How many times as long as usual a turn takes; 1 at least."""
    took = []
    for _ in range(7):
        asked = time.perf_counter()
        await api.ok("/v1/conversation/complete", _ASK)
        took.append(time.perf_counter() - asked)
    return max(1.0, median(took) / USUAL)
