"""The floor's own worker process: `python -m bench.floor_worker ADDRESS MODEL_URL READY_FILE`."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import aclosing
from pathlib import Path

import uvloop
from temporalio import activity
from temporalio.client import Client, GrpcCompression
from temporalio.worker import Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from activities.providers.http import new_session
from activities.providers.openai import OpenAI
from bench.floor import TASK_QUEUE, Asked, Floor
from domain import model
from domain.completion import ModelCall, Prompt, Role, Token

ROLES: dict[str, Role] = {"user": "user", "bot": "assistant"}


class Activities:
    """The same model through the same adapter as the product's."""

    def __init__(self, provider: OpenAI) -> None:
        self._provider = provider

    @activity.defn(name="floor.note")
    async def note(self) -> None:
        """Where a real turn would touch its store."""

    @activity.defn(name="floor.reply")
    async def reply(self, asked: Asked) -> str:
        prompts = tuple(Prompt(role=ROLES[kind], text=text) for kind, text in asked.messages)
        call = ModelCall(model=model.parse("demo"), prompts=prompts)
        async with aclosing(self._provider.stream(call)) as answer:
            return "".join([piece.text async for piece in answer if isinstance(piece, Token)])


async def run(address: str, model_url: str, ready: Callable[[], object]) -> None:
    """Works until SIGTERM. As cheap as the SDK allows: uvloop, and a sandbox that reloads one small file."""
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    async with new_session() as session:
        hands = Activities(OpenAI(session, model_url, "", 60, 2**20))
        worker = Worker(
            # As ours do: packing would cost the floor what it no longer costs us.
            await Client.connect(address, grpc_compression=GrpcCompression.NONE),
            task_queue=TASK_QUEUE,
            workflows=[Floor],
            activities=[hands.note, hands.reply],
            workflow_runner=SandboxedWorkflowRunner(
                restrictions=SandboxRestrictions.default.with_passthrough_modules("bench.floor")
            ),
        )
        async with worker:
            ready()
            await told.wait()


if __name__ == "__main__":
    uvloop.run(run(sys.argv[1], sys.argv[2], Path(sys.argv[3]).touch))
