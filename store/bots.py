"""Bots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.bot import Bot
from domain.errors import NotFound
from domain.meta import check
from domain.paging import PAGE_BYTES, Page
from store.accept import check_owned
from store.aliases import unique
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("bots")
_COLUMNS = tuple(Bot.model_fields)
_WRITTEN = ("name", "description", "meta", "model", "backstory", "skillset_id", "alias", "on_budget")


class Bots:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, key: Key, given: dict[str, Any]) -> str:
        """Raises NotFound for a foreign skillset, and Conflict when another bot has the alias."""

        async def work(connection: Connection, bot_id: str) -> None:
            await check_owned(connection, caller.account_id, given)
            await connection.execute(_SQL["create"], bot_id, caller.account_id, *_values(given))
            await note(connection, caller, "bot.create", botId=bot_id)

        with unique("bot"):
            return await once(self._database, caller.account_id, key, ids.bot(), work)

    async def clone(self, caller: Caller, key: Key, bot_id: str) -> str:
        """Makes another bot of the same name and configuration; ratings stay with the first."""

        async def work(connection: Connection, clone_id: str) -> None:
            place = (caller.account_id, bot_id)
            skillset_id = await connection.fetchval(_SQL["hold_skillset"], *place)
            if await connection.fetchval(_SQL["clone"], *place, clone_id, skillset_id) is None:
                raise NotFound
            await note(connection, caller, "bot.create", botId=clone_id)

        return await once(self._database, caller.account_id, key, ids.bot(), work)

    async def fetch(self, account_id: str, bot_id: str) -> Bot:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, bot_id)
        if row is None:
            raise NotFound
        return Bot(**{column: row[column] for column in _COLUMNS})

    async def list(self, account_id: str, page: Page, meta: dict[str, Any]) -> Sequence[Bot]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, PAGE_BYTES)
        return [Bot(**{column: row[column] for column in _COLUMNS}) for row in rows]

    async def update(self, caller: Caller, bot_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged. Raises Conflict, NotFound."""
        values = [given.get(column) for column in _WRITTEN]

        async def work(connection: Connection) -> None:
            await check_owned(connection, caller.account_id, given)
            columns = list(given)
            size = await connection.fetchval(_SQL["update"], caller.account_id, bot_id, columns, *values)
            if size is None:
                raise NotFound
            check(size)
            await note(connection, caller, "bot.update", botId=bot_id)

        with unique("bot"):
            await self._database.transact(work)

    async def delete(self, caller: Caller, bot_id: str) -> None:
        """Its conversations and tasks stay, without it; its own ratings go."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["lock"], caller.account_id, bot_id) is None:
                raise NotFound
            await connection.execute(_SQL["forget_ratings"], bot_id)
            await connection.execute(_SQL["leave_tasks"], bot_id)
            await connection.execute(_SQL["delete"], bot_id)
            await note(connection, caller, "bot.delete", botId=bot_id)

        await self._database.transact(work)


def _values(given: dict[str, Any]) -> list[Any]:
    filled = given | {"meta": given.get("meta") or {}}
    return [filled.get(column) for column in _WRITTEN]
