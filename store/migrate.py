"""Applies the migrations: once each, in order, under an advisory lock, with timeouts."""

from __future__ import annotations

import asyncio
import re
import time
from pathlib import Path

import asyncpg

from domain.errors import Unavailable
from store.database import Connection

FOLDER = Path(__file__).parent / "migrations"
LONG = "-- outside a transaction"
"""The first words of a file whose statements run one by one, for as long as a large table takes."""
WAIT_SECONDS = 60.0
_PAUSE = 0.2
_LOCK = 0x686F6C64  # "hold"
_BOUNDS = "SET lock_timeout = '4s'; SET statement_timeout = '5s'"
# An index that is built beside everybody's work waits for every transaction that is open meanwhile.
_LONG_BOUNDS = "SET lock_timeout = '10min'; SET statement_timeout = '6h'"
_INDEX = re.compile(r"CREATE (?:UNIQUE )?INDEX CONCURRENTLY IF NOT EXISTS (\w+)")
_INVALID = "SELECT FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid"

_RESTORED = "SELECT FROM audit WHERE xid > pg_snapshot_xmax(pg_current_snapshot()) LIMIT 1"
_FORGET_NUMBERS = """
ALTER TABLE audit DISABLE TRIGGER audit_unchanged;
UPDATE audit SET xid = '0' WHERE xid <> '0';
ALTER TABLE audit ENABLE TRIGGER audit_unchanged
"""


def names() -> list[str]:
    return sorted(path.name for path in FOLDER.glob("*.sql"))


async def migrate(url: str, patience: float = WAIT_SECONDS) -> list[str]:
    """Brings the database to this version; returns the names applied now.

    Raises what Postgres raises, and Unavailable when another migration is at work for `patience` seconds.
    """
    connection = await asyncpg.connect(url, timeout=5)
    try:
        await _alone(connection, patience)
        await connection.execute(_BOUNDS)
        applied = await _apply(connection)
        await _settle(connection)
        return applied
    finally:
        await connection.close()


async def pending(connection: Connection) -> list[str]:
    """The migrations this version has and the database has not."""
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return names()
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migration")}
    return [name for name in names() if name not in done]


def statements(text: str) -> list[str]:
    """The statements of a file outside a transaction; none has a semicolon within."""
    bare = re.sub(r"--.*", "", text)
    return [statement.strip() for statement in bare.split(";") if statement.strip()]


async def _alone(connection: asyncpg.Connection, patience: float) -> None:
    """Takes the advisory lock.

    By asking again: who waits inside a statement is waited for by an index that is built concurrently.
    """
    ends = time.monotonic() + patience
    while not await connection.fetchval("SELECT pg_try_advisory_lock($1)", _LOCK):
        if time.monotonic() > ends:
            raise Unavailable("Another migration is at work; wait for its end, then migrate again.")
        await asyncio.sleep(_PAUSE)


async def _apply(connection: asyncpg.Connection) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
    )
    waiting = await pending(connection)
    for name in waiting:
        text = (FOLDER / name).read_text()
        if text.startswith(LONG):
            await _apply_long(connection, text)
            await _note(connection, name)
        else:
            async with connection.transaction():
                await connection.execute(text)
                await _note(connection, name)
    return waiting


async def _apply_long(connection: asyncpg.Connection, text: str) -> None:
    """Statement by statement, each for good: broken off, the file is begun again and finds what is done."""
    await connection.execute(_LONG_BOUNDS)
    for statement in statements(text):
        index = _INDEX.match(statement)
        if index and await connection.fetchrow(_INVALID, index[1]) is not None:
            # What a broken build left behind bears the name and serves nobody.
            await connection.execute(f"DROP INDEX CONCURRENTLY {index[1]}")
        await connection.execute(statement)
    await connection.execute(_BOUNDS)


async def _settle(connection: asyncpg.Connection) -> None:
    """After a restore from a cluster that counted further, nobody shall wait for its transactions' numbers.

    Who follows the audit log reads in the order of transactions; what came before the restore comes first.
    """
    await connection.execute(_LONG_BOUNDS)
    if await connection.fetchrow(_RESTORED) is not None:
        await connection.execute(_FORGET_NUMBERS)
    await connection.execute(_BOUNDS)


async def _note(connection: asyncpg.Connection, name: str) -> None:
    await connection.execute("INSERT INTO migration (name) VALUES ($1)", name)
