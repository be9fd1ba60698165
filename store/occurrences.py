"""The ledger: what becomes of each time a task is due, decided once, under the task's row."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple
from weakref import WeakValueDictionary

import asyncpg

from domain import ids
from domain.account import server
from domain.errors import LimitsReached
from domain.occurrences import INSTANT, Occurrence, between, periods, upcoming
from domain.plans import Place, Plan
from domain.schedule import Once, Schedule
from domain.task import Became, Counted, Task, patience
from store.audit import note
from store.database import Connection, Database
from store.queries import load
from store.task_runs import TaskRuns, hold_task

_SQL = load("occurrences")

OVERDUE = timedelta(seconds=30)
"""After which an occurrence that nobody fired is healed; its jitter comes on top."""
BATCH = 100
"""Occurrences of a task that are decided in one transaction."""
PIECE = 2_000
"""Rows of the ledger that are written by one statement: more than can be due at one instant."""


_Told = Literal["skipped", "missed", "healed"]


class Settled(NamedTuple):
    """What the one who settled a task's occurrences does next, outside the transaction."""

    became: Mapping[Counted, int] = MappingProxyType({})
    """What became of how many."""
    cancel: tuple[Plan, ...] = ()
    """Plans of runs that gave way to others."""
    left: bool = False
    """There is more to decide."""

    def after(self, earlier: Settled) -> Settled:
        """Both together."""
        return Settled(
            Counter(earlier.became) + Counter(self.became), earlier.cancel + self.cancel, self.left
        )


class Firing(NamedTuple):
    """The time that Temporal fired for, and the workflow that it started."""

    at: datetime
    workflow_id: str


class _How(NamedTuple):
    """How the run of an occurrence comes to be."""

    workflow_id: str | None
    """Of the plan that is there already, because the schedule fired."""
    healed: bool


class Ledger:
    def __init__(self, database: Database, runs: TaskRuns) -> None:
        self._database = database
        self._runs = runs
        self._places: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def fire(self, task_id: str, at: datetime, workflow_id: str) -> tuple[Place, Settled]:
        """What a firing stands for: decides what was due up to its time, and says which run is its own.

        Repeating it is harmless. A run that waits its turn is not admitted yet.
        """
        settled = Settled()
        # Hundreds may come at once: those of one task wait here for each other, not each with a connection
        # for its row, and what another has decided by then needs no lock.
        place = self._places.setdefault(task_id, asyncio.Lock())
        async with place:
            if await self._database.fetchval(_SQL["undecided"], task_id, at):
                settled = await self._settle(task_id, Firing(at, workflow_id))
        row = await self._database.fetchrow(_SQL["place"], task_id, at, workflow_id)
        return Place() if row is None else Place(**row), settled

    async def heal(self, task_id: str) -> Settled:
        """Decides what nobody has fired `OVERDUE` after its time, and says that it was healed.

        The runs it makes are started as all that was accepted is.
        """
        return await self._settle(task_id, _overdue)

    async def catch_up(self, task_id: str) -> Settled:
        """Decides what was due by now and nobody could fire, because its schedule is new."""
        return await self._settle(task_id, lambda _: timedelta())

    async def ended(self, task_id: str) -> None:
        """A run of the task has ended: one that is to pause on failure does."""

        async def work(connection: Connection) -> None:
            task = await hold_task(connection, task_id)
            if task is not None:
                await _pause_on_failure(connection, task)

        await self._database.transact(work)

    async def _settle(self, task_id: str, by: Firing | Callable[[Task], timedelta]) -> Settled:
        """By a firing, or without one: what was due so long ago; a piece at a time, until nothing is left."""

        async def work(connection: Connection) -> Settled:
            task = await hold_task(connection, task_id)
            if task is None:
                return Settled()
            if isinstance(by, Firing):
                return await settle(connection, self._runs, task, by.at, by)
            now: datetime = await connection.fetchval(_SQL["now"])
            return await settle(connection, self._runs, task, now - by(task))

        return await to_the_end(self._database, work)


async def to_the_end(database: Database, work: Callable[[Connection], Awaitable[Settled]]) -> Settled:
    """Does what settles a task, a transaction at a time, until nothing is left to decide."""
    settled = Settled(left=True)
    while settled.left:
        settled = (await database.transact(work)).after(settled)
    return settled


def meaning(task: Task, excluded: Sequence[str] = ()) -> Schedule:
    """When a task is due, but for what was taken out."""
    return task.due.model_copy(update={"excluded": frozenset(excluded)})


async def expect(connection: Connection, task: Task, until: datetime) -> None:
    """Writes every occurrence of a held task up to an instant into the ledger, and where it goes on."""
    if task.next_at is None or task.next_at > until:
        return
    schedule = meaning(task, await excluded(connection, task))
    start = task.next_at - INSTANT
    while True:
        found = [*between(schedule, start, until, PIECE)]
        await connection.execute(
            _SQL["expect"], task.id, [one.key for one in found], [one.at for one in found]
        )
        if len(found) < PIECE:
            break
        # Several may be due at the instant of the last: they are found again, and written once.
        start = found[-1].at - INSTANT
    coming = upcoming(schedule, until)
    over = coming is None and isinstance(schedule.rule, Once)
    await connection.execute(_SQL["go_on"], task.id, coming, over)


