"""Writing the event log: one commit for all that every writer of this process has, about every 10 ms."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

import asyncpg

from domain.errors import Unavailable
from domain.events import Event, Numbered
from store.database import Database
from store.queries import load

_SQL = load("log")
_log = logging.getLogger(__name__)

INTERVAL = 0.010
"""Seconds between the starts of two commits; the first event after a silence goes at once."""
_GROUP = 4_000
"""The most events of one commit."""


class Writer:
    """One attempt's end of a channel. What it adds is logged in order, or refused from some point on."""

    def __init__(self, log: Log, channel_id: int, fence: int) -> None:
        self.channel_id = channel_id
        self.fence = fence
        self.refused = False
        """The channel is closed or a later attempt writes to it: this one has nothing more to say."""
        self.pending: deque[Numbered] = deque()
        self._log = log
        self._count = 0

    def add(self, event: Event) -> None:
        self._count += 1
        self.pending.append((self._count, event))
        self._log.wake(self)

    async def close(self) -> list[Numbered]:
        """Stops the logging after the commit in flight; returns what that may have left over."""
        return await self._log.release(self)


class Log:
    def __init__(self, database: Database) -> None:
        self.flushed: Callable[[int, float], None] = lambda events, seconds: None
        """Told of every commit: its events, and the seconds it took."""
        self._database = database
        self._busy: set[Writer] = set()
        self._wake = asyncio.Event()
        self._flight = asyncio.Lock()
        self._commits: set[asyncio.Task[float]] = set()

    def writer(self, channel_id: int, fence: int) -> Writer:
        return Writer(self, channel_id, fence)

    def wake(self, writer: Writer) -> None:
        self._busy.add(writer)
        self._wake.set()

    async def release(self, writer: Writer) -> list[Numbered]:
        # Readers get the last words now, not when the turn's own commit has come through a queue of others.
        try:
            if writer.pending:
                # A task of its own: who waits here may be cancelled, the group's commit may not.
                last_words = asyncio.create_task(self._flush_busy())
                self._commits.add(last_words)
                last_words.add_done_callback(self._commits.discard)
                await asyncio.shield(last_words)
        finally:
            self._busy.discard(writer)
        async with self._flight:
            self._busy.discard(writer)
            return list(writer.pending)

    async def run(self) -> None:
        """Commits for ever; a cancelled activity never cancels a commit, it only stops adding."""
        clock = asyncio.get_running_loop().time
        while True:
            await self._wake.wait()
            self._wake.clear()
            started = clock()
            pause = await self._flush_busy()
            await asyncio.sleep(max(pause, INTERVAL - (clock() - started)))

    async def _flush_busy(self) -> float:
        """One round; returns the seconds to wait after it."""
        async with self._flight:
            writers = list(self._busy)
            if not writers:
                return 0
            try:
                await self._flush(writers)
            except (Unavailable, asyncpg.PostgresError):
                return await self._one_by_one(writers)
            finally:
                self._rest()
            return 0

    async def _one_by_one(self, writers: Sequence[Writer]) -> float:
        """After a commit that failed or that nobody saw the end of: n makes a repeat safe."""
        for writer in writers:
            try:
                await self._flush([writer])
            except Unavailable:
                return 0.2
            except asyncpg.PostgresError:
                _log.exception(
                    "channel %s: its events cannot be stored; its run will fail", writer.channel_id
                )
                _refuse(writer)
        return 0

    async def _flush(self, writers: Sequence[Writer]) -> None:
        batch, started = _batch(writers), time.perf_counter()
        rows = await self._database.fetch(
            _SQL["flush"],
            [writer.channel_id for writer, _, _ in batch],
            [writer.fence for writer, _, _ in batch],
            [n for _, n, _ in batch],
            [event.type for _, _, event in batch],
            [event.data for _, _, event in batch],
        )
        self.flushed(len(batch), time.perf_counter() - started)
        taken = {row["id"]: row["fence"] if row["open"] else None for row in rows}
        newest = {writer: n for writer, n, _ in batch}
        for writer, n in newest.items():
            _settle(writer, n, taken)

    def _rest(self) -> None:
        self._busy = {writer for writer in self._busy if writer.pending}
        if self._busy:
            self._wake.set()


def _batch(writers: Sequence[Writer]) -> list[tuple[Writer, int, Event]]:
    batch: list[tuple[Writer, int, Event]] = []
    for writer in writers:
        batch.extend((writer, n, event) for n, event in writer.pending)
        if len(batch) >= _GROUP:
            break
    return batch


def _settle(writer: Writer, newest: int, taken: dict[int, int | None]) -> None:
    if writer.channel_id not in taken:
        return  # locked by somebody else: it waits for the next round
    if taken[writer.channel_id] != writer.fence:
        _refuse(writer)
        return
    while writer.pending and writer.pending[0][0] <= newest:
        writer.pending.popleft()


def _refuse(writer: Writer) -> None:
    writer.refused = True
    writer.pending.clear()
