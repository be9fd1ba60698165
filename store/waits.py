"""What runs wait for without a worker: publishes on the channels of their functions, and times."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import asyncpg

from domain import events
from domain.calls import FUNCTION_FAILED, NO_MESSAGE_RECEIVED, Outcome
from domain.plans import LookResult, Plan
from domain.run import Ending
from domain.tools import Kind
from store import ending
from store.admission import Admission
from store.calls import answer, called
from store.database import Connection, Database
from store.held import Held, append, hold
from store.queries import load
from store.turns import plan_of

_SQL = load("waits")

BUDGET_SECONDS = 86_400.0
"""Between two looks of a run that only waits for a higher budget, should nobody tell it."""
UNANSWERED = "no_message_received"
"""The contract's code of a wait that ended without a publish (§1.3)."""


class Came(NamedTuple):
    """A call that was answered, or whose waiting ended."""

    kind: Kind
    code: str | None
    """Of one that failed: why."""
    seconds: float
    """Since it was asked for."""


class Looked(NamedTuple):
    result: LookResult
    came: Sequence[Came] = ()
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
            held = await hold(connection, run_id, request=False)
            if held is None or not held.open:
                return Looked(LookResult())
            waiting = await connection.fetch(_SQL["waiting"], run_id)
            await connection.execute(_SQL["lock"], [row["channel_id"] for row in waiting])
            came: list[Came] = []
            for row in waiting:
                abort = await _look_at(connection, held, row, came)
                if abort is not None:
                    return (await self._abort(connection, held, abort))._replace(came=came)
            left = await connection.fetchrow(_SQL["park"], run_id)
            assert left is not None
            return Looked(_left(held, left["remaining"], left["seconds"]), came)

        return await self._database.transact(work)

    async def _abort(self, connection: Connection, held: Held, function: str) -> Looked:
        how = Ending(state="canceled", reason="function", function=function)
        await ending.stop(connection, held, how)
        start = None
        if held.conversation_id is not None:
            start = await self._admission.admit_next(connection, held.conversation_id)
        return Looked(LookResult(), ended=plan_of(held), start=start)


async def _look_at(connection: Connection, held: Held, row: asyncpg.Record, came: list[Came]) -> str | None:
    """Looks at one wait; returns the function whose answer ends the run."""
    channel_id = row["channel_id"]
    if channel_id is None:
        if row["due"]:
            await _answer(connection, held, row, Outcome(result="The delay is over."), came)
        return None
    data = await connection.fetchval(_SQL["consume"], channel_id, held.id, row["ordinal"])
    if data is None and not row["due"]:
        return None
    function = called(row)
    message = None if data is None else json.loads(data)
    told = [events.wait_end(row["channel"], function, message)]
    await append(connection, held.channel_id, told)
    if message is None:
        outcome = Outcome(
            result=f"{UNANSWERED}: nobody answered in time.", failed=True, code=NO_MESSAGE_RECEIVED
        )
    elif message.get("abort"):
        await _answer(connection, held, row, Outcome(result=message), came)
        return function.name
    else:
        outcome = _meant(message)
    await _answer(connection, held, row, outcome, came)
    return None


async def _answer(
    connection: Connection, held: Held, row: asyncpg.Record, outcome: Outcome, came: list[Came]
) -> None:
    await answer(connection, held, {row["ordinal"]: outcome})
    kind: Kind = "settle" if row["channel_id"] is None else "channel"
    came.append(Came(kind, outcome.code, row["seconds"]))


def _left(held: Held, remaining: int, seconds: float) -> LookResult:
    """What is left to wait for: calls, and a higher budget, which comes when it comes."""
    short = held.short and held.exhausted
    patience = seconds if remaining else BUDGET_SECONDS if short else 0.0
    return LookResult(left=remaining + short, seconds=patience, budget=short)


def _meant(message: dict[str, Any]) -> Outcome:
    """What was published, as the contract reads it (§3.1)."""
    if isinstance(message.get("error"), str):
        return Outcome(result=message["error"], failed=True, code=FUNCTION_FAILED)
    return Outcome(result=message.get("result", message))
