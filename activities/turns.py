"""The end of a run that its model did not make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import reported
from domain.plans import FinishInput

if TYPE_CHECKING:
    from starter import Starter
    from store import Store
    from telemetry.meters import Meters


class Turns:
    def __init__(self, store: Store, starter: Starter, meters: Meters) -> None:
        self._store = store
        self._starter = starter
        self._meters = meters

    @activity.defn(name="turn.finish")
    async def finish(self, input: FinishInput) -> None:
        """Ends the run with an error code; nothing happens to one that is over.

        A local activity: one short transaction, conditional on the run's state.
        """
        async with reported():
            stopped = await self._store.turns.finish(input.run_id, input.code)
            # This plan is the one who would be told.
            await self._store.turns.told([input.run_id])
        if stopped.cancel is not None:
            self._meters.gave_up(stopped.cancel, input.code)
        if stopped.start is not None:
            self._starter.start_soon(stopped.start)
