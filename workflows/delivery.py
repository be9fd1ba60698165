"""A result on its way to where it was asked for: attempts, and the time between them."""

from __future__ import annotations

import contextlib
from datetime import timedelta

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

from activities.deliveries import Deliveries
from domain.plans import AttemptResult, DeliveryInput, Progress, deliveries_queue
from workflows import options
from workflows.agent import HISTORY_BYTES


@workflow.defn(name="delivery")
class DeliveryWorkflow:
    def __init__(self) -> None:
        self._told = 0
        self._progress = Progress()

    @workflow.run
    async def run(self, input: DeliveryInput) -> None:
        while True:
            # Told from here on means that there is something new.
            told = self._told
            self._at("delivery", attempts=self._progress.attempts + 1)
            tried = await self._tried(input)
            if tried.over:
                return
            self._at("waiting", waits=1)
            await self._until_told(told, tried.seconds)
            if workflow.info().get_current_history_size() > HISTORY_BYTES:
                workflow.continue_as_new(input)

    async def _tried(self, input: DeliveryInput) -> AttemptResult:
        try:
            # Beside its plan, which is cheap, while those who hang leave places there.
            tried = await self._attempt(input)
            if tried.crowded:
                apart = deliveries_queue(workflow.info().task_queue)
                tried = await self._attempt(input.model_copy(update={"apart": True}), apart)
            return tried
        except ActivityError as failure:
            if is_cancelled_exception(failure):
                raise
            # Its workers died, or have a bug that a newer one has not: that is no reason to lose it.
            return AttemptResult(over=False, seconds=options.LATER.total_seconds())

    async def _attempt(self, input: DeliveryInput, queue: str | None = None) -> AttemptResult:
        return await workflow.execute_activity_method(
            Deliveries.attempt, input, task_queue=queue, **options.DELIVERY
        )

    async def _until_told(self, told: int, seconds: float) -> None:
        # A little later than due, so that by Postgres's clock it is.
        patience = timedelta(seconds=seconds + 0.05)
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self._told > told, timeout=patience)

    def _at(self, phase: str, waits: int = 0, **more: int) -> None:
        self._progress = self._progress.model_copy(update={"phase": phase, "waits": waits, **more})

    @workflow.signal
    def look(self) -> None:
        """It is to be tried now."""
        self._told += 1

    @workflow.query
    def progress(self) -> Progress:
        return self._progress
