"""A run that Postgres places: wait for its turn, let the agent work while it may."""

from __future__ import annotations

from typing import NoReturn

from temporalio import workflow
from temporalio.common import SearchAttributeKey

from activities.tasks import Tasks
from domain.plans import LookInput, Place, PlaceInput, Progress, RunInput, TaskInput
from workflows import options
from workflows.agent import Agent, in_time

FIRED_AT = SearchAttributeKey.for_datetime("TemporalScheduledStartTime")
"""Set by Temporal: the time that a schedule fired for, without its jitter."""


class Placed:
    """What the workflows of task runs and of triggers' events are made of."""

    def __init__(self) -> None:
        self._agent = Agent(self._go_on)
        self._input: TaskInput

    async def carry_out(self, input: TaskInput) -> bool:
        """Brings the run to its end; False where there is none."""
        self._input = input
        told = self._agent.told
        place = await self._place()
        if place.run_id is None:
            return False
        self._input = input.model_copy(update={"run_id": place.run_id})
        await self._agent.to_its_end(place.run_id, self._in_turn(place, told))
        return True

    async def _in_turn(self, place: Place, told: int) -> None:
        """Its work, once it may begin; `told`: how often there was something to read before it was placed."""
        while not place.admitted:
            await self._agent.until_told(told, options.TURN)
            told = self._agent.told
            place = await self._place()
            if place.run_id is None:
                return
        assert place.run_id is not None
        work = self._agent.work(RunInput(run_id=place.run_id, ordinal=self._input.ordinal))
        await in_time(work, place.seconds, self._left)

    async def _place(self) -> Place:
        """Which run is its own, and whether it may begin."""
        info, run_id = workflow.info(), self._input.run_id
        asked = PlaceInput(
            task_id=self._input.task_id,
            run_id=run_id,
            fired_at=info.typed_search_attributes.get(FIRED_AT) if run_id is None else None,
            workflow_id=info.workflow_id,
        )
        return await workflow.execute_local_activity_method(Tasks.place, asked, **options.DATABASE)

    async def _left(self) -> float:
        """Ends the run if its time is up; else how many seconds are left."""
        assert self._input.run_id is not None
        return await workflow.execute_local_activity_method(
            Tasks.cut, LookInput(run_id=self._input.run_id), **options.DATABASE
        )

    def _go_on(self, again: RunInput) -> NoReturn:
        """With a history of its own, from a model step on."""
        workflow.continue_as_new(self._input.model_copy(update={"ordinal": again.ordinal}))

    @workflow.signal
    def look(self) -> None:
        self._agent.look()

    @workflow.query
    def progress(self) -> Progress:
        return self._agent.progress
