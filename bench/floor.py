"""The floor: the least that a durable turn on Temporal can be, without words, log or store of ours."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

TASK_QUEUE = "floor"


@dataclass
class Asked:
    """What the model is told: (role, text) in order."""

    messages: list[tuple[str, str]]


@workflow.defn(name="floor")
class Floor:
    """A local activity, an activity, a local activity; the text is the workflow's result."""

    @workflow.run
    async def run(self, asked: Asked) -> str:
        limit = timedelta(seconds=120)
        await workflow.execute_local_activity("floor.note", start_to_close_timeout=limit)
        text: str = await workflow.execute_activity("floor.reply", asked, start_to_close_timeout=limit)
        await workflow.execute_local_activity("floor.note", start_to_close_timeout=limit)
        return text
