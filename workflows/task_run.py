"""A run of a task, and what its end asks for."""

from __future__ import annotations

from temporalio import workflow

from activities.tasks import Tasks
from domain.plans import SettleInput, TaskInput
from workflows import options
from workflows.placed import Placed


@workflow.defn(name="task_run")
class TaskRunWorkflow(Placed):
    @workflow.run
    async def run(self, input: TaskInput) -> None:
        if await self.carry_out(input) and input.task_id is not None:
            await workflow.execute_local_activity_method(
                Tasks.ended, SettleInput(task_id=input.task_id), **options.DATABASE
            )
