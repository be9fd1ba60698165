"""The watchdog of tasks: what was due and nobody fired is run, and schedules that drifted are put right."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import reported
from activities.patience import beating

if TYPE_CHECKING:
    from schedules import Schedules
    from store import Store
    from store.projection import Overdue, Wanted
    from telemetry.meters import Meters

_log = logging.getLogger(__name__)

SECONDS = 45.0
"""How long one round looks for what is overdue; what it leaves, the next one takes."""
AT_ONCE = 8
COMPARE_SECONDS = 60.0
"""How long one comparison may take."""
ROUND_SECONDS = 105.0
"""How long one round may take before its activity's time is up; what it leaves, the next one takes."""
FREE, REST = 5.0, 10
"""A comparison that took more than so many seconds is followed by so many times as much without one."""
STRANGERS = 500
"""How many schedules of nobody one round removes."""


class Watch:
    def __init__(self, store: Store, schedules: Schedules, meters: Meters) -> None:
        self._store = store
        self._schedules = schedules
        self._meters = meters
        self._rested = 0.0

    @activity.defn(name="upkeep.watch")
    async def watch(self) -> None:
        """One round; repeating it is harmless."""
        ends = time.monotonic() + ROUND_SECONDS
        async with reported(), beating():
            try:
                await self._heal_all()
            finally:
                await self._compare(ends)

    async def _heal_all(self) -> None:
        ends, places = time.monotonic() + SECONDS, asyncio.Semaphore(AT_ONCE)
        overdue = await self._store.projection.overdue(None)
        while overdue and time.monotonic() < ends:
            await asyncio.gather(*(self._heal(task, places) for task in overdue))
            overdue = await self._store.projection.overdue(overdue[-1])

    async def _heal(self, task: Overdue, places: asyncio.Semaphore) -> None:
        """Decides what nobody fired; its schedule is told anew, and where that did not help, made anew."""
        async with places:
            try:
                await self._decide(task.task_id)
                if task.paused:
                    return
                _log.warning("%s was due and nothing fired: its schedule is told anew", task.task_id)
                if task.again:
                    await self._schedules.drop(task.task_id)
                await self._store.projection.again([task])
            except Exception:
                # It keeps no other from being healed.
                _log.exception("%s is overdue and stays so for now", task.task_id)

    async def _decide(self, task_id: str) -> None:
        settled = await self._store.ledger.heal(task_id)
        self._meters.fell_due(settled.became)
        for plan in settled.cancel:
            self._meters.stopped(plan, "canceled")

    async def _compare(self, ends: float) -> None:
        """What Temporal has with what there should be; the sweeper tells it of what differs."""
        began = time.monotonic()
        if began < self._rested:
            return
        try:
            async with asyncio.timeout(min(COMPARE_SECONDS, ends - began)):
                drifted, strangers = await self._differences()
        except TimeoutError:
            _log.warning("the schedules were not compared in time: Temporal is slow, or has very many")
            return
        finally:
            self._rested = began + REST * max(0.0, time.monotonic() - began - FREE)
        if drifted:
            _log.warning("%d schedules were missing or not as told: they are told anew", len(drifted))
            self._meters.swept("drifted", len(drifted))
            await self._store.projection.again(drifted)
        await self._drop(await self._store.projection.unwanted(strangers[:STRANGERS]), ends)

    async def _drop(self, unwanted: Sequence[str], ends: float) -> None:
        """Schedules of nobody; those that there is no time for, a later round finds again."""
        for task_id in unwanted:
            if time.monotonic() > ends:
                return
            await self._schedules.drop(task_id)

    async def _differences(self) -> tuple[list[Wanted], list[str]]:
        """Tasks whose schedules are missing or not as told, and schedules that may be nobody's."""
        # First what there should be: what is made from now on is no stranger, but is asked about once more.
        wanted = await self._store.projection.wanted()
        drifted: list[Wanted] = []
        strangers: list[str] = []
        year = datetime.now(UTC).year
        async for there in self._schedules.all():
            task = wanted.pop(there.task_id, None)
            if task is None:
                strangers.append(there.task_id)
            elif task.told and (there.note, there.paused) != (task.note(year), task.paused):
                drifted.append(task)
        drifted += [task for task in wanted.values() if task.told]
        return drifted, strangers
