"""Runs for times that are past: every occurrence of a range that has none gets one, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from typing import NamedTuple

from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.errors import BadRequest, Unavailable
from domain.ledger import Backfilled, Place
from domain.occurrences import INSTANT, Occurrence, between
from domain.task import Task
from store.audit import note
from store.claims import claim, repoint
from store.database import Connection, Database
from store.occurrences import meaning
from store.queries import load
from store.task_runs import TaskRuns, hold_own

_SQL = load("backfill")

MOST = 1_000
"""Occurrences of one backfill."""
PIECE = 100
"""Of those, as many are accepted together or not at all: while they are, their task can do nothing else."""


class _Asked(NamedTuple):
    """A call for a backfill."""

    caller: Caller
    task_id: str
    key: Key
    since: datetime
    until: datetime


class _Progress(Frozen):
    """How far a backfill has come."""

    done: Backfilled = Backfilled(occurrences=0, runs=0, ran=0, excluded=0)
    after: Place | None = None
    """The last occurrence that is dealt with."""
    over: bool = False


class Backfill:
    def __init__(self, database: Database, runs: TaskRuns) -> None:
        self._database = database
        self._runs = runs

    async def run(
        self, caller: Caller, task_id: str, key: Key, since: datetime, until: datetime
    ) -> Backfilled:
        """Makes the runs, a piece at a time; they go one after the other, whatever the task's policy is.

        A call that is broken off has made some of them: the same key goes on with the others, and tells of
        the whole. Raises BadRequest for a range that is not past, is turned round or has too many, NotFound
        for a foreign task, LimitsReached where not all of them may wait.
        """
        asked, progress = _Asked(caller, task_id, key, since, until), _Progress()
        while not progress.over:
            progress = await self._database.transact(partial(self._go_on, asked=asked, progress=progress))
        return progress.done

    async def _go_on(self, connection: Connection, asked: _Asked, progress: _Progress) -> _Progress:
        """Makes the next runs. What a key knows is believed: another call may have come further with it."""
        caller, task_id = asked.caller, asked.task_id
        progress = await _known(connection, asked) or progress
        if progress.over:
            return progress
        task = await hold_own(connection, caller, task_id)
        _check(asked, await connection.fetchval(_SQL["now"]))
        left = _left(task, asked, progress)
        if progress.after is None:
            await note(connection, caller, "task.backfill", taskId=task_id)
        due = left[:PIECE]
        done = _both(progress.done, await self._make(connection, caller, task, due))
        after = (due[-1].at, due[-1].key) if due else None
        progress = _Progress(done=done, after=after, over=len(left) <= PIECE)
        await repoint(connection, caller.account_id, asked.key, progress.model_dump_json())
        return progress

    async def _make(
        self, connection: Connection, caller: Caller, task: Task, due: Sequence[Occurrence]
    ) -> Backfilled:
        rows = await connection.fetch(_SQL["became"], task.id, [one.key for one in due])
        became = {row["key"]: row["state"] for row in rows}
        wanted = [one for one in due if became.get(one.key) not in ("ran", "excluded")]
        made = [(await self._runs.make_up(connection, task, caller, one)).id for one in wanted]
        keys, instants = [one.key for one in wanted], [one.at for one in wanted]
        await connection.execute(_SQL["ran"], task.id, keys, instants, made)
        states = [became.get(one.key) for one in due]
        return Backfilled(
            occurrences=len(due),
            runs=len(made),
            ran=states.count("ran"),
            excluded=states.count("excluded"),
        )


async def _known(connection: Connection, asked: _Asked) -> _Progress | None:
    """How far the backfill of a key has come, which nobody else goes on with now; None: it has just begun."""
    account_id, key = asked.caller.account_id, asked.key
    if await claim(connection, account_id, key, _Progress().model_dump_json()) is None:
        return None
    subject = await connection.fetchval(_SQL["hold_key"], account_id, key.route, key.value)
    if subject is None:
        raise Unavailable(retry_after=1)
    return _Progress.model_validate_json(subject)


def _check(asked: _Asked, now: datetime) -> None:
    if asked.until > now:
        raise BadRequest("until: lies in the future; what is to come runs at its time.")
    if asked.since >= asked.until:
        raise BadRequest("from: does not lie before until.")


def _left(task: Task, asked: _Asked, progress: _Progress) -> list[Occurrence]:
    """The occurrences of its range that it has not dealt with, in order."""
    after = progress.after or (asked.since, "")
    found = between(meaning(task), after[0] - INSTANT, asked.until, MOST + 1)
    left = [one for one in found if (one.at, one.key) > after]
    if len(left) > MOST:
        raise BadRequest(f"from: more than {MOST:,} occurrences are due up to until; send a narrower range.")
    return left


def _both(one: Backfilled, other: Backfilled) -> Backfilled:
    counts = other.model_dump()
    return Backfilled(**{name: number + counts[name] for name, number in one.model_dump().items()})
