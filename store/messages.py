"""The messages of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import ids
from domain.accept import Key
from domain.conversation import Message, NewMessage
from domain.errors import BadRequest, NotFound
from domain.paging import Page
from store.claims import claim
from store.database import Connection, Database
from store.held import add_message
from store.queries import load, ordered

_SQL = load("messages")
_COLUMNS = tuple(Message.model_fields)


class Messages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, account_id: str, conversation_id: str, key: Key, message: NewMessage) -> str:
        """Appends a message at once, whatever turn is running; returns its id."""
        message_id = ids.message()

        async def work(connection: Connection) -> str:
            if await connection.fetchval(_SQL["lock"], account_id, conversation_id) is None:
                raise NotFound
            earlier = await claim(connection, account_id, key, message_id)
            if earlier is None:
                await add_message(connection, conversation_id, message_id, message)
            return earlier or message_id

        return await self._database.transact(work)

    async def fetch(self, account_id: str, conversation_id: str, message_id: str) -> Message:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, conversation_id, message_id)
        if row is None:
            raise NotFound
        return _message(row)

    async def list(self, account_id: str, conversation_id: str, page: Page) -> Sequence[Message]:
        if await self._database.fetchval(_SQL["owned"], account_id, conversation_id) is None:
            raise NotFound
        if page.cursor and await self._database.fetchval(_SQL["place"], conversation_id, page.cursor) is None:
            raise BadRequest("cursor: there is no such message here any more; begin the list anew.")
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, conversation_id, page.cursor, page.take)
        return [_message(row) for row in rows]

    async def update(
        self, account_id: str, conversation_id: str, message_id: str, given: dict[str, Any]
    ) -> None:
        """Changes the given columns only; null clears one, meta is merged."""
        columns = ("type", "text", "name", "description", "meta")
        values = [given.get(column) for column in columns]
        found = await self._database.fetchval(
            _SQL["update"], account_id, conversation_id, message_id, list(given), *values
        )
        if found is None:
            raise NotFound

    async def delete(self, account_id: str, conversation_id: str, message_id: str) -> None:
        found = await self._database.fetchval(_SQL["delete"], account_id, conversation_id, message_id)
        if found is None:
            raise NotFound


def _message(row: asyncpg.Record) -> Message:
    return Message(**{column: row[column] for column in _COLUMNS})
