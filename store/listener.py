"""Hearing NOTIFY: one connection that is taken up again whenever it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping

import asyncpg

from store.database import connect

_log = logging.getLogger(__name__)
_PROBE = 5.0
"""Seconds between signs of life: a LISTEN can die silently."""
_TROUBLES = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
)


class Listener:
    """Calls back for every notification, and once after every (re)connect for what nobody heard."""

    def __init__(self, url: str, callbacks: Mapping[str, Callable[[], None]]) -> None:
        self._url = url
        self._callbacks = callbacks

    async def run(self) -> None:
        while True:
            try:
                await self._listen()
            except _TROUBLES as trouble:
                _log.warning("not listening to Postgres (%s); polling until it is back", trouble)
                await asyncio.sleep(0.5)

    async def _listen(self) -> None:
        connection = await connect(self._url)
        gone = asyncio.Event()
        connection.add_termination_listener(lambda _: gone.set())
        try:
            for channel, callback in self._callbacks.items():
                await connection.add_listener(channel, lambda *_, call=callback: call())
                callback()
            while not await within(gone.wait(), _PROBE):
                await connection.execute("SELECT 1")
            raise OSError("the server closed the connection")
        finally:
            connection.terminate()


async def within(waiting: Awaitable[object], seconds: float) -> bool:
    """Whether it came within so many seconds."""
    try:
        async with asyncio.timeout(seconds):
            await waiting
    except TimeoutError:
        return False
    return True
