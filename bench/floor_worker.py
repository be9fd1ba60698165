"""The floor's own worker process: `python -m bench.floor_worker ADDRESS MODEL_URL READY_FILE`."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import uvloop
from aiohttp import ClientSession
from temporalio import activity
from temporalio.client import Client, GrpcCompression
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.providers.http import new_session
from activities.providers.openai import OpenAI
from bench.floor import TASK_QUEUE, Asked, Errand, Floor, FloorErrand, Heard
from domain import model
from domain.completion import Finish, ModelCall, Prompt, Role, Token, Tool, ToolCall
from workflows.agent import AT_ONCE

ROLES: dict[str, Role] = {"user": "user", "bot": "assistant"}

LOOK = Tool(
    name="look",
    description="looks it up",
    parameters={"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
)


class Activities:
    """The same model through the same adapter as the product's."""

    def __init__(self, provider: OpenAI, session: ClientSession) -> None:
        self._provider = provider
        self._session = session

    @activity.defn(name="floor.note")
    async def note(self) -> None:
        """Where a real turn would touch its store."""

    @activity.defn(name="floor.reply")
    async def reply(self, asked: Asked) -> str:
        prompts = tuple(Prompt(role=ROLES[kind], text=text) for kind, text in asked.messages)
        call = ModelCall(model=model.parse("demo"), prompts=prompts)
        text, _ = await self._said(call)
        return text

    @activity.defn(name="floor.wish")
    async def wish(self, errand: Errand) -> list[str]:
        """What the model wants its calls to be made with."""
        _, finish = await self._said(_call(Prompt(role="user", text=errand.text)))
        return [wish.arguments for wish in finish.calls]

    @activity.defn(name="floor.call")
    async def call(self, url: str, arguments: str) -> str:
        """What the model is told of one call, as the product puts it."""
        async with self._session.get(url, params=json.loads(arguments)) as answer:
            return json.dumps({"status": answer.status, "body": await answer.text()})

    @activity.defn(name="floor.say")
    async def say(self, heard: Heard) -> str:
        given = [(f"call_{n}", ToolCall(name=LOOK.name, arguments=a)) for n, a in enumerate(heard.arguments)]
        results = zip(given, heard.results, strict=True)
        told = [Prompt(role="tool", text=result, call_id=id_) for (id_, _), result in results]
        asked = Prompt(role="user", text=heard.errand.text)
        text, _ = await self._said(_call(asked, Prompt(role="assistant", text="", calls=tuple(given)), *told))
        return text

    async def _said(self, call: ModelCall) -> tuple[str, Finish]:
        async with aclosing(self._provider.stream(call)) as answer:
            pieces = [piece async for piece in answer]
        (finish,) = [piece for piece in pieces if isinstance(piece, Finish)]
        return "".join(piece.text for piece in pieces if isinstance(piece, Token)), finish


def _call(*prompts: Prompt) -> ModelCall:
    return ModelCall(model=model.parse("demo"), prompts=prompts, tools=(LOOK,))


async def run(address: str, model_url: str, ready: Callable[[], object]) -> None:
    """Works until SIGTERM. As cheap as the SDK allows: uvloop, and a sandbox that reloads one small file."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with new_session() as session:
        hands = Activities(OpenAI(session, model_url, "", 60, 2**20), session)
        worker = Worker(
            # As ours do: packing would cost the floor what it no longer costs us.
            await Client.connect(address, grpc_compression=GrpcCompression.NONE),
            task_queue=TASK_QUEUE,
            # As ours do.
            max_eager_activity_reservations_per_workflow_task=AT_ONCE,
            workflows=[Floor, FloorErrand],
            activities=[hands.note, hands.reply, hands.wish, hands.call, hands.say],
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules("bench.floor")
            ),
        )
        async with worker:
            ready()
            await told.wait()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]).touch))
