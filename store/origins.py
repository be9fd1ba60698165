"""The web origins that accounts list: pages from there may read their answers."""

from __future__ import annotations

import time

import asyncpg

from domain import origin as origins
from domain.account import operator
from domain.errors import NotFound, Unavailable
from store.audit import note
from store.database import Connection, Database
from store.queries import load

_SQL = load("origins")

FRESH = 5.0
"""Seconds for which a process remembers who lists an origin."""
MOST = 1_000
"""Origins that it remembers at once."""


class Origins:
    def __init__(self, database: Database, fresh: float = FRESH) -> None:
        self._database = database
        self._fresh = fresh
        self._known: dict[str, tuple[float, frozenset[str]]] = {}

    async def add(self, account_id: str, origin: str) -> None:
        """Lists an origin; again changes nothing. Raises BadRequest and NotFound."""
        origins.check(origin)

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["add"], account_id, origin) is not None:
                await note(connection, operator(account_id), "origin.add", origin=origin)

        try:
            await self._database.transact(work)
        except asyncpg.ForeignKeyViolationError:
            raise NotFound("There is no such account; `python -m store account create` makes one.") from None

    async def remove(self, account_id: str, origin: str) -> None:
        """Raises NotFound for one that is not listed."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["remove"], account_id, origin) is None:
                raise NotFound("It is not listed; `python -m store origin list` shows those that are.")
            await note(connection, operator(account_id), "origin.remove", origin=origin)

        await self._database.transact(work)

    async def list(self, account_id: str) -> list[str]:
        return [row["origin"] for row in await self._database.fetch(_SQL["list"], account_id)]

    async def accounts(self, origin: str) -> frozenset[str]:
        """Who lists an origin, as of a few seconds ago; while Postgres is away, as last known.

        Raises Unavailable for one that this process does not remember.
        """
        if not origins.is_origin(origin):
            return frozenset()
        known = self._known.get(origin)
        if known is not None and time.monotonic() - known[0] < self._fresh:
            return known[1]
        try:
            rows = await self._database.fetch(_SQL["accounts"], origin)
        except Unavailable:
            if known is None:
                raise
            return self._remember(origin, known[1])
        return self._remember(origin, frozenset(row["account_id"] for row in rows))

    def _remember(self, origin: str, accounts: frozenset[str]) -> frozenset[str]:
        if len(self._known) >= MOST:
            # Strangers may name as many as they like; whom it hits is looked up again.
            self._known.clear()
        self._known[origin] = (time.monotonic(), accounts)
        return accounts
