"""One turn of a conversation: hear the user, let the agent answer."""

from __future__ import annotations

from temporalio import workflow

from domain.plans import Progress, RunInput
from workflows.agent import Agent


@workflow.defn(name="turn")
class TurnWorkflow:
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
