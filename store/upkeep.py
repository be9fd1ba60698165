"""Retention: the token log's days, words of stateless calls, events, keys, sessions, what is past, audit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from functools import partial

import asyncpg

from domain.delivery import TargetKind
from domain.errors import Unavailable
from store.database import Connection, Database
from store.queries import load

_SQL = load("upkeep")
AHEAD = 3
"""Days of the token log made beforehand."""
BATCH = 500
"""Rows that one statement of upkeep.sql takes."""
ROUNDS = 100
KEPT = 2
"""Full days of the token log kept: a row lives 48 to 72 hours."""
_TARGET_DAYS: dict[TargetKind, int] = {"webhook": 401, "email": 1}
"""How long a call's target is kept that nobody names. A webhook for its secret, which its receiver knows: 400
days, and one since it is written once a day that it was named. An e-mail has none."""
_OLD = (
    *("expire_events", "expire_published", "expire_keys"),
    *("expire_sessions", "expire_executions", "expire_occurrences", "expire_trigger_sessions"),
)


class Upkeep:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def tidy(self, audit_days: int, delivery_days: int = 30, event_days: int = 30) -> None:
        """One round of everything; repeating it is harmless.

        What fails keeps nothing else from being done; the first failure is raised at the end.
        """
        parts: list[Callable[[], Awaitable[None]]] = [
            self.make_days,
            self.drop_days,
            partial(self._all, "scrub", None),
            *(partial(self._all, name) for name in _OLD),
            partial(self._all, "expire_deliveries", delivery_days),
            self.forget_targets,
            partial(self._all, "forget_events", event_days),
            partial(self._all, "expire_trigger_events", event_days),
            partial(self._all, "expire_audit", audit_days),
        ]
        failed: list[Exception] = []
        for part in parts:
            try:
                await part()
            except (Unavailable, asyncpg.PostgresError) as trouble:
                failed.append(trouble)
        if failed:
            raise failed[0]

    async def _all(self, name: str, *arguments: str | int | None) -> None:
        """Repeats a statement that takes a batch until it finds less than one, or for so many rounds."""
        for _ in range(ROUNDS):
            if await self._database.fetchval(_SQL[name], *arguments) < BATCH:
                return

    async def forget_targets(self) -> None:
        """Removes targets of calls that nothing needs any more: with a URL of its own each leaves one."""
        for kind, days in _TARGET_DAYS.items():
            for _ in range(ROUNDS):
                if await self._database.transact(partial(_forget, kind, days)) < BATCH:
                    break

    async def scrub(self, run_id: str | None = None) -> None:
        """Removes the words of one stateless completion that was answered, or of a batch that is due."""
        await self._database.fetchval(_SQL["scrub"], run_id)

    async def make_days(self) -> None:
        """Makes the partitions of today and the next days; tokens cannot be logged without."""
        today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        wanted = [today + timedelta(days=offset) for offset in range(AHEAD + 1)]

        async def work(connection: Connection) -> None:
            await connection.execute(_SQL["lock_days"])
            there = {row["name"] for row in await connection.fetch(_SQL["days"])}
            for day in wanted:
                if _name(day) not in there:
                    await _make_day(connection, day)

        await self._database.transact(work)

    async def drop_days(self) -> None:
        """Drops whole days, detached first without blocking those who write; finishes what broke off."""
        oldest = _name(datetime.now(UTC) - timedelta(days=KEPT))
        for day in await self._database.fetch(_SQL["days"]):
            name = day["name"]
            if name >= oldest:
                continue
            if day["attached"]:
                how = "FINALIZE" if day["leaving"] else "CONCURRENTLY"
                await self._database.execute(f"ALTER TABLE token DETACH PARTITION {name} {how}")
            await self._database.execute(f"DROP TABLE {name}")


async def _make_day(connection: Connection, day: datetime) -> None:
    # Made beside the log and then attached: `PARTITION OF` would lock out everybody who writes.
    name, end = _name(day), day + timedelta(days=1)
    await connection.execute(f"CREATE TABLE {name} (LIKE token INCLUDING ALL)")
    span = f"FROM ('{day.isoformat()}') TO ('{end.isoformat()}')"
    await connection.execute(f"ALTER TABLE token ATTACH PARTITION {name} FOR VALUES {span}")


def _name(day: datetime) -> str:
    return f"token_{day:%Y%m%d}"


async def _forget(kind: TargetKind, days: int, connection: Connection) -> int:
    held = [row["id"] for row in await connection.fetch(_SQL["old_targets"], kind, days, BATCH)]
    # A statement of its own: it sees who has named them until they were held.
    await connection.execute(_SQL["forget_targets"], held)
    return len(held)