async def excluded(connection: Connection, task: Task) -> list[str]:
    """Keys of coming occurrences that were taken out by hand."""
    return [row["key"] for row in await connection.fetch(_SQL["excluded"], task.id)]


async def settle(
    connection: Connection, runs: TaskRuns, task: Task, until: datetime, firing: Firing | None = None
) -> Settled:
    """Decides what became of each occurrence of a held task up to an instant, in the order of their times.

    Without a firing, what is found `OVERDUE` after its time was missed by Temporal: it is healed. Several may
    be due at one instant, at the end of a gap of the clocks; the firing is the first one's.
    """
    task = await _pause_on_failure(connection, task)
    await expect(connection, task, until)
    became = await _pass_over(connection, task, until)
    due = await connection.fetch(_SQL["due"], task.id, until, BATCH, _overdue(task))
    gave_way: list[Plan] = []
    # Another piece of what was due at this instant may have the firing's plan.
    free = firing if firing and not await connection.fetchval(_SQL["has_run"], task.id, *firing) else None
    for row in due:
        own = free if free is not None and row["at"] == free.at else None
        how = _How(own and own.workflow_id, firing is None and row["overdue"])
        canceled = await _decide(connection, runs, task, row, how)
        if own is not None and canceled is not None:
            free = None
        became["skipped" if canceled is None else "healed" if how.healed else "ran"] += 1
        gave_way += canceled or ()
    return Settled(became, tuple(gave_way), len(due) == BATCH)


def _overdue(task: Task) -> timedelta:
    return OVERDUE + timedelta(milliseconds=task.jitter)


async def _pass_over(connection: Connection, task: Task, until: datetime) -> Counter[Counted]:
    """What was due while the task was paused, or is too late by now; how many."""
    if task.paused_at is not None:
        return Counter({"paused": await connection.fetchval(_SQL["pass_over"], task.id, until)})
    most = patience(task, None) + timedelta(milliseconds=task.jitter)
    sooner = await _too_late(connection, task, until)
    missed = await connection.fetchval(_SQL["pass_over_late"], task.id, until, most, sooner)
    if missed:
        await _tell(connection, task, "missed", missed)
    return Counter({"missed": missed})


async def _too_late(connection: Connection, task: Task, until: datetime) -> list[datetime]:
    """What is too late by now although another might be as late: each waits as long as its own period."""
    if task.catchup is not None:
        return []
    jitter = timedelta(milliseconds=task.jitter)
    least, most = (patience(task, period) + jitter for period in (timedelta(), None))
    rows = await connection.fetch(_SQL["late"], task.id, until, least, most)
    late = {row["at"]: row["late"] - jitter for row in rows}
    own = periods(task.due, [*late])
    return [at for (at, by), period in zip(late.items(), own, strict=True) if by > patience(task, period)]


async def _decide(
    connection: Connection, runs: TaskRuns, task: Task, row: asyncpg.Record, how: _How
) -> Sequence[Plan] | None:
    """Makes an occurrence's run, unless another one or a limit is in its way; returns the plans that gave
    way, None where there is no run."""
    caller = server(task.account_id)
    occurrence = Occurrence(key=row["key"], at=row["at"])
    try:
        # What was written and ended for it is undone where a limit refuses it.
        async with connection.transaction():
            canceled = await runs.meet(connection, task, caller)
            if canceled is not None:
                run = await runs.make(connection, task, caller, occurrence, how.workflow_id)
    except LimitsReached:
        await _become(connection, task, row, "skipped", reason="limit")
        return None
    if canceled is None:
        await _become(connection, task, row, "skipped", reason="overlap")
        return None
    await connection.execute(_SQL["ran"], task.id, row["key"], run.id, how.healed)
    if how.healed:
        await _tell(connection, task, "healed", 1)
    return canceled


async def _become(
    connection: Connection, task: Task, row: asyncpg.Record, became: Became, reason: str
) -> None:
    await connection.execute(_SQL["become"], task.id, row["key"], became, reason)
    await _tell(connection, task, "skipped", 1)


async def _pause_on_failure(connection: Connection, task: Task) -> Task:
    if not task.pause_on_failure or task.paused_at is not None:
        return task
    paused_at = await connection.fetchval(_SQL["pause_on_failure"], task.id)
    if paused_at is None:
        return task
    await note(connection, server(task.account_id), "task.pause", taskId=task.id)
    return task.model_copy(update={"paused_at": paused_at})


async def _tell(connection: Connection, task: Task, act: _Told, count: int) -> None:
    """An event of the audit log: how many occurrences it is of. Of a hidden task it names the trigger."""
    noun, id_ = ("task", task.id) if task.trigger_id is None else ("trigger", task.trigger_id)
    about = {f"{noun}Id": id_}
    await connection.execute(_SQL["tell"], ids.entry(), task.account_id, f"{noun}.{act}", about, count)
