"""Contacts: one per fingerprint in an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.contact import Contact
from domain.errors import Conflict, NotFound
from domain.paging import Page
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("contacts")
_COLUMNS = tuple(Contact.model_fields)
_WRITTEN = (
    "name",
    "description",
    "meta",
    "fingerprint",
    "email",
    "phone",
    "nick",
    "preferences",
    "verified_at",
)
_TAKEN = "Another contact of this account has this fingerprint; contact/ensure returns it."


class Contacts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, key: Key, given: dict[str, Any]) -> str:
        """Makes a contact; its fingerprint is its id unless given. Raises Conflict when it is taken."""

        async def work(connection: Connection, contact_id: str) -> None:
            if await _insert(connection, caller, contact_id, given) is None:
                raise Conflict(_TAKEN)

        return await once(self._database, caller.account_id, key, ids.contact(), work)

    async def ensure(self, caller: Caller, given: dict[str, Any]) -> str:
        """The contact of a fingerprint, unchanged if it is there, else made as given."""
        return await self._database.transact(lambda connection: ensure(connection, caller, given))

    async def fetch(self, account_id: str, contact_id: str) -> Contact:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, contact_id)
        if row is None:
            raise NotFound
        return _contact(row)

    async def list(self, account_id: str, page: Page, meta: dict[str, Any]) -> Sequence[Contact]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta)
        return [_contact(row) for row in rows]

    async def update(self, caller: Caller, contact_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged. Raises Conflict, NotFound."""
        values = [given.get(column) for column in _WRITTEN]

        async def work(connection: Connection) -> None:
            columns = list(given)
            found = await connection.fetchval(_SQL["update"], caller.account_id, contact_id, columns, *values)
            if found is None:
                raise NotFound
            await note(connection, caller, "contact.update", contactId=contact_id)

        try:
            await self._database.transact(work)
        except asyncpg.UniqueViolationError:
            raise Conflict(_TAKEN) from None

    async def delete(self, caller: Caller, contact_id: str) -> None:
        """Its conversations stay, without it."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["delete"], caller.account_id, contact_id) is None:
                raise NotFound
            await note(connection, caller, "contact.delete", contactId=contact_id)

        await self._database.transact(work)


async def ensure(connection: Connection, caller: Caller, given: dict[str, Any]) -> str:
    """As `Contacts.ensure`, inside a transaction."""
    made = await _insert(connection, caller, ids.contact(), given)
    if made is not None:
        return made
    found: str = await connection.fetchval(_SQL["by_fingerprint"], caller.account_id, given["fingerprint"])
    return found


async def _insert(
    connection: Connection, caller: Caller, contact_id: str, given: dict[str, Any]
) -> str | None:
    filled = given | {"meta": given.get("meta") or {}, "fingerprint": given.get("fingerprint") or contact_id}
    values = [filled.get(column) for column in _WRITTEN]
    made: str | None = await connection.fetchval(_SQL["create"], contact_id, caller.account_id, *values)
    if made is not None:
        await note(connection, caller, "contact.create", contactId=made)
    return made


def _contact(row: asyncpg.Record) -> Contact:
    return Contact(**{column: row[column] for column in _COLUMNS})
