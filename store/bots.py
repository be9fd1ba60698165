"""Bots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain import ids
from domain.accept import Key
from domain.bot import Bot
from domain.errors import NotFound
from domain.paging import Page
from store.claims import once
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("bots")
_COLUMNS = tuple(Bot.model_fields)


class Bots:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account_id: str, key: Key, given: dict[str, Any]) -> str:
        async def work(connection: Connection, bot_id: str) -> None:
            await connection.execute(_SQL["create"], bot_id, account_id, *_values(given))

        return await once(self._database, account_id, key, ids.bot(), work)

    async def fetch(self, account_id: str, bot_id: str) -> Bot:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, bot_id)
        if row is None:
            raise NotFound
        return Bot(**{column: row[column] for column in _COLUMNS})

    async def list(self, account_id: str, page: Page, meta: dict[str, Any]) -> Sequence[Bot]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.cursor, page.take, meta)
        return [Bot(**{column: row[column] for column in _COLUMNS}) for row in rows]

    async def update(self, account_id: str, bot_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged."""
        values = (given.get("name"), given.get("description"), given.get("meta"))
        found = await self._database.fetchval(
            _SQL["update"],
            account_id,
            bot_id,
            list(given),
            *values,
            given.get("model"),
            given.get("backstory"),
        )
        if found is None:
            raise NotFound

    async def delete(self, account_id: str, bot_id: str) -> None:
        """Its conversations stay, without it."""
        if await self._database.fetchval(_SQL["delete"], account_id, bot_id) is None:
            raise NotFound


def _values(given: dict[str, Any]) -> tuple[Any, ...]:
    meta = given.get("meta") or {}
    return (given.get("name"), given.get("description"), meta, given.get("model"), given.get("backstory"))
