"""What a turn leaves behind, in Temporal and in Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import asyncpg
from temporalio.client import WorkflowHandle

from bench.bench import Bench
from bench.callers import said
from bench.figures import figure
from bench.report import Row

LOOKS = 8
"""Histories whose sizes are taken."""
PLACES = 8
SETTLE = 1.0
TEXT = said()

TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public'
"""


async def measure(bench: Bench) -> None:
    await _history(bench)
    await _postgres(bench)


async def _history(bench: Bench) -> None:
    place = await bench.ours.conversation()
    runs = [await bench.ours.run(await bench.ours.run_id(place, TEXT)) for _ in range(LOOKS)]
    ours = [bench.client.get_workflow_handle(run["workflowId"]) for run in runs]
    floor = [await bench.floor.start(TEXT) for _ in range(LOOKS)]
    name, most = "Temporal's history of a turn, bytes", 16 * 1024
    row = Row(name, figure(await _bytes(ours)), floor=figure(await _bytes(floor)), most=most)
    bench.report.rows.append(row)


async def _bytes(handles: Sequence[WorkflowHandle]) -> list[float]:  # type: ignore[type-arg]
    sizes: list[float] = []
    for handle in handles:
        await handle.result()
        sizes.append(sum(event.ByteSize() for event in (await handle.fetch_history()).events))
    return sizes


async def _postgres(bench: Bench) -> None:
    """After a turn in each place: a table's first pages come with its first rows."""
    connection = await asyncpg.connect(bench.house.database_url)
    try:
        places = [await bench.ours.conversation() for _ in range(PLACES)]
        await asyncio.gather(*(_turns(bench, place, 1) for place in places))
        batches = [await _batch(bench, connection, places) for _ in range(bench.amount.repeats)]
    finally:
        await connection.close()
    names = ("database with indexes", "live rows", "write-ahead log")
    for name, found in zip(names, zip(*batches, strict=True), strict=True):
        bench.report.rows.append(Row(f"Postgres, {name}, bytes a turn", figure(found)))


async def _batch(
    bench: Bench, connection: asyncpg.Connection[asyncpg.Record], places: Sequence[str]
) -> list[float]:
    """Bytes a turn, of a batch of turns between two looks at the same database."""
    before, each = await _sizes(connection), bench.amount.turns // PLACES
    await asyncio.gather(*(_turns(bench, place, each) for place in places))
    await asyncio.sleep(SETTLE)
    after = await _sizes(connection)
    return [(new - old) / (each * PLACES) for old, new in zip(before, after, strict=True)]


async def _turns(bench: Bench, place: str, count: int) -> None:
    for _ in range(count):
        await bench.ours.whole(place, TEXT)


async def _sizes(connection: asyncpg.Connection[asyncpg.Record]) -> tuple[int, int, int]:
    """Bytes of the database's files, of its live rows, and of all log written so far."""
    written = await connection.fetchval("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
    await connection.execute("CHECKPOINT")
    size = await connection.fetchval("SELECT pg_database_size(current_database())")
    live = 0
    for (name,) in await connection.fetch(TABLES):
        live += int(await connection.fetchval(f"SELECT coalesce(sum(pg_column_size(t.*)), 0) FROM {name} t"))  # noqa: S608 - names from the catalogue
    return int(size), live, int(written)
