"""The loops in every worker: start what is accepted or to be sent, admit what waits, seek lost plans, tell of
tasks."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TypeVar

import asyncpg

from domain.errors import HoldfastError, PlanLost, Unavailable
from domain.plans import Plan
from domain.projection import Projection, projected
from domain.task import Task
from schedules import Schedules
from starter import Starter
from store import Store
from store.listener import Listener, within
from store.looks import BATCH
from store.projection import BATCH as CLAIM
from store.sending import Due
from telemetry.meters import Meters

T = TypeVar("T")
_log = logging.getLogger(__name__)

PERIOD = 0.5
"""Seconds between rounds; the end of a run begins one at once."""
_REST = 0.05
_AT_ONCE = 10
_STARTS = 32


class Sweeper:
    def __init__(self, store: Store, starter: Starter, schedules: Schedules, meters: Meters) -> None:
        self._store = store
        self._starter = starter
        self._schedules = schedules
        self._meters = meters
        self._due = asyncio.Event()
        self._accepted = asyncio.Event()
        self._to_send = asyncio.Event()
        self._places = asyncio.Semaphore(_STARTS)

    async def run(self) -> None:
        calls = {
            "holdfast_end": self._due.set,
            "holdfast_accepted": self._accepted.set,
            "holdfast_delivery": self._to_send.set,
        }
        listener = Listener(self._store.database.url, calls)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(listener.run())
            tasks.create_task(self._sweep())
            tasks.create_task(self._start())
            tasks.create_task(self._project())
            tasks.create_task(self._deliver())

    async def _sweep(self) -> None:
        clock = asyncio.get_running_loop().time
        last = 0.0
        while True:
            await within(self._due.wait(), PERIOD)
            self._due.clear()
            # By the clock: where runs end all the time, there is never a pause that would tell.
            whole = clock() - last >= PERIOD
            last = clock() if whole else last
            await _through(partial(self._round, whole=whole))
            # Many runs may end at once: one round serves them all.
            await asyncio.sleep(_REST)

    async def _start(self) -> None:
        """What is lost here, the sweep finds 2 s after its acceptance."""
        while True:
            await self._accepted.wait()
            self._accepted.clear()
            if not await _through(self._start_accepted):
                self._accepted.set()

    async def _start_accepted(self) -> None:
        plans = await self._store.looks.accepted()
        if len(plans) == BATCH:
            self._accepted.set()
        self._meters.swept("started", len(plans))
        for plan in plans:
            # No more at once than Temporal answers within its patience, however many were accepted.
            await self._places.acquire()
            self._starter.start_soon(plan).add_done_callback(lambda _: self._places.release())

    async def _round(self, *, whole: bool) -> None:
        admitted = await self._store.admission.admit()
        self._meters.swept("admitted", len(admitted))
        for plan in admitted:
            self._starter.start_soon(plan)
        if whole:
            # None may keep another from its work.
            for work in (self._look, self._tell, self._nudge):
                await _alone(work)

    async def _look(self) -> None:
        due = await self._store.looks.due()
        unanswered = [plan.run_id for plan, done in await _each(due, self._look_after) if not done]
        if unanswered:
            await self._store.looks.soon(unanswered)

    async def _look_after(self, plan: Plan) -> None:
        """An unreachable Temporal proves nothing: then `Unavailable` is raised and the run left alone."""
        state = await self._starter.state(plan.workflow_id)
        self._meters.swept(f"found_{state}")
        if state == "unknown":
            await self._starter.start(plan)
        elif state == "open" and plan.waits:
            # Whoever admitted it may have died before it could say so.
            await self._starter.look(plan)
        elif state == "closed":
            stopped = await self._store.turns.finish(plan.run_id, PlanLost.code)
            if stopped.cancel is not None:
                self._meters.gave_up(stopped.cancel, PlanLost.code)
            if stopped.start is not None:
                self._starter.start_soon(stopped.start)

    async def _tell(self) -> None:
        told = await _each(await self._store.looks.untold(), self._starter.cancel)
        self._meters.swept("told", len(told))
        await self._store.turns.told([plan.run_id for plan, done in told if done])

    async def _nudge(self) -> None:
        told = await _each(await self._store.looks.unheard(), self._have_look)
        self._meters.swept("nudged", len(told))

    async def _have_look(self, plan: Plan) -> None:
        """A plan that cannot be told is lost, or was closed by somebody: its run is looked after now."""
        if not await self._starter.look(plan):
            await self._look_after(plan)

    async def _deliver(self) -> None:
        """Beside the rounds as well: a crowd of deliveries keeps no run from its start."""
        while True:
            await within(self._to_send.wait(), PERIOD)
            self._to_send.clear()
            await _through(self._see_to_deliveries)
            # Many runs may end at once.
            await asyncio.sleep(_REST)

    async def _see_to_deliveries(self) -> None:
        while True:
            due, more = await self._store.sending.due()
            tried = await _each(due, self._see_to, _STARTS)
            unanswered = [one.errand.delivery_id for one, done in tried if not done]
            if unanswered:
                await self._store.sending.soon(unanswered)
            if unanswered or not more:
                return

    async def _see_to(self, one: Due) -> None:
        """As `_look_after`, of a delivery."""
        if one.fresh:
            self._meters.swept("sent")
            await self._starter.deliver(one.errand)
            return
        state = await self._starter.state(one.errand.workflow_id)
        self._meters.swept(f"found_{state}")
        if state == "unknown":
            await self._starter.deliver(one.errand)
        elif state == "open" and one.due:
            await self._starter.look(one.errand)
        elif state == "closed" and (kind := await self._store.sending.lost(one.errand)) is not None:
            self._meters.delivered(kind, "dead")

    async def _project(self) -> None:
        """Beside the rounds: no run waits for what schedules take."""
        while True:
            await _through(self._tell_of_tasks)
            await asyncio.sleep(PERIOD)

    async def _tell_of_tasks(self) -> None:
        while True:
            gone = await _each(await self._store.projection.gone(), self._drop)
            told = await _each(await self._store.projection.untold(), self._keep)
            done = sum(done for _, done in [*gone, *told])
            self._meters.swept("projected", done)
            if not done or max(len(gone), len(told)) < CLAIM:
                return

    async def _drop(self, task_id: str) -> None:
        await self._schedules.drop(task_id)
        await self._store.projection.dropped(task_id)

    async def _keep(self, task: Task) -> None:
        try:
            told = projected(task, datetime.now(UTC))
            if told is None:
                await self._schedules.drop(task.id)
            else:
                await self._tell_schedule(told)
        except Unavailable:
            raise
        except Exception:
            # It keeps no other from being told, and what nobody fires is found by upkeep.
            _log.exception("%s has no schedule", task.id)
            await self._store.projection.later(task)
            return
        await self._store.projection.told(task)

    async def _tell_schedule(self, told: Projection) -> None:
        made = await self._schedules.keep(told)
        # One that was there has put off what it spreads, and still fires it.
        spread = timedelta() if made else told.jitter
        if told.paused or told.next_at + spread > datetime.now(UTC):
            return
        # It fires nothing that was due before it was made, or changed.
        settled = await self._store.ledger.catch_up(told.task_id)
        self._meters.fell_due(settled.became)
        for plan in settled.cancel:
            self._meters.stopped(plan, "canceled")


async def _each(
    items: Sequence[T], work: Callable[[T], Awaitable[None]], at_once: int = _AT_ONCE
) -> list[tuple[T, bool]]:
    """Does it for every one, some at once; False for those Temporal gave no answer for."""
    places = asyncio.Semaphore(at_once)

    async def one(item: T) -> tuple[T, bool]:
        async with places:
            try:
                await work(item)
            except Unavailable:
                return item, False
            return item, True

    return list(await asyncio.gather(*(one(item) for item in items)))


async def _through(work: Callable[[], Awaitable[None]]) -> bool:
    """Whether a round came through: a loop outlives its troubles."""
    try:
        await work()
        return True
    except Unavailable as trouble:
        _log.info("sweeping later: %s", trouble.message)
        await asyncio.sleep(PERIOD)
    except (HoldfastError, asyncpg.PostgresError):
        _log.exception("a round of the sweeper failed")
    return False


async def _alone(work: Callable[[], Awaitable[None]]) -> None:
    try:
        await work()
    except asyncpg.PostgresError:
        _log.exception("a part of the sweeper's round failed")
