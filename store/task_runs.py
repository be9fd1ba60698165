"""Runs of tasks: whether one may be, in which conversation, and what it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from domain import ids
from domain.accept import Key, Work
from domain.account import Caller
from domain.errors import NotFound
from domain.occurrences import Occurrence
from domain.plans import Place, Plan
from domain.run import Asked, Ending, Lane, Run, canceled
from domain.task import Task
from domain.trigger_event import Fired, Occasion, due
from store import conversations, ending
from store.accept import Accept
from store.audit import note
from store.claims import claim
from store.database import Connection, Database, OutcomeUnknown
from store.held import Held, hold
from store.queries import load
from store.runs import Runs
from store.trigger_runs import TriggerRuns
from store.turns import plan_of

_SQL = load("task_runs")
_COLUMNS = tuple(Task.model_fields)
_NO_KEY = Key(route="", value=None, fingerprint=b"")


class Asking(NamedTuple):
    """A call that asks for a run of a task."""

    caller: Caller
    task_id: str
    key: Key
    run_id: str
    """Made beforehand."""
    traceparent: str | None
    backfilled: bool = False
    """For a time that was past."""


class Triggered(NamedTuple):
    run: Run | None
    """None: another run of the task is unfinished, and its policy is to skip."""
    again: bool = False
    """By an earlier call with the same key."""
    cancel: tuple[Plan, ...] = ()


class TaskRuns:
    def __init__(self, database: Database, accept: Accept, runs: Runs, triggers: TriggerRuns) -> None:
        self._database = database
        self._accept = accept
        self._runs = runs
        self._triggers = triggers

    async def trigger(self, asking: Asking) -> Triggered:
        """Makes a run of a task now, as the task's policy has it. Raises NotFound, LimitsReached, Conflict.

        The same key is the same run, and the same refusal of one.
        """

        async def work(connection: Connection) -> Triggered:
            account_id = asking.caller.account_id
            earlier = await claim(connection, account_id, asking.key, asking.run_id)
            if earlier is not None:
                return await self._earlier(connection, account_id, earlier)
            task = await hold_own(connection, asking.caller, asking.task_id)
            gave_way = await self.meet(connection, task, asking.caller)
            if gave_way is None:
                await note(connection, asking.caller, "task.skipped", taskId=task.id)
                return Triggered(None)
            made = await self._accept.enter(
                connection, await self._work(connection, task, asking, "background")
            )
            await connection.execute(_SQL["execution"], made.run.id, task.id, None, None)
            return Triggered(made.run, cancel=gave_way)

        try:
            return await self._database.transact(work)
        except OutcomeUnknown:
            return Triggered(await self._accept.found(asking.caller.account_id, asking.run_id))

    async def place(self, run_id: str) -> Place:
        """Where a run is, and how much of its time is left."""
        row = await self._database.fetchrow(_SQL["place"], run_id)
        return Place() if row is None else Place(**row)

    async def meet(self, connection: Connection, task: Task, caller: Caller) -> tuple[Plan, ...] | None:
        """What the policy of a held task makes of its unfinished runs; None: no other may be.

        Returns the plans of those it ended. Backfilled ones are none of its business.
        """
        most = {"skip": 1, "buffer_one": 2}.get(task.overlap)
        if most is not None:
            return None if await connection.fetchval(_SQL["met"], task.id) >= most else ()
        if task.overlap != "cancel_other":
            return ()
        ended = await end_runs(connection, task.id, canceled(caller), backfilled=False)
        return tuple(plan_of(held) for held in ended)

    async def make(
        self,
        connection: Connection,
        task: Task,
        caller: Caller,
        occurrence: Occurrence,
        workflow_id: str | None = None,
    ) -> Run:
        """The run of an occurrence of a held task; of a trigger's, the trigger's. Raises LimitsReached: then
        what was written is undone.

        `workflow_id`: of the workflow that is there already.
        """
        if task.trigger_id is not None:
            return await self._set_off(connection, task, caller, occurrence, workflow_id)
        asking = Asking(caller, task.id, _NO_KEY, ids.run(), None)
        work = await self._work(connection, task, asking, "scheduled")
        return await self._enter(connection, work.model_copy(update={"workflow": workflow_id}), occurrence)

    async def make_up(
        self, connection: Connection, task: Task, caller: Caller, occurrence: Occurrence
    ) -> Run:
        """The run of a past occurrence of a held task: it goes behind all others, whatever the policy is.

        Raises LimitsReached.
        """
        asking = Asking(caller, task.id, _NO_KEY, ids.run(), None, backfilled=True)
        work = await self._work(connection, task, asking, "scheduled")
        return await self._enter(connection, work, occurrence)

    async def _set_off(
        self,
        connection: Connection,
        task: Task,
        caller: Caller,
        occurrence: Occurrence,
        workflow_id: str | None,
    ) -> Run:
        assert task.trigger_id is not None
        occasion = Occasion(
            event_id=ids.trigger_event(),
            run_id=ids.run(),
            trigger_id=task.trigger_id,
            source="schedule",
            body=due(occurrence.at),
            content_type="application/json",
            fired=Fired(task.id, workflow_id),
        )
        there = await self._triggers.set_off(connection, caller, occasion)
        # Whoever removes a trigger holds its task.
        assert there
        return await self._runs.fetch(task.account_id, occasion.run_id, connection)

    async def _enter(self, connection: Connection, work: Work, occurrence: Occurrence) -> Run:
        made = await self._accept.enter(connection, work)
        due = (occurrence.key, occurrence.at)
        await connection.execute(_SQL["execution"], made.run.id, work.task_id, *due)
        return made.run

    async def _work(self, connection: Connection, task: Task, asking: Asking, lane: Lane) -> Work:
        if task.ordered and not asking.backfilled:
            await _hold_backfilled(connection, task.id)
        limits = task.limits.model_copy(update={"seconds": task.seconds})
        return Work(
            run_id=asking.run_id,
            caller=asking.caller,
            lane=lane,
            key=asking.key,
            asked=Asked(settles=True, timezone=task.timezone, limits=limits),
            conversation_id=await self._conversation(connection, task, asking),
            bot_id=task.bot_id,
            contact_id=task.contact_id,
            task_id=task.id,
            ordering_key=task.id if task.ordered or asking.backfilled else None,
            backfilled=asking.backfilled,
            channel=ids.channel(),
            traceparent=asking.traceparent,
        )

    async def _conversation(self, connection: Connection, task: Task, asking: Asking) -> str:
        """The session's, locked, while its time lasts and its bot and contact are the task's; else a new one.

        A backfilled run has its own: runs that come after it go before it, as none may in one conversation.
        """
        of = (task.bot_id, task.contact_id)
        if not asking.backfilled:
            row = await connection.fetchval(_SQL["session"], task.id, *of, task.session)
            if row is not None:
                return str(row)
        conversation_id = ids.conversation()
        given = {
            "name": task.name,
            "meta": {"app": "task", "taskId": task.id},
            "bot_id": task.bot_id,
            "contact_id": task.contact_id,
        }
        await conversations.begin(connection, asking.caller, conversation_id, given, ())
        await connection.execute(_SQL["begin_session"], task.id, conversation_id, not asking.backfilled)
        return conversation_id

    async def _earlier(self, connection: Connection, account_id: str, run_id: str) -> Triggered:
        try:
            return Triggered(await self._runs.fetch(account_id, run_id, connection), again=True)
        except NotFound:
            return Triggered(None, again=True)


async def hold_own(connection: Connection, caller: Caller, task_id: str) -> Task:
    """As `hold_task`, of the caller's account. Raises NotFound for any other."""
    task = await hold_task(connection, task_id, caller.account_id)
    if task is None:
        raise NotFound
    return task


