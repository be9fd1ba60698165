"""The ledger: each time a task is due, under the task's row."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from domain.occurrences import between, following
from domain.plans import Plan
from domain.schedule import Schedule, parse
from domain.task import Task
from store.database import Connection
from store.queries import load

_SQL = load("occurrences")
_COLUMNS = tuple(Task.model_fields)
_INSTANT = timedelta(microseconds=1)


class Settled(NamedTuple):
    """What the one who settled a task's occurrences does next, outside the transaction."""

    runs: int = 0
    cancel: tuple[Plan, ...] = ()
    """Plans of runs that gave way to others."""
    left: bool = False
    """There is more to decide."""


async def hold_task(connection: Connection, task_id: str, account_id: str | None = None) -> Task | None:
    """Locks a task until the transaction ends, and before it its bot and contact, as their removal does.

    With an account, only if it is the account's.
    """
    await connection.execute(_SQL["hold_bot"], task_id)
    await connection.execute(_SQL["hold_contact"], task_id)
    row = await connection.fetchrow(_SQL["hold"], task_id, account_id)
    return None if row is None else Task(**{column: row[column] for column in _COLUMNS})


def meaning(task: Task, excluded: Sequence[str] = ()) -> Schedule:
    """When a task is due. What was allowed when it was made stays so, whatever the setting is now."""
    return parse(task.timing, task.id, shortest=0).model_copy(update={"excluded": frozenset(excluded)})


async def excluded(connection: Connection, task: Task) -> list[str]:
    """Keys of coming occurrences that were taken out by hand."""
    return [row["key"] for row in await connection.fetch(_SQL["excluded"], task.id)]


async def expect(connection: Connection, task: Task, until: datetime) -> None:
    """Writes every occurrence of a held task up to an instant into the ledger, and where it goes on."""
    if task.next_at is None or task.next_at > until:
        return
    schedule = meaning(task, await excluded(connection, task))
    found = [*between(schedule, task.next_at - _INSTANT, until)]
    await connection.execute(_SQL["expect"], task.id, [one.key for one in found], [one.at for one in found])
    coming = following(schedule, until, 1)
    await connection.execute(_SQL["go_on"], task.id, coming[0].at if coming else None)


async def settle(connection: Connection, task: Task, until: datetime) -> Settled:
    """Decides what became of each occurrence of a held task up to an instant."""
    await expect(connection, task, until)
    return Settled()
