"""What every handler has at hand: the store, the starter and a few settings."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from api.limits import Limits
from domain.errors import Unavailable
from domain.plans import Plan
from domain.run import Stop
from domain.session import Tokens
from store import Store
from store.occurrences import Settled

if TYPE_CHECKING:
    from starter import Starter
    from telemetry import Telemetry

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True)
class Desk:
    store: Store
    starter: Starter
    telemetry: Telemetry
    limits: Limits
    secret: bytes
    """Keys the fingerprints of request bodies."""
    tokens: Tokens
    answer_seconds: float
    body_bytes: int
    temporal_ui: str
    calls_loopback: bool
    """Whether the workers call addresses of their own machines."""
    sends_mail: bool
    shortest_period_ms: int
    """Between two runs of a task's schedule."""
    tasks: set[asyncio.Task[None]] = dataclasses.field(default_factory=set)

    def temporal_link(self, workflow_id: str) -> str:
        """Where Temporal's web UI shows a workflow."""
        namespace = self.starter.namespace
        return f"{self.temporal_ui}/namespaces/{namespace}/workflows/{quote(workflow_id, safe='')}"

    def start(self, plan: Plan | None) -> None:
        """In the background: no answer waits for Temporal."""
        if plan is not None:
            self.starter.start_soon(plan)

    def tell(self, plan: Plan | None, reason: Stop) -> None:
        """Tells Temporal of a run that Postgres has ended, and why; the sweeper is the net."""
        if plan is not None:
            self.telemetry.meters.stopped(plan, reason)
            self.later(self._tell(plan))

    def decided(self, settled: Settled) -> None:
        """Counts what became of the times of a task, and tells Temporal of runs that gave way to others."""
        self.telemetry.meters.fell_due(settled.became)
        for plan in settled.cancel:
            self.tell(plan, "canceled")

    def later(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs something whose failure somebody else will make good."""
        task = asyncio.create_task(_quietly(work))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _tell(self, plan: Plan) -> None:
        await self.starter.cancel(plan)
        await self.store.turns.told([plan.run_id])


async def _quietly(work: Coroutine[Any, Any, None]) -> None:
    try:
        await work
    except Unavailable as trouble:
        _log.info("left to the sweeper: %s", trouble.message)
