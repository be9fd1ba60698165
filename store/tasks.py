"""Tasks: saved agent jobs, made, read, changed, stopped and removed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.destination import OwnTargets
from domain.errors import NotFound
from domain.meta import check
from domain.occurrences import upcoming
from domain.paging import PAGE_BYTES, Page
from domain.run import Ending, canceled
from domain.schedule import Once, Schedule, Timing, check_jitter, parse
from domain.task import Standing, Task, kept
from store.accept import check_owned
from store.admission import Admission
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.held import Held
from store.occurrences import Settled, excluded, meaning, settle, to_the_end
from store.queries import load, ordered
from store.targets import Owner, Targets
from store.task_runs import TaskRuns, end_runs, hold_own, hold_task
from store.turns import Stopped, plan_of

_SQL = load("tasks")
_COLUMNS = tuple({*Standing.model_fields} - {"delivery"})
_TIMING = tuple(Timing.model_fields)
_WRITTEN = (
    *("name", "description", "meta", "bot_id", "contact_id"),
    *_TIMING,
    *("overlap", "catchup", "jitter", "pause_on_failure", "session_duration"),
    *("max_iterations", "max_time", "max_calls", "expires_at"),
)
_USUAL: dict[str, Any] = {"overlap": "skip", "jitter": 0, "pause_on_failure": False}
"""What null stands for, where it is not nothing."""
_WHEN = (*_TIMING, "expires_at")
"""What says which occurrences there are."""
_DECIDING = (*_WHEN, "overlap", "catchup")
"""And what becomes of them."""
_TOLD = ("catchup", "jitter", "bot_id")
"""What Temporal has to know of a schedule besides when it is due."""

BATCH = 100
"""Runs that one transaction ends."""
PIECE = 2_000
"""Rows of a kind that one transaction takes of what hangs on a task."""


class TaskFilter(Frozen):
    """What a list of tasks is narrowed to; None narrows nothing."""

    bot_ids: Sequence[str] | None = None
    contact_ids: Sequence[str] | None = None
    statuses: Sequence[str] | None = None


class Ended(NamedTuple):
    """What one transaction of several did."""

    stopped: list[Stopped]
    more: bool
    """There is more to do."""


class Tasks:
    def __init__(self, database: Database, admission: Admission, runs: TaskRuns, targets: Targets) -> None:
        self._database = database
        self._admission = admission
        self._runs = runs
        self._targets = targets

    async def create(self, caller: Caller, key: Key, given: dict[str, Any], shortest: int) -> str:
        """Two runs of its schedule are `shortest` ms apart at least. Raises BadRequest, NotFound,
        NotServed."""

        async def work(connection: Connection, task_id: str) -> None:
            await check_owned(connection, caller.account_id, given)
            await make(connection, caller.account_id, task_id, given, shortest)
            about = {"botId": given.get("bot_id"), "contactId": given.get("contact_id")}
            await note(connection, caller, "task.create", taskId=task_id, **about)
            await self._targets.set(connection, caller, Owner("task", task_id), given.get("delivery"))

        return await once(self._database, caller.account_id, key, ids.task(), work)

    async def fetch(self, account_id: str, task_id: str) -> Standing:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, task_id)
        if row is None:
            raise NotFound
        targets = await self._targets.of_owners(account_id, "task", [task_id], secrets=True)
        return _standing(row, targets)

    async def list(
        self, account_id: str, page: Page, meta: dict[str, Any], narrow: TaskFilter
    ) -> Sequence[Standing]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        of = (narrow.bot_ids, narrow.contact_ids, narrow.statuses)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, *of, PAGE_BYTES)
        targets = await self._targets.of_owners(account_id, "task", [row["id"] for row in rows])
        return [_standing(row, targets) for row in rows]

    async def update(self, caller: Caller, task_id: str, given: dict[str, Any], shortest: int) -> Settled:
        """Changes the given columns only; null clears one or puts its default back, meta is merged.

        What was due before is decided under the words of before: that is returned.
        Raises BadRequest, NotFound, NotServed.
        """

        async def work(connection: Connection) -> Settled:
            await check_owned(connection, caller.account_id, given)
            task = await hold_own(connection, caller, task_id)
            settled = await alter(connection, self._runs, task, given, shortest)
            if not settled.left:
                await note(connection, caller, "task.update", taskId=task_id)
                await self._targets.set(connection, caller, Owner("task", task_id), given.get("delivery"))
            return settled

        return await to_the_end(self._database, work)

    async def cancel(self, caller: Caller, task_id: str) -> Sequence[Stopped]:
        """Ends its unfinished runs, those that wait too; where there is none, nothing. Raises NotFound."""
        stopped: list[Stopped] = []

        async def work(connection: Connection) -> Ended:
            await hold_own(connection, caller, task_id)
            ended = await self._end(connection, task_id, canceled(caller))
            if not ended.more and (stopped or ended.stopped):
                await note(connection, caller, "task.cancel", taskId=task_id)
            return ended

        return await repeat(self._database, work, stopped)

    async def delete(self, caller: Caller, task_id: str, *, when_due: bool = False) -> Sequence[Stopped]:
        """Ends its unfinished runs and removes it with its history; its conversations stay, without it.

        `when_due`: only if its time is up. Raises NotFound.
        """
        how = Ending(state="canceled", reason="deleted", by=caller)

        async def work(connection: Connection) -> Ended:
            await hold_own(connection, caller, task_id)
            due = await claim(connection, task_id)
            if when_due and not due:
                return Ended([], more=False)
            ended = await self._end(connection, task_id, how)
            if ended.more or not await remove(connection, task_id):
                return Ended(ended.stopped, more=True)
            await note(connection, caller, "task.delete", taskId=task_id)
            return ended

        return await repeat(self._database, work, [])

    async def _end(self, connection: Connection, task_id: str, how: Ending) -> Ended:
        """Ends a batch of the unfinished runs of a held task."""
        return await after(connection, self._admission, await end_runs(connection, task_id, how, most=BATCH))


async def make(
    connection: Connection, account_id: str, task_id: str, given: Mapping[str, Any], shortest: int
) -> None:
    """Makes a task; `trigger_id` may be among what is given. Raises BadRequest."""
    filled = _USUAL | _filled(given) | {"meta": given.get("meta") or {}}
    schedule = _said(filled, task_id, shortest)
    now = await connection.fetchval(_SQL["now"])
    values = [filled.get(column) for column in _WRITTEN]
    due = (upcoming(schedule, now), schedule.rule is not None, filled.get("trigger_id"))
    await connection.execute(_SQL["create"], task_id, account_id, *values, *due)


async def alter(
    connection: Connection, runs: TaskRuns, task: Task, given: Mapping[str, Any], shortest: int
) -> Settled:
    """Changes the given columns of a held task, once what was due before is decided: where something is left
    of that, nothing is changed yet. Raises BadRequest."""
    filled, settled = _filled(given), Settled()
    now = await connection.fetchval(_SQL["now"])
    _meant(task, filled, shortest)
    if _differ(task, filled, _DECIDING):
        settled = await settle(connection, runs, task, now)
        # A date that is over is no schedule any more.
        task = await hold_task(connection, task.id) or task
    if not settled.left:
        await _change(connection, task, filled, _meant(task, filled, shortest), now)
    return settled


async def claim(connection: Connection, task_id: str) -> bool:
    """Locks a held task so that nobody names it any more. Whether its time is up."""
    due: bool = await connection.fetchval(_SQL["lock"], task_id)
    return due


async def remove(connection: Connection, task_id: str) -> bool:
    """Removes a claimed task, or, where much hangs on it, a piece of that; whether it is gone."""
    if await _lightened(connection, task_id):
        return False
    await connection.execute(_SQL["delete"], task_id)
    return True


async def after(connection: Connection, admission: Admission, ended: Sequence[Held]) -> Ended:
    """What follows when a batch of runs was ended: who waits in their conversations is admitted."""
    free = sorted({held.conversation_id for held in ended if held.conversation_id is not None})
    heads = {place: await admission.admit_next(connection, place) for place in free}
    stopped = [Stopped(plan_of(held), heads.pop(held.conversation_id or "", None)) for held in ended]
    return Ended(stopped, more=len(ended) == BATCH)


async def repeat(
    database: Database, work: Callable[[Connection], Awaitable[Ended]], stopped: list[Stopped]
) -> Sequence[Stopped]:
    """Does what takes several transactions; adds to what they have stopped."""
    while True:
        ended = await database.transact(work)
        stopped += ended.stopped
        if not ended.more:
            return stopped


async def _lightened(connection: Connection, task_id: str) -> bool:
    """Takes a piece of what hangs on a task, where that is too much to go with it at once."""
    gone = 0
    for name in ("forget_occurrences", "forget_executions", "forget_deliveries", "leave_conversations"):
        gone += await connection.fetchval(_SQL[name], task_id, PIECE)
    return gone > 0


async def _change(
    connection: Connection, task: Task, filled: dict[str, Any], meant: Schedule | None, now: datetime
) -> None:
    """Changes a held task; `meant` is when it is due from now on, where that is another time than before."""
    coming, told = None, meaning(task).rule is not None and _differ(task, filled, _TOLD)
    if meant is not None:
        away = frozenset(await excluded(connection, task))
        coming = upcoming(meant.model_copy(update={"excluded": away}), now)
        told = meant.rule is not None or meaning(task).rule is not None
    values = [filled.get(column) for column in _WRITTEN]
    due = (meant is not None, coming, told)
    check(await connection.fetchval(_SQL["update"], task.id, list(filled), *values, *due))


def _meant(task: Task, filled: Mapping[str, Any], shortest: int) -> Schedule | None:
    """When a task is due once it is changed; None: as before. Raises BadRequest."""
    if not _differ(task, filled, (*_WHEN, "jitter")):
        return None
    # What was allowed when it was said stays so.
    shortest = shortest if _differ(task, filled, _TIMING) else 0
    meant = _said(task.model_dump() | dict(filled), task.id, shortest)
    return meant if _differ(task, filled, _WHEN) else None


def _said(columns: Mapping[str, Any], task_id: str, shortest: int) -> Schedule:
    """What the columns of a task mean. Raises BadRequest."""
    schedule = parse(_timing(columns), task_id, shortest)
    check_jitter(schedule, columns["jitter"])
    return kept(schedule, columns.get("expires_at"))


def _filled(given: Mapping[str, Any]) -> dict[str, Any]:
    """The given columns, with defaults for null."""
    return {column: _USUAL.get(column) if value is None else value for column, value in given.items()}


def _differ(task: Task, filled: Mapping[str, Any], columns: Sequence[str]) -> bool:
    return any(column in filled and filled[column] != getattr(task, column) for column in columns)


def _timing(columns: Mapping[str, Any]) -> Timing:
    return Timing(**{name: columns.get(name) for name in _TIMING})


def _standing(row: asyncpg.Record, targets: Mapping[str, OwnTargets]) -> Standing:
    columns = {column: row[column] for column in _COLUMNS}
    standing = Standing(**columns, delivery=targets.get(row["id"]))
    # Of several that are due at one instant, some may be taken out: but a date is due once.
    if row["taken_out"] and isinstance(standing.due.rule, Once):
        return standing.model_copy(update={"next_run_at": None})
    return standing
