"""Skillsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.errors import NotFound
from domain.meta import check
from domain.paging import PAGE_BYTES, Page
from domain.skillset import Skillset
from domain.usage import Kept
from store.aliases import unique
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("skillsets")
_COLUMNS = tuple(Skillset.model_fields)
_WRITTEN = ("name", "description", "meta", "alias")


class Skillsets:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, key: Key, given: dict[str, Any]) -> str:
        """Raises Conflict when another skillset has the alias."""
        filled = given | {"meta": given.get("meta") or {}}
        values = [filled.get(column) for column in _WRITTEN]

        async def work(connection: Connection, skillset_id: str) -> None:
            await connection.execute(_SQL["create"], skillset_id, caller.account_id, *values)
            await note(connection, caller, "skillset.create", skillsetId=skillset_id)

        with unique("skillset"):
            return await once(self._database, caller.account_id, key, ids.skillset(), work)

    async def fetch(self, account_id: str, skillset_id: str) -> Skillset:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, skillset_id)
        if row is None:
            raise NotFound
        return Skillset(**{column: row[column] for column in _COLUMNS})

    async def list(self, account_id: str, page: Page, meta: dict[str, Any]) -> Sequence[Skillset]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, PAGE_BYTES)
        return [Skillset(**{column: row[column] for column in _COLUMNS}) for row in rows]

    async def update(self, caller: Caller, skillset_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged. Raises Conflict, NotFound."""
        values = [given.get(column) for column in _WRITTEN]

        async def work(connection: Connection) -> None:
            place = (caller.account_id, skillset_id)
            size = await connection.fetchval(_SQL["update"], *place, list(given), *values)
            if size is None:
                raise NotFound
            check(size)
            await note(connection, caller, "skillset.update", skillsetId=skillset_id)

        with unique("skillset"):
            await self._database.transact(work)

    async def delete(self, caller: Caller, skillset_id: str) -> None:
        """Its abilities go with it; bots and conversations that had it stay, without it."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["delete"], caller.account_id, skillset_id) is None:
                raise NotFound
            await note(connection, caller, "skillset.delete", skillsetId=skillset_id)

        await self._database.transact(work)

    async def kept(self, account_id: str) -> Kept:
        """How many skillsets and abilities an account has."""
        row = await self._database.fetchrow(_SQL["kept"], account_id)
        assert row is not None
        return Kept(**row)
