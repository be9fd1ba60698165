"""Conversations whose time is up are removed as their caller would remove them."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Sequence

from domain.account import server
from domain.errors import Unavailable
from domain.plans import Plan
from store.conversations import remove
from store.database import Connection, Database
from store.queries import load

_SQL = load("expiry")
_log = logging.getLogger(__name__)

BATCH = 100
SECONDS = 60.0
"""How long one round goes on; what it leaves, the next one takes."""


class Expiry:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def round(self, days: int) -> AsyncIterator[Sequence[Plan]]:
        """Removes what is due, each in its own transaction; yields the plans of runs that ended with each.

        With 0 days idle ones stay. Breaking off anywhere is harmless. The sweeper tells the plans.
        """
        ends = time.monotonic() + SECONDS
        while True:
            due, gone = await self._database.fetch(_SQL["due"], days, BATCH), 0
            for row in due:
                if time.monotonic() > ends:
                    return
                ended = await self._removed(row["id"], days)
                if ended is not None:
                    gone += 1
                    yield ended
            if len(due) < BATCH or not gone:
                return

    async def _removed(self, conversation_id: str, days: int) -> Sequence[Plan] | None:
        """None where it stays for now; one that cannot be removed keeps no other from it."""

        async def work(connection: Connection) -> Sequence[Plan] | None:
            account_id = await connection.fetchval(_SQL["lock"], conversation_id)
            if account_id is None or not await connection.fetchval(_SQL["still_due"], conversation_id, days):
                return None
            return await remove(connection, server(account_id), conversation_id)

        try:
            return await self._database.transact(work)
        except Unavailable as trouble:
            _log.warning("%s is due and stays for now: %s", conversation_id, trouble.message)
            return None
