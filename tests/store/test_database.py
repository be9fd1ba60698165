"""Connections: bounded, retried once, and plain about their troubles."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg
import pytest

from domain.errors import TooSlow, Unavailable
from store import Store
from store.database import SESSION, Connection, connect
from store.migrate import migrate
from store.trigger_events import READY
from tests.house import PATIENCE
from tests.store.conftest import Desk, key


async def test_every_connection_has_its_timeouts(desk: Desk) -> None:
    async with desk.store.database.connection() as pooled:
        single = await connect(desk.store.database.url)
        for name, value in SESSION.items():
            expected = f"{int(value) // 1000}s" if value.isdigit() else value
            assert await pooled.fetchval(f"SHOW {name}") == expected
            assert await single.fetchval(f"SHOW {name}") == expected
        await single.close()


async def test_a_crowd_of_events_finds_connections_that_are_ready(url: str) -> None:
    store = await Store.open(url)
    await store.trigger_events.warm()
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
    assert await store.database.fetchval(query) == READY
    assert store.database.used == 0
    await store.close()


async def test_what_is_not_there_yet_is_made_ready_once_it_is(empty: str) -> None:
    store = await Store.open(empty)
    warming = asyncio.create_task(store.trigger_events.warm())
    with pytest.raises(Unavailable):
        await store.database.warm(1, ["SELECT FROM run"])
    assert not warming.done()
    await migrate(empty)
    await asyncio.wait_for(warming, PATIENCE)
    await store.close()


@pytest.mark.slow
async def test_a_statement_that_takes_too_long_is_no_outage(desk: Desk) -> None:
    with pytest.raises(TooSlow):
        await desk.store.database.fetchval("SELECT pg_sleep(7)")


@pytest.mark.slow
async def test_a_process_that_stops_inside_a_transaction_does_not_hold_its_conversation(desk: Desk) -> None:
    conversation = await desk.conversation()
    stopped = await connect(desk.store.database.url)
    await stopped.execute("BEGIN")
    await stopped.execute("SELECT FROM conversation WHERE id = $1 FOR UPDATE", conversation)

    accepted = await desk.accept(conversation)

    assert accepted.run.admitted_at is not None
    with pytest.raises((asyncpg.PostgresError, asyncpg.InterfaceError)):
        await stopped.execute("SELECT 1")
    stopped.terminate()


async def test_a_transaction_that_was_cut_before_its_commit_is_done_once_more(desk: Desk) -> None:
    tries: list[int] = []

    async def work(connection: Connection) -> None:
        tries.append(await connection.fetchval("SELECT pg_backend_pid()"))
        await connection.execute("INSERT INTO account (id, name) VALUES ('a', 'a')")
        if len(tries) == 1:
            await desk.store.database.execute("SELECT pg_terminate_backend($1)", tries[0])
            await connection.execute("SELECT 1")

    await desk.store.database.transact(work)

    assert len(tries) == 2
    assert len(await desk.rows("SELECT FROM account WHERE id = 'a'")) == 1


async def test_a_database_that_is_not_there_is_unavailable(tmp_path: Path) -> None:
    store = await Store.open("postgresql://nobody@127.0.0.1:1/nothing")

    with pytest.raises(Unavailable) as told:
        await store.pending_migrations()
    await store.close()

    assert told.value.retry_after == 1


async def test_json_comes_back_as_it_was_stored(desk: Desk) -> None:
    meta = {"a": [1, 2.5, True, None, "é"], "big": 2**63 - 1}

    bot = await desk.store.bots.create(desk.caller, key(), {"meta": meta})

    assert (await desk.store.bots.fetch(desk.account, bot)).meta == meta


async def test_many_transactions_share_few_connections(desk: Desk) -> None:
    made = await asyncio.gather(*(desk.conversation() for _ in range(100)))

    assert len({*made}) == 100
    (row,) = await desk.rows(
        "SELECT count(*) AS open FROM pg_stat_activity WHERE datname = current_database()"
        " AND application_name = 'holdfast'"
    )
    assert row["open"] <= 16
