"""Sessions: made for one conversation, over with it, with the key that made them, or with time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.errors import Conflict, NotAuthenticated, NotFound
from domain.session import Opening, Session
from store import conversations
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.held import touch
from store.queries import load

_SQL = load("sessions")

UNKNOWN = "This is no token of this server; ask the site's own server for a new session."
EXPIRED = "This session has expired; ask the site's own server for a new one."
REPEATED = (
    "The session made under this Idempotency-Key has expired, or the key that made it was revoked; use a new "
    "Idempotency-Key for a new session."
)
OVER = "This session is over: its conversation was deleted, or the key that made it was revoked."


class Sessions:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, caller: Caller, conversation_id: str, key: Key, seconds: int) -> Session:
        """A session of a conversation. Raises NotFound, and Conflict where a repeated call's is over."""

        async def work(connection: Connection, session_id: str) -> None:
            await _begin(connection, caller, (session_id, conversation_id), seconds)

        return await self._made(caller, key, work)

    async def create_with_bot(self, caller: Caller, key: Key, opening: Opening) -> Session:
        """A conversation with a bot, its messages and a session of it, all or nothing. Raises NotFound."""
        given = {"bot_id": opening.bot_id, "meta": opening.meta}

        async def work(connection: Connection, session_id: str) -> None:
            place = (session_id, ids.conversation())
            await conversations.begin(connection, caller, place[1], given, opening.messages)
            await _begin(connection, caller, place, opening.seconds)

        return await self._made(caller, key, work)

    async def caller(self, session: Session, address: str | None) -> Caller:
        """Who calls with the token of this session. Raises NotAuthenticated, which the audit log tells."""
        row = None if session.expired else await self._database.fetchrow(_SQL["caller"], session.id)
        if row is None:
            await self.refused(session, address)
            raise NotAuthenticated(EXPIRED if session.expired else OVER)
        return Caller(**row, address=address)

    async def refused(self, session: Session | None, address: str | None) -> None:
        """Tells the account of a session, or the operator of a token that nobody has signed here."""
        account_id = session.account_id if session else None
        about = {"sessionId": session.id, "conversationId": session.conversation_id} if session else {}
        meta = {"code": NotAuthenticated.code} | ({"address": address} if address else {})
        await self._database.execute(_SQL["refused"], ids.entry(), account_id, about, meta)

    async def holds_run(self, caller: Caller, run_id: str) -> bool:
        """Whether a run is of the session's conversation."""
        return await self._database.fetchval(_SQL["holds_run"], caller.conversation_id, run_id) is not None

    async def holds_channel(self, caller: Caller, name: str) -> bool:
        """Whether a channel is a run's of the session's conversation."""
        place = (caller.conversation_id, caller.account_id, name)
        return await self._database.fetchval(_SQL["holds_channel"], *place) is not None

    async def _made(
        self, caller: Caller, key: Key, work: Callable[[Connection, str], Awaitable[None]]
    ) -> Session:
        session_id = await once(self._database, caller.account_id, key, ids.session(), work)
        row = await self._database.fetchrow(_SQL["fetch"], caller.account_id, session_id)
        if row is None:
            # Made earlier under the same key, and gone with its conversation: keys do not outlive sessions.
            raise NotFound
        told = dict(row)
        if not told.pop("open"):
            raise Conflict(REPEATED)
        return Session(**told)


async def _begin(connection: Connection, caller: Caller, place: tuple[str, str], seconds: int) -> None:
    session_id, conversation_id = place
    arguments = (caller.account_id, conversation_id, caller.key_id, seconds)
    await touch(connection, caller.account_id, conversation_id)
    if await connection.fetchval(_SQL["create"], session_id, *arguments) is None:
        raise NotFound
    about = {"sessionId": session_id, "conversationId": conversation_id}
    await note(connection, caller, "session.create", **about)
