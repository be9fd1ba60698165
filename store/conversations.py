"""Conversations: made, read, changed and removed with everything that was said in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import asyncpg

from domain import events, ids
from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.conversation import Conversation, NewMessage
from domain.errors import NotFound
from domain.meta import check
from domain.paging import PAGE_BYTES, Page
from domain.plans import Plan
from domain.run import Ending
from store import contacts, ending
from store.accept import check_owned
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.held import add_message, hold
from store.queries import load, ordered
from store.turns import plan_of
from store.usage import count

_SQL = load("conversations")
_COLUMNS = tuple(Conversation.model_fields)
_WRITTEN = (
    "name",
    "description",
    "meta",
    "bot_id",
    "contact_id",
    "model",
    "backstory",
    "skillset_id",
    "on_busy",
    "expires_at",
    "task_id",
)
GONE = "The conversation was deleted."


class ConversationFilter(Frozen):
    """What a list of conversations is narrowed to; None narrows nothing."""

    bot_ids: Sequence[str] | None = None
    contact_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None


class Conversations:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, caller: Caller, key: Key, given: dict[str, Any], messages: Sequence[NewMessage] = ()
    ) -> str:
        """Makes a conversation with its first messages. Raises NotFound for what is foreign in it."""

        async def work(connection: Connection, conversation_id: str) -> None:
            await begin(connection, caller, conversation_id, given, messages)

        return await once(self._database, caller.account_id, key, ids.conversation(), work)

    async def fetch(self, account_id: str, conversation_id: str) -> Conversation:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, conversation_id)
        if row is None:
            raise NotFound
        return _conversation(row)

    async def list(
        self, account_id: str, page: Page, meta: dict[str, Any], narrow: ConversationFilter
    ) -> Sequence[Conversation]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        of = (narrow.bot_ids, narrow.contact_ids, narrow.task_ids)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, *of, PAGE_BYTES)
        return [_conversation(row) for row in rows]

    async def update(self, caller: Caller, conversation_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged."""

        async def work(connection: Connection) -> None:
            filled = await _resolved(connection, caller, given)
            values = [filled.get(column) for column in _WRITTEN]
            place = (caller.account_id, conversation_id)
            size = await connection.fetchval(_SQL["update"], *place, list(filled), *values)
            if size is None:
                raise NotFound
            check(size)
            await note(connection, caller, "conversation.update", conversationId=conversation_id)

        await self._database.transact(work)

    async def delete(self, caller: Caller, conversation_id: str) -> Sequence[Plan]:
        """Removes it with its messages, events and requests; returns the plans of runs this ended.

        Run rows stay without words. A late write finds its run over and its channel closed.
        """

        async def work(connection: Connection) -> Sequence[Plan]:
            if await connection.fetchval(_SQL["lock"], caller.account_id, conversation_id) is None:
                raise NotFound
            return await remove(connection, caller, conversation_id)

        return await self._database.transact(work)


async def begin(
    connection: Connection,
    caller: Caller,
    conversation_id: str,
    given: dict[str, Any],
    messages: Sequence[NewMessage],
) -> None:
    """Makes a conversation with its first messages. Raises NotFound for what is foreign in it."""
    filled = await _resolved(connection, caller, given) | {"meta": given.get("meta") or {}}
    values = [filled.get(column) for column in _WRITTEN]
    await connection.execute(_SQL["create"], conversation_id, caller.account_id, *values)
    about = {f"{noun}Id": filled.get(f"{noun}_id") for noun in ("bot", "contact", "skillset", "task")}
    await note(connection, caller, "conversation.create", conversationId=conversation_id, **about)
    for place, message in enumerate(messages):
        await add_message(connection, conversation_id, f"first/{place}", message)
    of = (conversation_id, filled.get("bot_id"))
    await count(connection, caller.account_id, of, conversations=1, messages=len(messages))


async def remove(connection: Connection, caller: Caller, conversation_id: str) -> Sequence[Plan]:
    """As `Conversations.delete`, of a locked conversation."""
    ended = await _end_runs(connection, caller, conversation_id)
    rows = await connection.fetch(_SQL["forget_words"], conversation_id)
    await _forget_told(connection, [row["id"] for row in rows])
    last = events.error("NOT_FOUND", GONE)
    await connection.execute(_SQL["bury"], [row["channel_id"] for row in rows], last.data)
    await connection.execute(_SQL["delete"], conversation_id)
    await note(connection, caller, "conversation.delete", conversationId=conversation_id)
    await connection.execute(_SQL["wake"])
    return ended


async def _forget_told(connection: Connection, run_ids: Sequence[str]) -> None:
    """Takes what these runs had said out of what later runs of their tasks were told."""
    for row in await connection.fetch(_SQL["forget_told"], run_ids):
        data = json.loads(row["data"])
        result = data["meta"]["activity"]["function"].get("result")
        if result and result.get("lastExecution", {}).pop("summary", None) is not None:
            await connection.execute(_SQL["retell"], row["channel_id"], row["seq"], events.rendered(data))


async def _resolved(connection: Connection, caller: Caller, given: dict[str, Any]) -> dict[str, Any]:
    """The given columns, with a contact given as an object found or made."""
    await check_owned(connection, caller.account_id, given)
    contact = given.get("contact")
    if contact is None:
        return given
    return given | {"contact_id": await contacts.ensure(connection, caller, contact)}


async def _end_runs(connection: Connection, caller: Caller, conversation_id: str) -> Sequence[Plan]:
    ended = []
    gone = Ending(state="canceled", code="NOT_FOUND", reason="deleted", by=caller)
    for row in await connection.fetch(_SQL["unfinished"], conversation_id):
        held = await hold(connection, row["id"], conversation=False)
        if held is not None and held.open:
            await ending.stop(connection, held, gone)
            ended.append(plan_of(held))
    return ended


def _conversation(row: asyncpg.Record) -> Conversation:
    return Conversation(**{column: row[column] for column in _COLUMNS})
