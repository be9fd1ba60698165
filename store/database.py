"""The connection pool: bounded waits, one retry, and Postgres's troubles told as `Unavailable`."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import asyncpg

from domain.errors import TooSlow, Unavailable

T = TypeVar("T")
Connection = asyncpg.Connection | asyncpg.pool.PoolConnectionProxy

SESSION = {
    "application_name": "holdfast",
    "statement_timeout": "5000",
    "lock_timeout": "2000",
    # A process stopped inside a transaction must not hold a conversation.
    "idle_in_transaction_session_timeout": "3000",
}
CONNECT_SECONDS = 2.0
PLACE_SECONDS = 8.0
"""For a place in the pool: a burst waits its turn; a Postgres that refuses is known at once."""
COMMAND_SECONDS = 6.0
"""A little over statement_timeout: it speaks only when the server no longer does."""

# Raised by a server or a link that is going away, or by a tie that a second try resolves.
_PASSING = (
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.SerializationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.InsufficientResourcesError,
    asyncpg.InterfaceError,
    # What asyncpg says when the server hangs up between two statements.
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)


class OutcomeUnknown(Unavailable):
    """The database went away in a commit, which may have happened: repeat with the same Idempotency-Key."""


async def connect(url: str, **options: Any) -> asyncpg.Connection:
    """One connection outside the pool, with the same bounds."""
    connection: asyncpg.Connection = await asyncpg.connect(
        url, timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS, server_settings=SESSION, **options
    )
    await _speak_json(connection)
    return connection


async def _speak_json(connection: asyncpg.Connection) -> None:
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)


async def _as_it_is(_connection: Connection) -> None:
    """Nothing here changes a session, so a connection goes back without the round trip that would undo it.

    The pool itself rolls back a transaction that was broken off.
    """


class Database:
    """A pool that opens lazily: a process boots without Postgres and answers `Unavailable`."""

    def __init__(self, url: str, size: int = 16) -> None:
        self.url = url
        self.size = size
        self._pool: asyncpg.Pool | None = None

    async def open(self) -> None:
        self._pool = await asyncpg.create_pool(
            self.url,
            min_size=0,
            max_size=self.size,
            timeout=CONNECT_SECONDS,
            command_timeout=COMMAND_SECONDS,
            server_settings=SESSION,
            init=_speak_json,
            reset=_as_it_is,
        )

    async def close(self) -> None:
        if self._pool is not None:
            self._pool.terminate()

    @property
    def used(self) -> int:
        """Connections of the pool that somebody has in hand."""
        return 0 if self._pool is None else self._pool.get_size() - self._pool.get_idle_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """A pooled connection in autocommit, for one statement."""
        assert self._pool is not None, "the database is not open"
        try:
            connection = await self._pool.acquire(timeout=PLACE_SECONDS)
            try:
                yield connection
            finally:
                await _give_back(self._pool, connection)
        except _PASSING as trouble:
            raise _unavailable(trouble) from None

    async def warm(self, count: int, queries: Sequence[str]) -> None:
        """Opens so many connections, where they are not there, and has Postgres look at what will be asked.

        Else the first crowd pays for it: several milliseconds for each of both. Raises Unavailable.
        """

        async def one() -> None:
            async with self.connection() as connection:
                for query in queries:
                    await connection.prepare(query)

        # All of them have their place in the pool before the first is connected.
        found = await asyncio.gather(*(one() for _ in range(count)), return_exceptions=True)
        for trouble in found:
            if isinstance(trouble, Unavailable):
                raise trouble
            if isinstance(trouble, BaseException):
                raise _unavailable(trouble) from None

    async def transact(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        """Runs `work` in one transaction; once more if a passing trouble ended it before its commit.

        Raises `Unavailable` when it did not happen, `OutcomeUnknown` when nobody can tell.
        """
        try:
            return await self._once(work)
        except OutcomeUnknown:
            raise
        except Unavailable:
            return await self._once(work)

    async def _once(self, work: Callable[[Connection], Awaitable[T]]) -> T:
        async with self.connection() as connection:
            transaction = connection.transaction()
            try:
                await transaction.start()
                result = await work(connection)
            except BaseException:
                # Rolling back on a dead link fails too; the first error is the one to tell.
                if not connection.is_closed():
                    await _rollback(transaction)
                raise
            try:
                await transaction.commit()
            except _PASSING:
                raise OutcomeUnknown(retry_after=1) from None
            return result

    async def fetch(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        async with self.connection() as connection:
            return await connection.fetch(query, *arguments)

    async def fetchrow(self, query: str, *arguments: Any) -> asyncpg.Record | None:
        async with self.connection() as connection:
            return await connection.fetchrow(query, *arguments)

    async def fetchval(self, query: str, *arguments: Any) -> Any:
        async with self.connection() as connection:
            return await connection.fetchval(query, *arguments)

    async def execute(self, query: str, *arguments: Any) -> None:
        async with self.connection() as connection:
            await connection.execute(query, *arguments)


async def _give_back(pool: asyncpg.Pool, connection: asyncpg.pool.PoolConnectionProxy) -> None:
    """A link may break here as well: the pool drops it, and the work done on it stays done."""
    try:
        await pool.release(connection)
    except _PASSING:
        return


async def _rollback(transaction: Any) -> None:
    try:
        await transaction.rollback()
    except _PASSING:
        return


def _unavailable(trouble: BaseException) -> Unavailable:
    if isinstance(trouble, asyncpg.QueryCanceledError):
        return TooSlow(retry_after=5)
    if isinstance(trouble, asyncpg.LockNotAvailableError):
        return Unavailable("Another call holds this object; nothing was done; try again.", retry_after=1)
    if isinstance(trouble, asyncpg.DeadlockDetectedError | asyncpg.SerializationError):
        return Unavailable(
            "Other calls changed the same objects; nothing was done; try again.", retry_after=1
        )
    if isinstance(trouble, asyncpg.DiskFullError):
        return Unavailable("The database's disk is full; nothing was done; free space on it.", retry_after=5)
    return Unavailable("The database cannot be reached; nothing was done; try again shortly.", retry_after=1)
