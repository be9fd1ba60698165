"""The agent's part of every run: let the model speak, and end the run whatever happens."""

from __future__ import annotations

import asyncio

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError, CancelledError

from activities.models import Models
from activities.turns import Turns
from domain.errors import PlanFailed, WorkerLost
from domain.plans import FinishInput, Progress, ReplyInput
from workflows import options

CANCELED = "CANCELED"


class Agent:
    """One run's way through its plan; its workflow answers the `progress` query from here."""

    def __init__(self) -> None:
        self.progress = Progress()

    async def run(self, run_id: str) -> None:
        """Whatever goes wrong, and however the plan is cancelled, the run is ended first."""
        try:
            await self._work(run_id)
        except (asyncio.CancelledError, CancelledError):
            # A cancel through Postgres has ended the run already; one from Temporal's tools has not.
            await self._finish(run_id, CANCELED)
        except ActivityError as failure:
            await self._finish(run_id, _code(failure))
        except Exception:
            workflow.logger.exception("the plan of %s failed", run_id)
            await self._finish(run_id, PlanFailed.code)
        self._at("closed")

    async def _work(self, run_id: str) -> None:
        await self._reply(run_id, 1)

    async def _reply(self, run_id: str, ordinal: int) -> None:
        self._at("model", step=ordinal)
        result = await workflow.execute_activity_method(
            Models.reply, ReplyInput(run_id=run_id, ordinal=ordinal), **options.MODEL
        )
        self.progress = self.progress.model_copy(update={"attempts": result.attempt})

    async def _finish(self, run_id: str, code: str) -> None:
        self._at("finish")
        await workflow.execute_local_activity_method(
            Turns.finish, FinishInput(run_id=run_id, code=code), **options.DATABASE
        )

    def _at(self, phase: str, **more: int) -> None:
        self.progress = self.progress.model_copy(update={"phase": phase, **more})


def _code(failure: ActivityError) -> str:
    cause = failure.cause
    if isinstance(cause, CancelledError):
        return CANCELED
    if isinstance(cause, ApplicationError) and cause.type:
        return cause.type
    return WorkerLost.code
