"""What a run waits for: looked at when its plan is told to, and when something is due."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import reported
from domain.plans import LookInput, LookResult

if TYPE_CHECKING:
    from starter import Starter
    from store import Store
    from telemetry.meters import Meters


TRIES = 10
"""Attempts of a look that fails for a reason nobody knows; then its run fails. Outages are waited out."""


class Waits:
    def __init__(self, store: Store, starter: Starter, meters: Meters) -> None:
        self._store = store
        self._starter = starter
        self._meters = meters

    @activity.defn(name="wait.look")
    async def look(self, input: LookInput) -> LookResult:
        """Answers what can be answered, and says what is left.

        A local activity: one short transaction, conditional on the run's state.
        """
        async with reported(tries=TRIES):
            looked = await self._store.waits.look(input.run_id)
        for came in looked.came:
            self._meters.tool_called(came.kind, came.code or "answered", None)
            self._meters.tool_took(came.kind, came.seconds)
        if looked.ended is not None:
            self._meters.stopped(looked.ended, "function")
        if looked.start is not None:
            self._starter.start_soon(looked.start)
        return looked.result
