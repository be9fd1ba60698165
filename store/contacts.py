"""Contacts: one per fingerprint in an account."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.contact import Contact
from domain.errors import Conflict, NotFound, Unavailable
from domain.meta import check
from domain.paging import PAGE_BYTES, Page
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
_MEANWHILE = "Another call changed whose contact this is at the same moment; nothing was done; try again."
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
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, PAGE_BYTES)
        return [_contact(row) for row in rows]

    async def update(self, caller: Caller, contact_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged. Raises Conflict, NotFound."""

        async def work(connection: Connection) -> None:
            if not await _change(connection, caller, contact_id, given):
                raise NotFound

        try:
            await self._database.transact(work)
        except asyncpg.UniqueViolationError:
            raise Conflict(_TAKEN) from None

    async def upsert(self, caller: Caller, conversation_id: str, given: dict[str, Any]) -> str:
        """Says who a conversation is held with; returns the contact's id. Raises NotFound.

        With a fingerprint it is that one's contact, made as given or changed by it, and the conversation is
        linked to it, whomever it had. Without one it is the conversation's own contact, changed as given; a
        conversation that has none gets a new one. Repeated, it finds what it made.
        """

        async def work(connection: Connection) -> str:
            row = await connection.fetchrow(_SQL["of_conversation"], caller.account_id, conversation_id)
            if row is None:
                raise NotFound
            own, known = row["contact_id"], bool(given.get("fingerprint"))
            contact_id = await _upserted(connection, caller, own, given)
            if contact_id == own:
                return contact_id
            place = (caller.account_id, conversation_id)
            if await connection.fetchval(_SQL["link"], *place, contact_id, known) is None:
                raise Unavailable(_MEANWHILE, retry_after=1)
            about = {"conversationId": conversation_id, "contactId": contact_id}
            await note(connection, caller, "conversation.update", **about)
            return contact_id

        return await self._database.transact(work)

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
    return made or await _found(connection, caller, given["fingerprint"])


async def _found(connection: Connection, caller: Caller, fingerprint: str) -> str:
    found: str | None = await connection.fetchval(_SQL["by_fingerprint"], caller.account_id, fingerprint)
    if found is None:
        raise Unavailable(_MEANWHILE, retry_after=1)
    return found


async def _upserted(connection: Connection, caller: Caller, own: str | None, given: dict[str, Any]) -> str:
    """The contact of the given fingerprint, else the conversation's own, else a new one."""
    changes = {column: value for column, value in given.items() if column != "fingerprint"}
    fingerprint = given.get("fingerprint")
    if (
        own is not None
        and not fingerprint
        and (not changes or await _change(connection, caller, own, changes))
    ):
        return own
    made = await _insert(connection, caller, ids.contact(), given)
    if made is not None:
        return made
    found = await _found(connection, caller, given["fingerprint"])
    if changes:
        await _change(connection, caller, found, changes)
    return found


async def _change(connection: Connection, caller: Caller, contact_id: str, given: dict[str, Any]) -> bool:
    """Changes the given columns only; whether the contact is there."""
    values = [given.get(column) for column in _WRITTEN]
    size = await connection.fetchval(_SQL["update"], caller.account_id, contact_id, list(given), *values)
    if size is None:
        return False
    check(size)
    await note(connection, caller, "contact.update", contactId=contact_id)
    return True


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
