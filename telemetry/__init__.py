"""What can be seen of a process from outside: its logs, its metrics and its traces."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from telemetry import endpoint, engine
from telemetry.meters import Meters
from telemetry.steps import Step
from telemetry.tools import ToolCall
from telemetry.traces import Traces

if TYPE_CHECKING:
    from domain.delivery import DeliveryState
    from domain.run import Wait
    from settings import Settings
    from store import Store
    from store.calls import TakenCall
    from store.looks import Line
    from store.steps import Taken

    _Queue = tuple[list[Line], dict[Wait, int], dict[DeliveryState, int]]

_log = logging.getLogger(__name__)

_TICK = 0.25
"""Seconds between two looks at how late the event loop is."""
_PATIENCE = 2.0
"""Seconds that a scrape waits for Postgres."""


class Telemetry:
    """One process's meters and traces; made once, before Temporal's client is."""

    def __init__(self, chosen: Settings, process: str) -> None:
        self.meters = Meters()
        self.traces = _traces(chosen, process)
        self._at = (chosen.metrics_host, chosen.metrics_port)
        self._engine = engine.begin(counting=chosen.metrics_port > 0)

    def call(self, taken: TakenCall) -> AbstractContextManager[ToolCall]:
        return ToolCall(taken, self.meters, self.traces).taken()

    def step(self, taken: Taken) -> AbstractContextManager[Step]:
        return Step(taken, self.meters, self.traces).taken()

    @asynccontextmanager
    async def shown(self, store: Store) -> AsyncIterator[None]:
        """Lets the process be scraped meanwhile, if a port is set; at its end the last spans are sent."""
        store.log.flushed = self.meters.flushed
        ticking = asyncio.create_task(self._tick())
        try:
            with self._serving(store):
                yield
        finally:
            ticking.cancel()
            await asyncio.to_thread(self.traces.close)

    def _serving(self, store: Store) -> AbstractContextManager[None]:
        host, port = self._at
        return endpoint.serving(host, port, self._reader(store)) if port else nullcontext()

    def _reader(self, store: Store) -> Callable[[], bytes]:
        """What a scrape is answered, from its own thread."""
        loop = asyncio.get_running_loop()

        def read() -> bytes:
            for name, database in (("main", store.database), ("log", store.stream)):
                self.meters.pool(name, database.used, database.size)
            lines, waits, left = _queue(store, loop) or (None, None, None)
            self.meters.queue(lines)
            self.meters.waits(waits)
            self.meters.undelivered(left)
            return self.meters.text() + engine.metrics(self._engine)

        return read

    async def _tick(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + _TICK
            await asyncio.sleep(_TICK)
            self.meters.lagged(max(0.0, clock() - due))


def _traces(chosen: Settings, process: str) -> Traces:
    """OpenTelemetry's SDK is not even loaded where nothing is traced."""
    if not (chosen.otlp_endpoint or chosen.otlp_traces_endpoint):
        return Traces()
    from telemetry.otlp import Otlp

    return Otlp(process)


def _queue(store: Store, loop: asyncio.AbstractEventLoop) -> _Queue | None:
    asking = asyncio.run_coroutine_threadsafe(_asked(store), loop)
    try:
        return asking.result(_PATIENCE)
    except Exception as trouble:
        asking.cancel()
        _log.warning("the queue is missing from a scrape (%s)", type(trouble).__name__)
        return None


async def _asked(store: Store) -> _Queue:
    return await store.looks.queue(), await store.looks.waits(), await store.sending.counted()
