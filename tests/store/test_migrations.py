"""A database in use is migrated beside its work: no table is held for long, and what broke off goes on."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from domain.errors import Unavailable
from store import migrate as migration
from store.migrate import FOLDER, LONG, migrate, names, statements
from tests.house import eventually

TEXTS = {name: (FOLDER / name).read_text() for name in names()}
BESIDE = [name for name, text in TEXTS.items() if text.startswith(LONG)]
FILL = """
INSERT INTO conversation (id, account_id) SELECT 'conv_' || n, 'a' FROM generate_series(1, 20000) n;
INSERT INTO run (id, account_id, kind, lane, state, channel_id, workflow_id, fingerprint, keyed, created_at)
SELECT 'run_' || n, 'a', 'completion', 'interactive', 'queued', 1, 'w' || n, '', false, now()
FROM generate_series(1, 20000) n
"""
BUILDS = """
SELECT pid FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'CREATE%INDEX CONCURRENTLY%'
  AND query_start < clock_timestamp() - $1 * interval '1 second'
"""
INVALID = "SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid"


@pytest.fixture
async def used(url: str) -> AsyncIterator[asyncpg.Connection]:
    """A connection to a filled database that lacks what is applied outside a transaction."""
    connection = await asyncpg.connect(url)
    await connection.execute("SET session_replication_role = replica")
    await connection.execute("INSERT INTO account (id, name) VALUES ('a', 'a')")
    await connection.execute(FILL)
    for name in BESIDE:
        for index in re.findall(r"IF NOT EXISTS (\w+)", TEXTS[name]):
            await connection.execute(f"DROP INDEX IF EXISTS {index}")
    await connection.execute("DELETE FROM migration WHERE name = ANY ($1)", BESIDE)
    yield connection
    await connection.close()


async def built(connection: asyncpg.Connection, seconds: float = 0) -> int:
    """Who has been building an index for so long."""

    async def check() -> int:
        rows = await connection.fetch(BUILDS, seconds)
        assert rows
        return int(rows[0]["pid"])

    return await eventually(check)


@pytest.mark.slow
async def test_an_index_is_built_for_longer_than_any_statement_may_take_and_writes_go_on_meanwhile(
    used: asyncpg.Connection, url: str
) -> None:
    writer = await asyncpg.connect(url)
    # A build waits for every write that began before it.
    writing = writer.transaction()
    await writing.start()
    await writer.execute("UPDATE run SET looks = 1 WHERE id = 'run_1'")
    migrating = asyncio.create_task(migrate(url))

    await built(used, 5.5)
    await used.execute("UPDATE run SET looks = 1 WHERE id = 'run_2'", timeout=2)
    await writing.commit()

    assert await migrating == BESIDE
    assert await used.fetch(INVALID) == []
    await writer.close()


async def test_a_build_that_broke_off_leaves_an_index_that_the_next_migration_makes_anew(
    used: asyncpg.Connection, url: str
) -> None:
    writer = await asyncpg.connect(url)
    writing = writer.transaction()
    await writing.start()
    await writer.execute("UPDATE run SET looks = 1 WHERE id = 'run_1'")
    migrating = asyncio.create_task(migrate(url))
    await used.execute("SELECT pg_terminate_backend($1)", await built(used))
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError, OSError)):
        await migrating
    await writing.commit()
    await writer.close()
    assert [row["name"] for row in await used.fetch(INVALID)] == ["run_line"]

    assert await migrate(url) == BESIDE

    assert await used.fetch(INVALID) == []


async def test_a_migration_that_waits_long_for_another_says_so(url: str) -> None:
    other = await asyncpg.connect(url)
    await other.execute("SELECT pg_advisory_lock($1)", migration._LOCK)

    with pytest.raises(Unavailable, match="at work"):
        await migrate(url, patience=0.5)
    await other.close()


def test_what_is_made_on_a_table_that_was_there_is_made_outside_a_transaction() -> None:
    for name, text in TEXTS.items():
        here = {*re.findall(r"CREATE TABLE (\w+)", text)}
        for index in re.findall(r"CREATE (?:UNIQUE )?INDEX.*?;", text, re.DOTALL):
            beside = " CONCURRENTLY IF NOT EXISTS " in index
            assert beside == (name in BESIDE), (name, index)
            assert beside or re.search(r" ON (\w+)", index)[1] in here, (name, index)  # type: ignore[index]
        for constraint in re.findall(r"ADD CONSTRAINT.*?;", text, re.DOTALL):
            assert " NOT VALID;" in constraint, (name, constraint)


def test_every_statement_outside_a_transaction_may_run_again() -> None:
    for name in BESIDE:
        for one in statements(TEXTS[name]):
            assert re.search(r" INDEX CONCURRENTLY IF (NOT )?EXISTS | VALIDATE CONSTRAINT ", one), one
