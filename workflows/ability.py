"""One call of an ability, asked for by hand: what an agent's call is, without the agent."""

from __future__ import annotations

from temporalio import workflow

from domain.plans import Progress, RunInput
from workflows.agent import Agent


@workflow.defn(name="ability")
class AbilityWorkflow:
    def __init__(self) -> None:
        self._agent = Agent()

    @workflow.run
    async def run(self, input: RunInput) -> None:
        await self._agent.execute(input)

    @workflow.query
    def progress(self) -> Progress:
        return self._agent.progress
