"""The beginning of a run, and the ends its model does not make."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from domain import events
from domain.account import Caller
from domain.errors import NotFound, sentence
from domain.plans import Plan
from domain.run import CANCELED, Ending, canceled, failed
from store import briefing, ending
from store.admission import Admission
from store.database import Connection, Database
from store.held import Held, append, hold
from store.queries import load

_SQL = load("turns")


class Stopped(NamedTuple):
    """What the one who stopped a run does next, outside the transaction."""

    cancel: Plan | None
    """The plan to tell; None when the run was over already."""
    start: Plan | None
    """The next plan of its conversation."""


class Cut(NamedTuple):
    left: float
    """Seconds until the run's time is up; none where it is over."""
    ended: Plan | None = None
    """The run's own plan, where it ended here."""
    start: Plan | None = None
    """The next plan of its conversation."""


class Turns:
    def __init__(self, database: Database, admission: Admission) -> None:
        self._database = database
        self._admission = admission

    async def finish(self, run_id: str, code: str) -> Stopped:
        """Ends a run its plan gave up on; nothing happens to one that is over."""

        async def work(connection: Connection) -> Stopped:
            told = await ending.error_told(connection, run_id, code)
            stop = CANCELED if code == "CANCELED" else failed(code, told or sentence(code))
            return await self._stop(connection, run_id, stop)

        return await self._database.transact(work)

    async def cancel(self, caller: Caller, run_id: str) -> Stopped:
        """Cancels a run. Raises NotFound for an unknown one and for another account's."""

        async def work(connection: Connection) -> Stopped:
            if await connection.fetchval(_SQL["owned"], caller.account_id, run_id) is None:
                raise NotFound
            return await self._stop(connection, run_id, canceled(caller))

        return await self._database.transact(work)

    async def cut(self, run_id: str) -> Cut:
        """Ends a run of a task or trigger whose time is up, from its beginning on: that is no failure."""

        async def work(connection: Connection) -> Cut:
            held = await hold(connection, run_id)
            if held is None or not held.open:
                return Cut(0.0)
            left: float = await connection.fetchval(_SQL["left"], run_id)
            if left > 0 or held.conversation_id is None:
                return Cut(left)
            await ending.cut(connection, held)
            return Cut(0.0, plan_of(held), await self._admission.admit_next(connection, held.conversation_id))

        return await self._database.transact(work)

    async def open(self, run_id: str) -> bool:
        """Whether the run is still going."""
        return await self._database.fetchval(_SQL["open"], run_id) is not None

    async def told(self, run_ids: Sequence[str]) -> None:
        """Notes that Temporal has heard of these runs' ends."""
        for run_id in run_ids:
            await self._database.execute(_SQL["told"], run_id)

    async def _stop(self, connection: Connection, run_id: str, how: Ending) -> Stopped:
        held = await hold(connection, run_id)
        if held is None or not held.open:
            return Stopped(None, None)
        await ending.stop(connection, held, how)
        start = None
        if held.conversation_id is not None:
            start = await self._admission.admit_next(connection, held.conversation_id)
        return Stopped(plan_of(held), start)


async def begin(connection: Connection, held: Held) -> Held:
    """A held, queued run begins: its user message enters the conversation, and its model sees up to that."""
    if held.prepared:
        await briefing.brief(connection, held)
    kept = await ending.keep_request(connection, held)
    seq = 0
    if kept is not None:
        message_id, seq = kept
        told = [events.send_result(message_id, held.asked.text or "")]
        await append(connection, held.channel_id, told)
    elif held.conversation_id is not None:
        seq = await connection.fetchval(_SQL["horizon"], held.conversation_id) or 0
    await connection.execute(_SQL["begin"], held.id, seq, int(kept is not None))
    return dataclasses.replace(held, state="running", begun_seq=seq)


def plan_of(held: Held) -> Plan:
    return Plan(
        run_id=held.id,
        account_id=held.account_id,
        kind=held.kind,
        lane=held.lane,
        workflow_id=held.workflow_id,
        conversation_id=held.conversation_id,
        bot_id=held.bot_id,
        task_id=held.task_id,
        trigger_id=held.trigger_id,
    )
