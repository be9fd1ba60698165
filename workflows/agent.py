"""The agent's part of every run: let the model speak and act, and end the run whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Coroutine
from datetime import timedelta
from typing import Any, NoReturn

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from activities.models import Models
from activities.tools import Tools
from activities.turns import Turns
from activities.waits import Waits
from domain.errors import PlanFailed, WorkerLost
from domain.plans import (
    FinishInput,
    LookInput,
    LookResult,
    Progress,
    ReplyResult,
    RunInput,
    StepInput,
)
from workflows import options

CANCELED = "CANCELED"

AT_ONCE = 32
"""Calls of one run that are made at the same time."""
HISTORY_BYTES = 1_048_576
"""A longer history is left behind, between two rounds of the model."""


class Agent:
    """One run's way through its plan; its workflow answers the `progress` query from here."""

    def __init__(self, again: Callable[[RunInput], NoReturn] = workflow.continue_as_new) -> None:
        """`again` begins a new history that goes on with a model step."""
        self.progress = Progress()
        self.told = 0
        """How often there was something to read."""
        self._again = again
        self._places = asyncio.Semaphore(AT_ONCE)

    def look(self) -> None:
        """There is something to read for a run that waits."""
        self.told += 1

    async def until_told(self, before: int, patience: timedelta) -> None:
        """Until there is something to read, after so many times that there was, or the patience is over."""
        with contextlib.suppress(TimeoutError):
            await workflow.wait_condition(lambda: self.told > before, timeout=patience)

    async def run(self, input: RunInput) -> None:
        """The agent, for as long as it wants to go on."""
        await self.to_its_end(input.run_id, self.work(input))

    async def execute(self, input: RunInput) -> None:
        """One call, whose answer ends the run."""
        self._at("calls", calls=1)
        await self.to_its_end(input.run_id, self._call(input.run_id, input.ordinal))

    async def to_its_end(self, run_id: str, work: Coroutine[Any, Any, None]) -> None:
        """Whatever goes wrong, and however the plan is cancelled, the run is ended first."""
        try:
            await work
        except (asyncio.CancelledError, CancelledError):
            # A cancel through Postgres has ended the run already; one from Temporal's tools has not.
            await self._finish(run_id, CANCELED)
        except ActivityError as failure:
            await self._finish(run_id, _code(failure))
        except Exception:
            workflow.logger.exception("the plan of %s failed", run_id)
            await self._finish(run_id, PlanFailed.code)
        self._at("closed")

    async def work(self, input: RunInput) -> None:
        """The model speaks, its calls are made, it hears what came of them, until it asks for none."""
        run_id, ordinal = input.run_id, input.ordinal
        while (reply := await self._reply(run_id, ordinal)).outcome == "next":
            await self._calls(run_id, reply)
            ordinal = reply.next
            if workflow.info().get_current_history_size() > HISTORY_BYTES:
                self._again(RunInput(run_id=run_id, ordinal=ordinal))

    async def _reply(self, run_id: str, ordinal: int) -> ReplyResult:
        self._at("model", step=ordinal)
        result = await workflow.execute_activity_method(
            Models.reply, StepInput(run_id=run_id, ordinal=ordinal), **options.MODEL
        )
        self._at("calls", attempts=result.attempt, calls=len(result.calls))
        return result

    async def _calls(self, run_id: str, reply: ReplyResult) -> None:
        """Everything a reply asks for, at once; returns when all of it has its answer."""
        waiting = [self._wait(run_id)] if reply.waits else []
        await asyncio.gather(self._make(run_id, reply.calls), *waiting)

    async def _make(self, run_id: str, ordinals: tuple[int, ...]) -> None:
        await asyncio.gather(*(self._call(run_id, ordinal) for ordinal in ordinals))
        # Now the run only waits, if it does.
        self.look()

    async def _call(self, run_id: str, ordinal: int) -> None:
        async with self._places:
            await workflow.execute_activity_method(
                Tools.call, StepInput(run_id=run_id, ordinal=ordinal), **options.TOOL
            )
        self._at("calls", calls=self.progress.calls - 1)

    async def _wait(self, run_id: str) -> None:
        """Nobody is at work here: a signal or a timer wakes the plan, and what is due is in Postgres."""
        while True:
            # Told from here on means that there is more.
            told = self.told
            looked = await self._look(run_id)
            if looked.left == 0:
                return
            # A little later than due, so that by Postgres's clock it is.
            await self.until_told(told, timedelta(seconds=looked.seconds + 0.05))

    async def _look(self, run_id: str) -> LookResult:
        looked = await workflow.execute_local_activity_method(
            Waits.look, LookInput(run_id=run_id), **options.DATABASE
        )
        self._at("budget" if looked.budget else "calls", waits=looked.left)
        return looked

    async def _finish(self, run_id: str, code: str) -> None:
        self._at("finish")
        await workflow.execute_local_activity_method(
            Turns.finish, FinishInput(run_id=run_id, code=code), **options.DATABASE
        )

    def _at(self, phase: str, **more: int) -> None:
        self.progress = self.progress.model_copy(update={"phase": phase, **more})


async def in_time(
    work: Coroutine[Any, Any, None], seconds: float, left: Callable[[], Awaitable[float]]
) -> None:
    """Does it while there is time. What Temporal's clock calls its end is asked about: `left` ends the run,
    or tells how many seconds there still are."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            if seconds > 0:
                # A little later than due, so that by Postgres's clock it is.
                await workflow.wait([task], timeout=seconds + 0.05)
            if task.done() or (seconds := await left()) <= 0:
                break
    finally:
        # Nothing happens to one that is done.
        task.cancel()
    if task.done():
        task.result()


def _code(failure: ActivityError) -> str:
    cause = failure.cause
    if isinstance(cause, CancelledError):
        return CANCELED
    if isinstance(cause, ApplicationError) and cause.type:
        return cause.type
    return WorkerLost.code
