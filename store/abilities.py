"""The abilities of skillsets."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.errors import Conflict, NotFound
from domain.meta import check
from domain.paging import PAGE_BYTES, Page
from domain.skillset import ABILITIES, Ability, StoredAbility
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("abilities")
_COLUMNS = tuple(Ability.model_fields)
_WRITTEN = ("name", "description", "meta", "instruction", "secret_id")
_FULL = f"The skillset has {ABILITIES} abilities, as many tools as a run may have; delete one of them first."


class Abilities:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, skillset_id: str, key: Key, given: dict[str, Any]) -> str:
        """Raises NotFound for a foreign skillset or secret, and Conflict when the skillset is full."""
        filled = given | {"meta": given.get("meta") or {}}
        values = [filled.get(column) for column in _WRITTEN]

        async def work(connection: Connection, ability_id: str) -> None:
            await _make_room(connection, caller.account_id, skillset_id)
            await _check_secret(connection, caller.account_id, given)
            await connection.execute(_SQL["create"], ability_id, skillset_id, *values)
            about = {"skillsetId": skillset_id, "abilityId": ability_id}
            await note(connection, caller, "ability.create", **about)

        return await once(self._database, caller.account_id, key, ids.ability(), work)

    async def fetch(self, account_id: str, skillset_id: str, ability_id: str) -> Ability:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, skillset_id, ability_id)
        if row is None:
            raise NotFound
        return _ability(row)

    async def at_work(self, account_id: str, ability_id: str) -> StoredAbility | None:
        """An ability that is called; None when it has been deleted."""
        row = await self._database.fetchrow(_SQL["at_work"], account_id, ability_id)
        return None if row is None else StoredAbility(**row)

    async def list(
        self, account_id: str, skillset_id: str, page: Page, meta: dict[str, Any]
    ) -> Sequence[Ability]:
        """One page of a skillset's. Raises NotFound for a foreign skillset."""
        if await self._database.fetchval(_SQL["owned"], account_id, skillset_id) is None:
            raise NotFound
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, skillset_id, page.after, page.take, meta, PAGE_BYTES)
        return [_ability(row) for row in rows]

    async def update(self, caller: Caller, place: tuple[str, str], given: dict[str, Any]) -> None:
        """Changes the given columns of a (skillset, ability) only; meta is merged. Raises NotFound."""
        values = [given.get(column) for column in _WRITTEN]

        async def work(connection: Connection) -> None:
            await _check_secret(connection, caller.account_id, given)
            arguments = (caller.account_id, *place, list(given), *values)
            size = await connection.fetchval(_SQL["update"], *arguments)
            if size is None:
                raise NotFound
            check(size)
            await note(connection, caller, "ability.update", skillsetId=place[0], abilityId=place[1])

        await self._database.transact(work)

    async def delete(self, caller: Caller, skillset_id: str, ability_id: str) -> None:
        async def work(connection: Connection) -> None:
            place = (caller.account_id, skillset_id, ability_id)
            if await connection.fetchval(_SQL["delete"], *place) is None:
                raise NotFound
            about = {"skillsetId": skillset_id, "abilityId": ability_id}
            await note(connection, caller, "ability.delete", **about)

        await self._database.transact(work)


async def _make_room(connection: Connection, account_id: str, skillset_id: str) -> None:
    """Locks the skillset for another ability. Raises NotFound, and Conflict when it is full."""
    if await connection.fetchval(_SQL["lock"], account_id, skillset_id) is None:
        raise NotFound
    if await connection.fetchval(_SQL["count"], skillset_id) >= ABILITIES:
        raise Conflict(_FULL)


async def _check_secret(connection: Connection, account_id: str, given: dict[str, Any]) -> None:
    """Raises NotFound for a secret that is not the account's."""
    named = given.get("secret_id")
    if named and await connection.fetchval(_SQL["owned_secret"], account_id, named) is None:
        raise NotFound("secretId: no such secret in this account.")


def _ability(row: asyncpg.Record) -> Ability:
    return Ability(**{column: row[column] for column in _COLUMNS})
