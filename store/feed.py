"""Reading the event log live: one LISTEN connection and one query for all the channels of this process."""

from __future__ import annotations

import asyncio
import dataclasses
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple

import asyncpg

from domain.errors import Unavailable
from domain.events import MERGED, TERMINAL
from store.database import Database
from store.listener import Listener, within
from store.queries import load

_SQL = load("log")

_log = logging.getLogger(__name__)

FLOOR = 1.0
"""Seconds after which the log is read even if nobody called: a LISTEN can die silently."""
_PAUSE = 0.2
PAGE, PAGE_BYTES = 500, 262_144
"""The most rows of a page; the most bytes of their data, but for its last row."""


class Row(NamedTuple):
    seq: int
    type: str
    data: str


@dataclasses.dataclass(eq=False, slots=True)
class _Reader:
    """Somebody who waits for the rows of a channel after a seq."""

    channel_id: int
    after: int
    found: asyncio.Future[tuple[list[Row] | None, int]]


class _Other(NamedTuple):
    """Where a merged run's channel goes on."""

    place: tuple[int, int]
    """A channel, and the seq after which it is read."""
    shift: int
    """What its seqs are more here than there."""


class Feed:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._readers: set[_Reader] = set()
        self._enders: dict[int, set[asyncio.Future[None]]] = {}
        self._calls = 0
        """How many times this process was called: a reader who has read since the last call waits quietly."""
        self._stir = asyncio.Event()
        """Set, and replaced, with the next call."""
        self._closed_looked_at = 0.0
        self._rows_due = asyncio.Event()
        self._ends_due = asyncio.Event()
        self._listener = Listener(
            database.url, {"holdfast_log": self._called, "holdfast_end": self._ends_due.set}
        )

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._listener.run())
            tasks.create_task(self._pump(self._rows_due, self._find_rows))
            tasks.create_task(self._pump(self._ends_due, self._find_ends))

    async def follow(self, channel_id: int, after: int, silence: float) -> AsyncIterator[list[Row]]:
        """The rows after `after`, in pages, as they come; an empty page for every `silence` seconds without.

        Ends after the terminal row, or when the channel is closed and has nothing more. That of a merged run
        goes on with the rows of the run that answers for it, numbered on from its own last.
        """
        place, shift, calls = (channel_id, after), 0, -1
        while True:
            rows, calls = await self._next(place, calls, silence)
            if rows is not None:
                yield _shifted(rows, shift)
            if rows is None or (rows and rows[-1].type == MERGED):
                on = await self._other(*place)
                if on is None:
                    return
                place, shift, calls = on.place, on.shift, -1
            elif rows:
                place = (place[0], rows[-1].seq)
                if rows[-1].type in TERMINAL:
                    return
                calls = -1 if _full(rows) else calls

    async def _other(self, channel_id: int, after: int) -> _Other | None:
        """Where a merged run's channel goes on, for a reader who has what is up to `after`."""
        while True:
            try:
                row = await self._database.fetchrow(_SQL["merged"], channel_id)
            except Unavailable:
                await asyncio.sleep(_PAUSE)
                continue
            if row is None:
                return None
            into, start, own = row["into_id"], row["from_seq"], row["seq"]
            return _Other((into, start + max(after - own, 0)), own - start)

    async def ended(self, channel_id: int) -> None:
        """Returns when the channel is closed."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._enders.setdefault(channel_id, set()).add(future)
        self._ends_due.set()
        try:
            await future
        finally:
            waiting = self._enders.get(channel_id, set())
            waiting.discard(future)
            if not waiting:
                self._enders.pop(channel_id, None)

    @property
    def calls(self) -> int:
        """How often this process was told that something was logged; see `stirred`."""
        return self._calls

    async def stirred(self, calls: int) -> None:
        """Returns soon after something was logged since so many calls; after FLOOR seconds in any case.

        Soon is not at once: somebody always logs something, and whoever waits here asks Postgres by himself.
        """
        await asyncio.sleep(_PAUSE)
        if calls == self._calls:
            await within(self._stir.wait(), FLOOR - _PAUSE)

    async def _next(self, place: tuple[int, int], calls: int, silence: float) -> tuple[list[Row] | None, int]:
        """What comes at a (channel, seq): rows, [] after a silence, None when nothing ever will."""
        loop = asyncio.get_running_loop()
        reader = _Reader(*place, loop.create_future())
        self._readers.add(reader)
        # A timer, not a task: there is one of these for every page of every stream.
        timer = loop.call_later(silence, _hand, [reader], [], calls)
        if calls != self._calls:
            self._rows_due.set()
        try:
            return await reader.found
        finally:
            timer.cancel()
            self._readers.discard(reader)

    async def _pump(self, due: asyncio.Event, find: Callable[[], Awaitable[None]]) -> None:
        while True:
            await within(due.wait(), FLOOR)
            due.clear()
            try:
                await find()
            except Unavailable:
                await asyncio.sleep(_PAUSE)
                due.set()
            except asyncpg.PostgresError:
                # A schema that is not migrated yet, say: readers wait, and nobody else reads for them.
                _log.exception("the event log cannot be read; trying again")
                await asyncio.sleep(1)
                due.set()

    async def _find_rows(self) -> None:
        calls = self._calls
        waiting: dict[tuple[int, int], list[_Reader]] = {}
        for reader in self._readers:
            waiting.setdefault((reader.channel_id, reader.after), []).append(reader)
        if not waiting:
            return
        for place, rows in (await self._read(list(waiting))).items():
            _hand(waiting.pop(place), rows, calls)
        if asyncio.get_running_loop().time() - self._closed_looked_at > FLOOR:
            await self._find_closed(waiting, calls)

    async def _read(self, places: list[tuple[int, int]]) -> dict[tuple[int, int], list[Row]]:
        """What follows each (channel, seq), where something does."""
        channels, seqs = [channel for channel, _ in places], [seq for _, seq in places]
        found: dict[tuple[int, int], list[Row]] = {}
        for number, *row in await self._database.fetch(_SQL["read"], channels, seqs, PAGE, PAGE_BYTES):
            found.setdefault(places[number - 1], []).append(Row(*row))
        return found

    async def _find_closed(self, waiting: dict[tuple[int, int], list[_Reader]], calls: int) -> None:
        """A channel may close and be emptied between two looks: nobody shall wait for what is gone."""
        self._closed_looked_at = asyncio.get_running_loop().time()
        channels = list({channel for channel, _ in waiting})
        closed = {row["id"] for row in await self._database.fetch(_SQL["closed"], channels)}
        places = [place for place in waiting if place[0] in closed]
        if places:
            last = await self._read(places)
            for place in places:
                _hand(waiting[place], last.get(place), calls)

    async def _find_ends(self) -> None:
        if not self._enders:
            return
        for (channel_id,) in await self._database.fetch(_SQL["closed"], [*self._enders]):
            for future in self._enders.get(channel_id, ()):
                if not future.done():
                    future.set_result(None)

    def _called(self) -> None:
        self._calls += 1
        self._rows_due.set()
        self._stir.set()
        self._stir = asyncio.Event()


def _shifted(rows: list[Row], shift: int) -> list[Row]:
    return [row._replace(seq=row.seq + shift) for row in rows] if shift else rows


def _full(rows: list[Row]) -> bool:
    """Whether a page may have left rows for the next one."""
    return len(rows) == PAGE or sum(len(row.data) for row in rows) >= PAGE_BYTES


def _hand(readers: list[_Reader], rows: list[Row] | None, calls: int) -> None:
    for reader in readers:
        if not reader.found.done():
            reader.found.set_result((rows, calls))
