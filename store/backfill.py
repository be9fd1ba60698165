"""Runs for times that are past: every occurrence of a range that has none gets one, once."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from domain.accept import Key
from domain.account import Caller
from domain.errors import BadRequest, NotFound
from domain.ledger import Backfilled
from domain.occurrences import INSTANT, Occurrence, between
from domain.task import Task
from store.audit import note
from store.claims import claim, repoint
from store.database import Connection, Database
from store.occurrences import meaning
from store.queries import load
from store.task_runs import TaskRuns, hold_task

_SQL = load("backfill")

MOST = 1_000
"""Occurrences of one backfill: they are accepted together or not at all."""


class Backfill:
    def __init__(self, database: Database, runs: TaskRuns) -> None:
        self._database = database
        self._runs = runs

    async def run(
        self, caller: Caller, task_id: str, key: Key, since: datetime, until: datetime
    ) -> Backfilled:
        """Makes the runs; they go one after the other, whatever the task's policy is.

        Raises BadRequest for a range that is not past, is turned round or has too many, NotFound for a
        foreign task, LimitsReached where not all of them may wait.
        """

        async def work(connection: Connection) -> Backfilled:
            earlier = await claim(connection, caller.account_id, key, task_id)
            if earlier is not None:
                return Backfilled.model_validate_json(earlier)
            task = await hold_task(connection, task_id, caller.account_id)
            if task is None:
                raise NotFound
            _check(since, until, await connection.fetchval(_SQL["now"]))
            done = await self._make(connection, caller, task, _due(task, since, until))
            await note(connection, caller, "task.backfill", taskId=task_id)
            await repoint(connection, caller.account_id, key, done.model_dump_json())
            return done

        return await self._database.transact(work)

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


def _check(since: datetime, until: datetime, now: datetime) -> None:
    if until > now:
        raise BadRequest("until: lies in the future; what is to come runs at its time.")
    if since >= until:
        raise BadRequest("from: does not lie before until.")


def _due(task: Task, since: datetime, until: datetime) -> list[Occurrence]:
    due = [*between(meaning(task), since - INSTANT, until, MOST + 1)]
    if len(due) > MOST:
        raise BadRequest(f"from: more than {MOST:,} occurrences are due up to until; send a narrower range.")
    return due