async def hold_task(connection: Connection, task_id: str, account_id: str | None = None) -> Task | None:
    """Locks a task until the transaction ends, and before it its bot and contact, as their removal does.

    With an account, only if it is the account's, and not the hidden one of a trigger.
    """
    await connection.execute(_SQL["hold_bot"], task_id)
    await connection.execute(_SQL["hold_contact"], task_id)
    row = await connection.fetchrow(_SQL["hold"], task_id, account_id)
    return None if row is None else Task(**{column: row[column] for column in _COLUMNS})


async def end_runs(
    connection: Connection, task_id: str, how: Ending, *, backfilled: bool = True, most: int | None = None
) -> list[Held]:
    """Ends the unfinished runs of a held task, the last to have its turn first; so many at most.

    `backfilled`: those that make up for a time that was past, too.
    """
    rows = await connection.fetch(_SQL["to_end"], task_id, backfilled, most)
    return await end_all(connection, [row["id"] for row in rows], how)


async def end_all(connection: Connection, run_ids: Sequence[str], how: Ending) -> list[Held]:
    """Ends those of some runs that are unfinished, in this order."""
    ended = []
    for run_id in run_ids:
        held = await hold(connection, run_id)
        if held is not None and held.open:
            await ending.stop(connection, held, how)
            ended.append(held)
    return ended


async def _hold_backfilled(connection: Connection, task_id: str) -> None:
    """No backfilled run of a held task is admitted until the transaction ends: it would be unseen there that
    another one goes before it. Who admits one locks its conversation, and none begins before the first."""
    held = None
    while first := await connection.fetchval(_SQL["first_backfilled"], task_id):
        if first == held:
            return
        await connection.execute(_SQL["hold_conversation"], first)
        held = first
