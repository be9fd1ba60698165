"""What runs wait for without a worker: publishes on the channels of their functions, and times."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import asyncpg

from domain import events
from domain.activity import Activity, Called
from domain.calls import Outcome
from domain.plans import LookResult, Plan
from domain.run import Ending
from store import ending
from store.admission import Admission
from store.calls import answer
from store.database import Connection, Database
from store.held import Held, append, hold
from store.queries import load
from store.turns import plan_of

_SQL = load("waits")

UNANSWERED = "no_message_received"
"""The contract's code of a wait that ended without a publish (§1.3)."""


class Looked(NamedTuple):
    result: LookResult
    ended: Plan | None = None
    """The run's own plan, when whoever answered ended the run."""
    start: Plan | None = None
    """The next plan of its conversation."""


class Waits:
    def __init__(self, database: Database, admission: Admission) -> None:
        self._database = database
        self._admission = admission

    async def look(self, run_id: str) -> Looked:
        """Answers what can be answered now: by what was published, oldest first, or by the time.

        Repeating it is harmless. A run that only waits gives up its place until it goes on.
        """

        async def work(connection: Connection) -> Looked:
            held = await hold(connection, run_id)
            if held is None or not held.open:
                return Looked(LookResult())
            waiting = await connection.fetch(_SQL["waiting"], run_id)
            await connection.execute(_SQL["lock"], [row["channel_id"] for row in waiting])
            for row in waiting:
                abort = await _look_at(connection, held, row)
                if abort is not None:
                    return await self._abort(connection, held, abort)
            left = await connection.fetchrow(_SQL["park"], run_id)
            assert left is not None
            return Looked(LookResult(left=left["remaining"], seconds=left["seconds"]))

        return await self._database.transact(work)

    async def _abort(self, connection: Connection, held: Held, function: str) -> Looked:
        how = Ending(state="canceled", reason="function", function=function)
        await ending.stop(connection, held, how)
        start = None
        if held.conversation_id is not None:
            start = await self._admission.admit_next(connection, held.conversation_id)
        return Looked(LookResult(), plan_of(held), start)


async def _look_at(connection: Connection, held: Held, row: asyncpg.Record) -> str | None:
    """Looks at one wait; returns the function whose answer ends the run."""
    channel_id, ordinal = row["channel_id"], row["ordinal"]
    if channel_id is None:
        if row["due"]:
            await answer(connection, held, ordinal, Outcome(result="The delay is over."))
        return None
    data = await connection.fetchval(_SQL["consume"], channel_id)
    if data is None and not row["due"]:
        return None
    called = _called(row)
    message = None if data is None else json.loads(data)
    told = [events.wait_end(row["channel"], called, message)]
    await append(connection, held.channel_id, told)
    if message is None:
        outcome = Outcome(
            result=f"{UNANSWERED}: nobody answered in time.", failed=True, code=UNANSWERED.upper()
        )
    elif message.get("abort"):
        await answer(connection, held, ordinal, Outcome(result=message))
        return called.name
    else:
        outcome = _meant(message)
    await answer(connection, held, ordinal, outcome)
    return None


def _meant(message: dict[str, Any]) -> Outcome:
    """What was published, as the contract reads it (§3.1)."""
    if isinstance(message.get("error"), str):
        return Outcome(result=message["error"], failed=True, code="FUNCTION_FAILED")
    return Outcome(result=message.get("result", message))


def _called(row: asyncpg.Record) -> Called:
    if row["activity"] is None:
        return Called(name=row["name"], arguments={})
    return Activity.model_validate(row["activity"]).function
