"""The floor: the least that a durable turn on Temporal can be, without words, log or store of ours."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import timedelta

from temporalio import workflow

TASK_QUEUE = "floor"
LIMIT = timedelta(seconds=120)


@dataclass
class Asked:
    """What the model is told: (role, text) in order."""

    messages: list[tuple[str, str]]


@workflow.defn(name="floor")
class Floor:
    """A local activity, an activity, a local activity; the text is the workflow's result."""

    @workflow.run
    async def run(self, asked: Asked) -> str:
        await workflow.execute_local_activity("floor.note", start_to_close_timeout=LIMIT)
        text: str = await workflow.execute_activity("floor.reply", asked, start_to_close_timeout=LIMIT)
        await workflow.execute_local_activity("floor.note", start_to_close_timeout=LIMIT)
        return text


@dataclass
class Errand:
    """A turn whose model has so many calls of one tool made at once: a GET of a URL each."""

    calls: int
    url: str

    @property
    def text(self) -> str:
        """The user's message; see deploy/demo_model.py."""
        wishes = (f'call look {{"n": {number}}}' for number in range(1, self.calls + 1))
        return "\n".join(["[demo delay=0]", *wishes])


@dataclass
class Heard:
    """An errand, the arguments of its calls and what came of them."""

    errand: Errand
    arguments: list[str]
    results: list[str]


@workflow.defn(name="floor.errand")
class FloorErrand:
    """An activity for the model, one for each call, at once, and one for the model again."""

    @workflow.run
    async def run(self, errand: Errand) -> str:
        arguments: list[str] = await workflow.execute_activity(
            "floor.wish", errand, start_to_close_timeout=LIMIT
        )
        calls = [
            workflow.execute_activity("floor.call", args=[errand.url, argument], start_to_close_timeout=LIMIT)
            for argument in arguments
        ]
        heard = Heard(errand, arguments, list(await asyncio.gather(*calls)))
        text: str = await workflow.execute_activity("floor.say", heard, start_to_close_timeout=LIMIT)
        return text
