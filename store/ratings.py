"""Ratings: given with a vote, listed, and gone with what was rated."""

from __future__ import annotations

from collections.abc import Sequence

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.errors import NotFound
from domain.paging import Page
from domain.rating import Rating, Vote
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.held import touch
from store.queries import load, ordered

_SQL = load("ratings")


class RatingFilter(Frozen):
    """What a list of ratings is narrowed to; None narrows nothing."""

    conversation_ids: Sequence[str] | None = None
    message_ids: Sequence[str] | None = None
    bot_ids: Sequence[str] | None = None
    contact_ids: Sequence[str] | None = None


class Ratings:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_conversation(self, caller: Caller, key: Key, conversation_id: str, vote: Vote) -> None:
        """Rates a conversation, with the bot and the contact it has now. Raises NotFound."""
        await self._rate(caller, key, "of_conversation", (vote, conversation_id))

    async def of_message(self, caller: Caller, key: Key, place: tuple[str, str], vote: Vote) -> None:
        """Rates a (conversation, message), with the bot and the contact of now. Raises NotFound."""
        await self._rate(caller, key, "of_message", (vote, *place))

    async def of_bot(self, caller: Caller, key: Key, bot_id: str, vote: Vote) -> None:
        """Rates a bot itself. Raises NotFound."""
        await self._rate(caller, key, "of_bot", (vote, bot_id))

    async def list(self, account_id: str, page: Page, narrow: RatingFilter) -> Sequence[Rating]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(
            query,
            account_id,
            page.after,
            page.take,
            narrow.conversation_ids,
            narrow.message_ids,
            narrow.bot_ids,
            narrow.contact_ids,
        )
        return [Rating(**row) for row in rows]

    async def _rate(self, caller: Caller, key: Key, name: str, rated: tuple[Vote, *tuple[str, ...]]) -> None:
        vote, *place = rated

        async def work(connection: Connection, rating_id: str) -> None:
            given = (rating_id, caller.account_id, vote.value, vote.reason)
            if name != "of_bot":
                await touch(connection, caller.account_id, place[0])
            row = await connection.fetchrow(_SQL[name], *given, *place)
            if row is None:
                raise NotFound
            about = {
                "conversationId": row["conversation_id"],
                "messageId": row["message_id"],
                "botId": row["bot_id"],
                "contactId": row["contact_id"],
            }
            await note(connection, caller, "rating.create", ratingId=rating_id, **about)

        await once(self._database, caller.account_id, key, ids.rating(), work)
