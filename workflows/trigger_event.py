"""What the agent does with an event of a trigger."""

from __future__ import annotations

from temporalio import workflow

from domain.plans import TaskInput
from workflows.placed import Placed


@workflow.defn(name="trigger_event")
class TriggerEventWorkflow(Placed):
    @workflow.run
    async def run(self, input: TaskInput) -> None:
        await self.carry_out(input)
