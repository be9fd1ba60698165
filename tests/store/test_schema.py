"""Migrations: in order, once each, and together what schema.sql shows."""

from __future__ import annotations

import asyncio

import asyncpg

from store import Store
from store.database import connect
from store.migrate import FOLDER, migrate, names, pending
from tests.store import schema


async def test_the_migrations_add_up_to_the_floor_plan(empty: str) -> None:
    await migrate(empty)

    assert schema.dumped(empty) == schema.FILE.read_text(), "run `make schema`"


def test_the_names_of_the_migrations_are_consecutive() -> None:
    assert names()
    assert [name[:5] for name in names()] == [f"{n:04}_" for n in range(1, len(names()) + 1)]
    assert all(name.removesuffix(".sql")[5:].isidentifier() for name in names())
    assert [*FOLDER.glob("*")] == [*FOLDER.glob("*.sql")]


async def test_a_second_migration_has_nothing_to_apply(empty: str) -> None:
    assert await migrate(empty) == names()
    before = schema.dumped(empty)

    assert await migrate(empty) == []
    assert schema.dumped(empty) == before


async def test_of_two_migrators_at_once_one_applies_and_the_other_waits(empty: str) -> None:
    applied = await asyncio.gather(*(migrate(empty) for _ in range(4)))

    assert sorted(applied) == [[], [], [], names()]


async def test_a_database_says_what_it_still_needs(empty: str) -> None:
    connection = await connect(empty)
    try:
        before = await pending(connection)
        await migrate(empty)
        after = await pending(connection)
    finally:
        await connection.close()

    assert before == names()
    assert after == []


async def test_a_database_without_a_schema_is_readable_as_not_ready(empty: str) -> None:
    store = await Store.open(empty)
    try:
        assert await store.pending_migrations() == names()
    finally:
        await store.close()


async def test_a_migrated_database_enforces_what_its_rows_promise(url: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute("INSERT INTO account (id, name) VALUES ('a', 'a')")
        for refused in (
            "INSERT INTO bot (id, account_id, meta) VALUES ('b', 'a', '[]')",
            "INSERT INTO conversation (id, account_id, on_busy) VALUES ('c', 'a', 'panic')",
            "INSERT INTO channel (account_id, name, open) VALUES ('a', 'c', false)",
            "INSERT INTO secret (id, account_id, type) VALUES ('s', 'a', 'magic')",
            "INSERT INTO secret (id, account_id, type, key) VALUES ('s', 'a', 'plain', '0123456789abcdef')",
            "INSERT INTO secret (id, account_id, type, value)"
            " VALUES ('s', 'a', 'plain', 'in clear, of thirty letters and more')",
            "INSERT INTO run (id, account_id, kind, lane, channel_id, workflow_id, fingerprint, keyed)"
            " VALUES ('r', 'a', 'turn', 'interactive', 1, 'w', '', false)",
        ):
            try:
                await connection.execute(refused)
            except asyncpg.IntegrityConstraintViolationError:
                continue
            raise AssertionError(refused)
    finally:
        await connection.close()
