"""The occurrences of a task as people see them, and what they do to them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from domain.account import Caller
from domain.audit import Act
from domain.errors import Conflict, NotFound
from domain.ledger import LedgerEntry, When, merged, unwritten, window
from domain.occurrences import INSTANT, Occurrence, between, find, upcoming
from domain.paging import Page
from domain.task import LATE, Became, Task
from store.audit import note
from store.database import Connection, Database
from store.occurrences import Settled, meaning, settle, to_the_end
from store.queries import load, ordered
from store.task_runs import TaskRuns, hold_own

_SQL = load("calendar")
_COLUMNS = tuple(Task.model_fields)

EXCLUDED = 1_000
"""Occurrences to come that may be taken out of a task."""
_FULL = f"{EXCLUDED:,} occurrences to come are taken out, and no more may be; pause the task, or end it."
_SEVERAL = "at: several occurrences are due then; name one of them with occurrenceId."
_NONE = "The task has no such occurrence; occurrence/list tells which come next."
_PAST = "The occurrence's time has come; only one to come is taken out, or put back."

_ACTS: dict[str, Act] = {"pause": "task.pause", "resume": "task.resume"}

Named = str | datetime
"""An occurrence by its key, or by its instant where only one is due."""


class _Found(NamedTuple):
    occurrence: Occurrence
    state: Became | None
    """None: it is not in the ledger."""


class Calendar:
    def __init__(self, database: Database, runs: TaskRuns) -> None:
        self._database = database
        self._runs = runs

    async def list(
        self, account_id: str, task_id: str, page: Page, when: When | None = None
    ) -> Sequence[LedgerEntry]:
        """One page, by time: what is written, what is due and undecided, and what comes next.

        Raises NotFound for a foreign task, BadRequest for a cursor that is no occurrence's key.
        """
        now = await self._database.fetchval(_SQL["now"])
        shown = window(page, when, now)
        # The task first: what is written in between is then in both, and not in neither.
        row = await self._database.fetchrow(_SQL["task"], account_id, task_id)
        if row is None:
            raise NotFound
        task = Task(**{column: row[column] for column in _COLUMNS})
        late = LATE + timedelta(milliseconds=task.jitter)
        bounds = (*shown.after, shown.since, shown.until)
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, task_id, *bounds, page.take, late)
        written = [LedgerEntry(**row) for row in rows]
        return merged(written, unwritten(task, meaning(task), shown, now), shown, page.take)

    async def skip(self, caller: Caller, task_id: str, named: Named) -> None:
        """Takes an occurrence out that is to come; one that was taken out stays out.

        Raises NotFound for one that the task has not, Conflict for one whose time has come.
        """

        async def work(connection: Connection) -> None:
            task = await hold_own(connection, caller, task_id)
            found = await _find(connection, task, named)
            if found.state == "excluded":
                return
            now = await _check_coming(connection, found)
            if len(await connection.fetch(_SQL["written"], task_id, now)) >= EXCLUDED:
                raise Conflict(_FULL)
            key, at = found.occurrence.key, found.occurrence.at
            await connection.execute(_SQL["exclude"], task_id, key, at)
            if task.next_at is not None:
                await _move(connection, task, task.next_at)
            await note(connection, caller, "task.skip", taskId=task_id, occurrenceId=key)

        await self._database.transact(work)

    async def unskip(self, caller: Caller, task_id: str, named: Named) -> None:
        """Puts an occurrence back that was taken out and is to come; any other that is to come stays in.

        Raises NotFound for one that the task has not, Conflict for one whose time has come.
        """

        async def work(connection: Connection) -> None:
            task = await hold_own(connection, caller, task_id)
            found = await _find(connection, task, named)
            await _check_coming(connection, found)
            if found.state is None:
                return
            key, at = found.occurrence.key, found.occurrence.at
            await connection.execute(_SQL["include"], task_id, key)
            await _move(connection, task, min(at, task.next_at or at))
            await note(connection, caller, "task.unskip", taskId=task_id, occurrenceId=key)

        await self._database.transact(work)

    async def pause(self, caller: Caller, task_id: str, why: str | None) -> Settled:
        """What is due from now on does not run. One that is paused stays so, and a note given is its note.

        What was due before is decided as things were: that is returned.
        """
        return await self._turn(caller, task_id, why, "pause")

    async def resume(self, caller: Caller, task_id: str, why: str | None) -> Settled:
        """What is due from now on runs again; what was due meanwhile was paused, and stays so."""
        return await self._turn(caller, task_id, why, "resume")

    async def _turn(
        self, caller: Caller, task_id: str, why: str | None, act: Literal["pause", "resume"]
    ) -> Settled:
        async def work(connection: Connection) -> Settled:
            task = await hold_own(connection, caller, task_id)
            if (task.paused_at is not None) == (act == "pause"):
                if why is not None:
                    await connection.execute(_SQL["note"], task_id, why)
                return Settled()
            now = await connection.fetchval(_SQL["now"])
            # What was due before is decided as things were.
            settled = await settle(connection, self._runs, task, now)
            if not settled.left:
                await connection.execute(_SQL[act], task_id, why, now)
                await note(connection, caller, _ACTS[act], taskId=task_id)
            return settled

        return await to_the_end(self._database, work)


async def first(connection: Connection, task: Task, since: datetime) -> datetime | None:
    """When the first occurrence is due, then or later, that is not in the ledger: what `next_at` is to be."""
    written = await connection.fetch(_SQL["written"], task.id, since)
    return upcoming(meaning(task, [row["key"] for row in written]), since - INSTANT)


async def _find(connection: Connection, task: Task, named: Named) -> _Found:
    """Raises NotFound for one that is neither in the ledger nor due, Conflict where several are due."""
    if isinstance(named, str):
        rows = await connection.fetch(_SQL["named"], task.id, named)
        one = find(meaning(task), named)
        due = [] if one is None else [one]
    else:
        rows = await connection.fetch(_SQL["at"], task.id, named)
        due = [*between(meaning(task), named - INSTANT, named)]
    found = {one.key: _Found(one, None) for one in due}
    for row in rows:
        found[row["key"]] = _Found(Occurrence(key=row["key"], at=row["at"]), row["state"])
    if len(found) > 1:
        raise Conflict(_SEVERAL)
    for only in found.values():
        return only
    raise NotFound(_NONE)


async def _check_coming(connection: Connection, found: _Found) -> datetime:
    """Returns the time it is. Raises Conflict for one that was decided or is due by now."""
    now: datetime = await connection.fetchval(_SQL["now"])
    if found.state not in (None, "excluded") or found.occurrence.at <= now:
        raise Conflict(_PAST)
    return now


async def _move(connection: Connection, task: Task, since: datetime) -> None:
    await connection.execute(_SQL["move"], task.id, await first(connection, task, since))
