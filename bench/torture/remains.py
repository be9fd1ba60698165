"""What is left of words that must be gone, and of what must not grow: the end state of the machine itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.torture.history import History
from bench.torture.ship import APIS, WORKERS, Ship
from bench.torture.words import CANARY

_OP = re.compile(r"op\.\w+\.\d+")
_TABLES = """
SELECT relname FROM pg_class WHERE relkind IN ('r', 'p') AND NOT relispartition
  AND relnamespace = 'public'::regnamespace
"""
_LATER = "UPDATE run SET scrub_at = now() - interval '1 second' WHERE scrub_at IS NOT NULL"
_SCRUBBED_LATER = "SELECT id FROM run WHERE scrub_at IS NOT NULL LIMIT 1"
_OVERDUE = "SELECT id FROM conversation WHERE expires_at < now()"
GROWTH, SLACK = 2.0, 64 * 2**20
"""A process may have this much more memory than when it was fresh."""
CONNECTIONS = 20
"""Of one process to Postgres: two pools and its listeners."""
FILES = 96
RETENTION_SECONDS = 20
EXPIRY_SECONDS = 45
"""More than the heartbeat of upkeep: what a dead worker was about is taken up only then."""


async def expired(ship: Ship) -> None:
    """Conversations whose time is up are gone: from now on nothing moves by itself."""
    if await ship.rows(_OVERDUE):
        await _tidied(ship, _OVERDUE, EXPIRY_SECONDS)


async def _tidied(ship: Ship, due: str, seconds: int) -> None:
    """Returns when nothing is due any more, or after a while: a round under way may be a dead worker's."""
    for tick in range(seconds * 10):
        if tick % 20 == 0:
            await ship.tidy()
        if not (await ship.rows(due)):
            return
        await asyncio.sleep(0.1)


async def forgotten(ship: Ship) -> None:
    """Five minutes later: what stateless completions left is due, and retention has come by."""
    await ship.tell_postgres(_LATER)
    await _tidied(ship, _SCRUBBED_LATER, RETENTION_SECONDS)


async def of_words(ship: Ship, history: History) -> list[str]:
    """I14: conversations whose time is up; words of these, of deleted ones and of stateless completions."""
    removed = history.deleted | history.expiring
    gone = {op.id for op in history.ops if op.kind == "stateless" or op.conversation in removed}
    found = [f"the time of {row['id']} is up, and it is there" for row in await ship.rows(_OVERDUE)]
    for (table,) in await ship.rows(_TABLES):
        query = f"SELECT t::text FROM {table} t WHERE t::text ~ 'op[.]'"  # noqa: S608 the catalogue's names
        there = {op for (row,) in await ship.read(query) for op in _OP.findall(row)}
        found += [f"words of {op} are still in the table {table}" for op in sorted(there & gone)]
    return found


async def outside(ship: Ship) -> list[str]:
    """Words of anybody that are anywhere but in Postgres."""
    return await asyncio.to_thread(lambda: list(_outside(ship.home)))


def _outside(home: Path) -> Iterator[str]:
    word = CANARY.encode()
    for file in [*sorted(home.glob("temporal.db*")), *sorted((home / "log").glob("*.log"))]:
        if word in file.read_bytes():
            yield f"words of users are in {file.relative_to(home)}"
    violations = home / "violations"
    if violations.exists():
        yield f"words were about to enter Temporal: {violations.read_text()[:300]}"


Sizes = dict[str, tuple[int, int]]


def sizes(ship: Ship) -> Sizes:
    """Resident bytes and open files of our processes."""
    found = {}
    for name in (*WORKERS, *APIS):
        process = psutil.Process(ship.pid(name))
        found[name] = process.memory_info().rss, process.num_fds()
    return found


async def of_growth(ship: Ship, before: Sizes) -> list[str]:
    """I15: memory, files and connections as when all was fresh, within bounds."""
    found = []
    for name, (memory, files) in sizes(ship).items():
        was, _ = before[name]
        if memory > was * GROWTH + SLACK:
            found.append(f"{name} has grown from {was >> 20} to {memory >> 20} MiB")
        if files > FILES:
            found.append(f"{name} has {files} files open")
    (row,) = await ship.rows("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'holdfast'")
    if row[0] > CONNECTIONS * (len(WORKERS) + len(APIS) + 1):
        found.append(f"{row[0]} connections to Postgres are open")
    return found
