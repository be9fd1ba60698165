"""The time of a task's run, where there is none left when its plan comes to it."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from tests.house import PATIENCE
from workflows.agent import in_time


async def test_a_run_whose_time_is_up_already_is_ended_and_its_work_is_not_begun() -> None:
    begun, asked = False, 0

    async def work() -> None:
        nonlocal begun
        begun = True

    async def left() -> float:
        nonlocal asked
        asked += 1
        return 0.0

    await in_time(work(), 0.0, left)

    assert (asked, begun) == (1, False)


async def test_work_does_not_go_on_when_nobody_can_tell_what_time_is_left() -> None:
    stopped = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            stopped.set()

    async def left() -> float:
        await asyncio.sleep(0)
        raise RuntimeError

    with suppress(RuntimeError):
        await in_time(work(), 0.0, left)

    await asyncio.wait_for(stopped.wait(), PATIENCE)
