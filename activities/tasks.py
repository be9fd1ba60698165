"""The database steps of a task's run before it begins and after it has ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import reported
from domain.plans import LookInput, Place, PlaceInput, SettleInput

if TYPE_CHECKING:
    from starter import Starter
    from store import Store
    from telemetry.meters import Meters

TRIES = 10
"""Attempts of a step that fails for a reason nobody knows. Outages are waited out."""


class Tasks:
    def __init__(self, store: Store, starter: Starter, meters: Meters) -> None:
        self._store = store
        self._starter = starter
        self._meters = meters

    @activity.defn(name="task.place")
    async def place(self, input: PlaceInput) -> Place:
        """Which run is this plan's own, and whether its turn has come.

        Of a plan that a schedule fired, what becomes of the time is decided here; repeating it is harmless.
        """
        async with reported(tries=TRIES):
            if input.run_id is not None:
                return await self._store.task_runs.place(input.run_id)
            if input.fired_at is None or input.task_id is None:
                return Place()
            place, settled = await self._store.ledger.fire(input.task_id, input.fired_at, input.workflow_id)
        self._meters.fell_due(settled.became)
        for plan in settled.cancel:
            self._meters.stopped(plan, "canceled")
        return place

    @activity.defn(name="task.cut")
    async def cut(self, input: LookInput) -> float:
        """Ends a run whose time is up, which is no failure; else says how many seconds are left."""
        async with reported(tries=TRIES):
            cut = await self._store.turns.cut(input.run_id)
        if cut.ended is not None:
            self._meters.ended(cut.ended, "succeeded", "iteration")
        if cut.start is not None:
            self._starter.start_soon(cut.start)
        return cut.left

    @activity.defn(name="task.ended")
    async def ended(self, input: SettleInput) -> None:
        """A run of the task is over: one that is to pause on failure does."""
        async with reported(tries=TRIES):
            await self._store.ledger.ended(input.task_id)
