"""A run of a task: wait for its turn, let the agent work while it may, see what its end asks for."""

from __future__ import annotations

from datetime import timedelta
from typing import NoReturn

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from activities.tasks import Tasks
from domain.plans import Place, PlaceInput, Progress, RunInput, SettleInput, TaskInput
from workflows import options
from workflows.agent import Agent

FIRED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""Set by Temporal: the time that a schedule fired for, without its jitter."""
PATIENCE = timedelta(minutes=10)
"""Between two looks of a run whose turn has not come, should nobody tell it."""


@workflow.defn(name="task_run")
class TaskRunWorkflow:
    def __init__(self) -> None:
        self._agent = Agent(self._go_on)
        self._input: TaskInput

    @workflow.run
    async def run(self, input: TaskInput) -> None:
        self._input = input
        if input.ends_at is None:
            place = await self._place(input)
            if place.run_id is None:
                return
            ends_at = workflow.now() + timedelta(seconds=place.seconds)
            self._input = input.model_copy(update={"run_id": place.run_id, "ends_at": ends_at})
        assert self._input.run_id is not None
        await self._agent.run(RunInput(run_id=self._input.run_id, ordinal=input.ordinal), self._input.ends_at)
        await workflow.execute_local_activity_method(
            Tasks.ended, SettleInput(task_id=input.task_id), **options.DATABASE
        )

    async def _place(self, input: TaskInput) -> Place:
        """Where its run is, once it may begin."""
        fired_at = workflow.info().typed_search_attributes.get(FIRED_AT) if input.run_id is None else None
        asked = PlaceInput(
            task_id=input.task_id,
            run_id=input.run_id,
            fired_at=fired_at,
            workflow_id=workflow.info().workflow_id,
        )
        while True:
            told = self._agent.told
            place = await workflow.execute_local_activity_method(Tasks.place, asked, **options.DATABASE)
            if place.run_id is None or place.admitted:
                return place
            await self._agent.until_told(told, PATIENCE)

    def _go_on(self, again: RunInput) -> NoReturn:
        """With a history of its own, from a model step on."""
        workflow.continue_as_new(self._input.model_copy(update={"ordinal": again.ordinal}))

    @workflow.signal
    def look(self) -> None:
        self._agent.look()

    @workflow.query
    def progress(self) -> Progress:
        return self._agent.progress
