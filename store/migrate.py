"""Applies the migrations: once each, in order, under an advisory lock, with timeouts."""

from __future__ import annotations

from pathlib import Path

import asyncpg

from store.database import Connection

FOLDER = Path(__file__).parent / "migrations"
_LOCK = 0x686F6C64  # "hold"


def names() -> list[str]:
    return sorted(path.name for path in FOLDER.glob("*.sql"))


async def migrate(url: str) -> list[str]:
    """Brings the database to this version; returns the names applied now. Raises what Postgres raises."""
    connection = await asyncpg.connect(url, timeout=5)
    try:
        # Another migration may be at work for a while; an old version of the server may hold a table.
        await connection.execute("SET statement_timeout = '60s'")
        await connection.execute("SELECT pg_advisory_lock($1)", _LOCK)
        await connection.execute("SET lock_timeout = '4s'; SET statement_timeout = '5s'")
        return await _apply(connection)
    finally:
        await connection.close()


async def pending(connection: Connection) -> list[str]:
    """The migrations this version has and the database has not."""
    if await connection.fetchval("SELECT to_regclass('migration')") is None:
        return names()
    done = {row["name"] for row in await connection.fetch("SELECT name FROM migration")}
    return [name for name in names() if name not in done]


async def _apply(connection: asyncpg.Connection) -> list[str]:
    await connection.execute(
        "CREATE TABLE IF NOT EXISTS migration (name text PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
    )
    waiting = await pending(connection)
    for name in waiting:
        async with connection.transaction():
            await connection.execute((FOLDER / name).read_text())
            await connection.execute("INSERT INTO migration (name) VALUES ($1)", name)
    return waiting
