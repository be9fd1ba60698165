"""A stateless completion: everything asked at once, nothing remembered."""

from __future__ import annotations

from temporalio import workflow

from domain.plans import Progress, RunInput
from workflows.agent import Agent


@workflow.defn(name="completion")
class CompletionWorkflow:
    def __init__(self) -> None:
        self._agent = Agent()

    @workflow.run
    async def run(self, input: RunInput) -> None:
        await self._agent.run(input)

    @workflow.signal
    def look(self) -> None:
        self._agent.look()

    @workflow.query
    def progress(self) -> Progress:
        return self._agent.progress
