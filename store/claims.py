"""Idempotency keys: the first call under a key makes its subject, every other gets that subject."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from domain.accept import Key
from domain.errors import Conflict, Unavailable
from store.database import Connection, Database
from store.queries import load

_SQL = load("claims")


async def claim(connection: Connection, account_id: str, key: Key, subject: str) -> str | None:
    """Takes a key for a subject; returns the earlier subject when it is taken already.

    A concurrent call with the same key waits here until the first one commits. Raises Conflict when the key
    was used with another body.
    """
    if key.value is None:
        return None
    arguments = (account_id, key.route, key.value)
    if await connection.fetchval(_SQL["claim"], *arguments, key.fingerprint, subject) is not None:
        return None
    row = await connection.fetchrow(_SQL["claimed"], *arguments)
    if row is None:
        raise Unavailable(retry_after=1)
    if row["fingerprint"] != key.fingerprint:
        raise Conflict("This Idempotency-Key was used with another body; use a new key for a new call.")
    earlier: str = row["subject"]
    return earlier


async def repoint(connection: Connection, account_id: str, key: Key, subject: str) -> None:
    """The key just claimed stands for what turned out to be there already."""
    if key.value is not None:
        await connection.execute(_SQL["repoint"], account_id, key.route, key.value, subject)


async def once(
    database: Database,
    account_id: str,
    key: Key,
    subject: str,
    make: Callable[[Connection, str], Awaitable[None]],
) -> str:
    """Makes a subject in one transaction, or returns the id made earlier under the same key."""

    async def work(connection: Connection) -> str:
        earlier = await claim(connection, account_id, key, subject)
        if earlier is None:
            await make(connection, subject)
        return earlier or subject

    return await database.transact(work)
