"""The model steps: ask a provider, log what it says as it says it, commit the answer."""

from __future__ import annotations

import random
import uuid
from contextlib import aclosing
from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import failure, reported
from activities.fence import fence
from activities.patience import beating, patiently
from domain import events, model
from domain.budget import size, wasted
from domain.completion import Finish, ModelCall, Usage
from domain.errors import HoldfastError, ModelError, Stale, Unavailable
from domain.plans import ReplyResult, StepInput
from domain.run import Answer

if TYPE_CHECKING:
    from activities.providers import Providers
    from domain.completion import ModelRef, Token
    from starter import Starter
    from store import Store
    from store.ending import Grip
    from store.log import Writer
    from store.steps import Moved, Taken
    from telemetry import Telemetry
    from telemetry.steps import Step

TRIES = 5
"""Failures of a model after which it fails the run; what a worker's death cost is none."""
LONGEST_PAUSE = 30.0


class Heard:
    """What has come of an answer."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self._thought: list[str] = []

    def add(self, piece: Token) -> None:
        (self._thought if piece.reasoning else self.said).append(piece.text)

    @property
    def size(self) -> int:
        """Bytes, reasoning included."""
        return sum(len(text.encode()) for text in (*self.said, *self._thought))


class Models:
    def __init__(
        self,
        store: Store,
        providers: Providers,
        starter: Starter,
        telemetry: Telemetry,
        default_model: str,
    ) -> None:
        self._store = store
        self._providers = providers
        self._starter = starter
        self._telemetry = telemetry
        self._default_model = default_model

    @activity.defn(name="model.reply")
    async def reply(self, input: StepInput) -> ReplyResult:
        """One model call; it ends the run when the model is done. Postgres's outages spend no attempt."""
        async with reported(), beating():
            grip = self._store.steps.grip(input.run_id, input.ordinal, fence(), uuid.uuid4().hex)
            taken = await patiently(lambda: self._store.steps.take(grip))
            if isinstance(taken, tuple):
                if taken.ended is not None and taken.reason is not None:
                    self._telemetry.meters.ended(taken.ended, "succeeded", taken.reason)
                return self._moved(taken)
            with self._telemetry.step(taken) as step:
                return await self._speak(taken, step)

    def _moved(self, moved: Moved) -> ReplyResult:
        if moved.start is not None:
            self._starter.start_soon(moved.start)
        return moved.result

    async def _speak(self, taken: Taken, step: Step) -> ReplyResult:
        writer = self._store.log.writer(taken.channel_id, taken.grip.fence)
        heard = Heard()
        try:
            said = await self._listen(taken, step, writer, heard)
        except (Stale, Unavailable):
            raise
        except HoldfastError as error:
            failures = await self._failed(taken, error, heard)
            raise failure(_paced(error, failures), final=failures >= TRIES) from None
        finally:
            tail = await writer.close()
        if said is None or writer.refused:
            return await self._turned_away(taken.grip)
        moved = await patiently(lambda: self._store.steps.answer(taken.grip, said, tail))
        step.asked(said.calls)
        if moved.reason is not None:
            step.answered(moved.reason)
        return self._moved(moved)

    async def _listen(self, taken: Taken, step: Step, writer: Writer, heard: Heard) -> Answer | None:
        """Relays an answer to the log; None when the log takes no more: cancelled, or taken over."""
        ref = model.parse(taken.model or self._default_model)
        stream = self._providers.pick(ref).stream(_asked(ref, taken))
        with step.calling(ref) as call:
            async with aclosing(stream) as answer:
                async for piece in answer:
                    if writer.refused:
                        return None
                    if isinstance(piece, Finish):
                        call.finished(piece)
                        return _answer(ref, taken, "".join(heard.said), piece)
                    call.token()
                    writer.add(events.token(piece.text, reasoning=piece.reasoning))
                    heard.add(piece)
        return None

    async def _failed(self, taken: Taken, error: HoldfastError, heard: Heard) -> int:
        """What the provider said stays in Postgres; Temporal gets the code. Returns the failures so far."""
        told = error.usage if isinstance(error, ModelError) else Usage()
        spent = wasted(size(taken.prompts), heard.size, told)
        return await patiently(lambda: self._store.steps.fail(taken.grip, error.code, error.message, spent))

    async def _turned_away(self, grip: Grip) -> ReplyResult:
        if await patiently(lambda: self._store.turns.open(grip.run_id)):
            raise Stale
        return ReplyResult(outcome="ended")


def _asked(ref: ModelRef, taken: Taken) -> ModelCall:
    first = taken.toolbox.first if taken.iteration == 1 else None
    return ModelCall(model=ref, prompts=taken.prompts, tools=taken.toolbox.tools(), must_call=first)


def _answer(ref: ModelRef, taken: Taken, text: str, finish: Finish) -> Answer:
    return Answer(
        text=text,
        reason=finish.reason,
        usage=finish.usage,
        model=ref.name,
        calls=tuple(taken.toolbox.asking(call) for call in finish.calls),
        carry=finish.carry,
    )


def _paced(error: HoldfastError, failures: int) -> HoldfastError:
    """The pause before the next attempt: what the provider asked for, else longer each time, with jitter."""
    if error.retry_after is None:
        error.retry_after = min(2.0 ** (failures - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
    return error
