"""The messages of a conversation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.conversation import Message, NewMessage
from domain.errors import BadRequest, NotFound
from domain.meta import check
from domain.paging import PAGE_BYTES, Page
from store.audit import note
from store.claims import claim
from store.database import Connection, Database
from store.held import add_message, touch
from store.queries import load, ordered
from store.usage import count

_SQL = load("messages")
_COLUMNS = tuple(Message.model_fields)
_LAST = 2**63 - 1


class Messages:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, conversation_id: str, key: Key, message: NewMessage) -> str:
        """Appends a message at once, whatever turn is running; returns its id."""
        message_id = ids.message()

        async def work(connection: Connection) -> str:
            place = await connection.fetchrow(_SQL["lock"], caller.account_id, conversation_id)
            if place is None:
                raise NotFound
            earlier = await claim(connection, caller.account_id, key, message_id)
            if earlier is None:
                await add_message(connection, conversation_id, message_id, message)
                about = {"conversationId": conversation_id, "messageId": message_id}
                await note(connection, caller, "message.create", **about)
                await count(connection, caller.account_id, (place["id"], place["bot_id"]), messages=1)
            return earlier or message_id

        return await self._database.transact(work)

    async def fetch(self, account_id: str, conversation_id: str, message_id: str) -> Message:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, conversation_id, message_id)
        if row is None:
            raise NotFound
        return _message(row)

    async def list(
        self, account_id: str, conversation_id: str, page: Page, meta: dict[str, Any]
    ) -> Sequence[Message]:
        """One page, in the order they came; a deleted message is as good a cursor as any other."""
        if await self._database.fetchval(_SQL["owned"], account_id, conversation_id) is None:
            raise NotFound
        after = await self._after(conversation_id, page)
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, conversation_id, after, page.take, meta, PAGE_BYTES)
        return [_message(row) for row in rows]

    async def _after(self, conversation_id: str, page: Page) -> int:
        """The seq that every seq of the page comes after, in its order."""
        if page.cursor is None:
            return 0 if page.ascending else _LAST
        place: int | None = await self._database.fetchval(_SQL["place"], conversation_id, page.cursor)
        if place is None:
            raise BadRequest("cursor: there never was such a message here; begin the list anew.")
        return place

    async def update(self, caller: Caller, place: tuple[str, str], given: dict[str, Any]) -> None:
        """Changes the given columns of a (conversation, message) only; null clears one, meta is merged."""
        columns = ("type", "text", "name", "description", "meta")
        values = [given.get(column) for column in columns]

        async def work(connection: Connection) -> None:
            await touch(connection, caller.account_id, place[0])
            arguments = (caller.account_id, *place, list(given), *values)
            size = await connection.fetchval(_SQL["update"], *arguments)
            if size is None:
                raise NotFound
            check(size)
            await note(connection, caller, "message.update", conversationId=place[0], messageId=place[1])

        await self._database.transact(work)

    async def delete(self, caller: Caller, conversation_id: str, message_id: str) -> None:
        """Its ratings go with it, and what was kept of it in deliveries."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["lock"], caller.account_id, conversation_id) is None:
                raise NotFound
            await touch(connection, caller.account_id, conversation_id)
            unsaid = await connection.fetch(_SQL["unsay"], conversation_id, message_id)
            await connection.execute(_SQL["unsay_answers"], [row["id"] for row in unsaid])
            if await connection.fetchval(_SQL["delete"], conversation_id, message_id) is None:
                raise NotFound
            about = {"conversationId": conversation_id, "messageId": message_id}
            await note(connection, caller, "message.delete", **about)

        await self._database.transact(work)


def _message(row: asyncpg.Record) -> Message:
    return Message(**{column: row[column] for column in _COLUMNS})
