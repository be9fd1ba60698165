"""Conversations and tasks whose time is up are removed as their caller would remove them."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import NamedTuple

import asyncpg

from domain.account import server
from domain.errors import NotFound, Unavailable
from domain.plans import Plan
from store.conversations import remove
from store.database import Connection, Database
from store.queries import load
from store.tasks import Tasks

_SQL = load("expiry")
_log = logging.getLogger(__name__)

BATCH = 100
SECONDS = 45.0
"""How long one round goes on; what it leaves, the next one takes."""


class Gone(NamedTuple):
    """What is left to do for one that was removed."""

    ended: Sequence[Plan]
    """Of the runs that ended with it; the sweeper tells them."""
    start: Sequence[Plan] = ()
    """Of runs that had waited behind those."""


_Removal = Callable[[asyncpg.Record], Awaitable[Gone | None]]
"""None where it stays for now."""


class Expiry:
    def __init__(self, database: Database, tasks: Tasks) -> None:
        self._database = database
        self._tasks = tasks

    def round(self, days: int) -> AsyncIterator[Gone]:
        """Removes conversations that are due, each in its own transaction.

        With 0 days idle ones stay. Breaking off anywhere is harmless.
        """
        return self._each("due", (days,), lambda row: self._removed(row["id"], days))

    def tasks(self) -> AsyncIterator[Gone]:
        """The same of tasks whose time is up."""
        return self._each("due_tasks", (), self._removed_task)

    async def _each(self, due: str, arguments: Sequence[int], removal: _Removal) -> AsyncIterator[Gone]:
        """One that cannot be removed keeps no other from it."""
        ends = time.monotonic() + SECONDS
        while True:
            rows, gone = await self._database.fetch(_SQL[due], *arguments, BATCH), 0
            for row in rows:
                if time.monotonic() > ends:
                    return
                try:
                    removed = await removal(row)
                except Unavailable as trouble:
                    _log.warning("%s is due and stays for now: %s", row["id"], trouble.message)
                    continue
                if removed is not None:
                    gone += 1
                    yield removed
            if len(rows) < BATCH or not gone:
                return

    async def _removed(self, conversation_id: str, days: int) -> Gone | None:
        async def work(connection: Connection) -> Gone | None:
            account_id = await connection.fetchval(_SQL["lock"], conversation_id)
            if account_id is None or not await connection.fetchval(_SQL["still_due"], conversation_id, days):
                return None
            return Gone(await remove(connection, server(account_id), conversation_id))

        return await self._database.transact(work)

    async def _removed_task(self, row: asyncpg.Record) -> Gone | None:
        try:
            stopped = await self._tasks.delete(server(row["account_id"]), row["id"], when_due=True)
        except NotFound:
            return None
        return Gone(
            [one.cancel for one in stopped if one.cancel is not None],
            [one.start for one in stopped if one.start is not None],
        )
