"""What the model calls of a run may cost: with its budget spent it waits for more, or ends."""

from __future__ import annotations

import dataclasses

from domain.account import Caller
from domain.bot import OnBudget
from domain.budget import wasted
from domain.completion import Usage
from domain.errors import BadRequest, Conflict, NotFound
from domain.plans import Plan
from store.audit import note
from store.database import Connection, Database
from store.ending import Grip
from store.held import Held, hold
from store.queries import load
from store.turns import plan_of

_SQL = load("budgets")


class Budgets:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def set(self, caller: Caller, run_id: str, tokens: int) -> Plan | None:
        """Sets what a run may spend in all. Returns its plan when it waits for that and is to be told.

        Raises NotFound for an unknown run and for another account's, Conflict for one that is over or spends
        nothing, BadRequest when as many are spent already.
        """

        async def work(connection: Connection) -> Plan | None:
            if await connection.fetchval(_SQL["owned"], caller.account_id, run_id) is None:
                raise NotFound
            held = await hold(connection, run_id, conversation=False)
            if held is None or not held.open:
                raise Conflict("The run is over; it spends nothing any more.", run_id=run_id)
            if held.kind == "ability":
                raise Conflict("The run asks no model, so it spends nothing.", run_id=run_id)
            if tokens <= held.spent:
                raise BadRequest(f"tokens: {held.spent} are spent already; the budget is a total, name more.")
            await connection.execute(_SQL["set"], run_id, tokens)
            await note(connection, caller, "run.budget", runId=run_id, conversationId=held.conversation_id)
            return plan_of(held) if held.short else None

        return await self._database.transact(work)


async def spent(connection: Connection, held: Held, ordinal: int) -> OnBudget | None:
    """What becomes of a held run whose next model step it cannot pay for: it waits, or is to be ended.

    One that waits takes up no place. None where there is something left to spend.
    """
    if not held.exhausted:
        return None
    await connection.execute(_SQL["let_go"], held.id, ordinal)
    if await connection.fetchval(_SQL["on_budget"], held.bot_id) == "end":
        return "end"
    await connection.execute(_SQL["park"], held.id)
    return "wait"


async def streamed(connection: Connection, held: Held, grip: Grip) -> int:
    """Bytes of the answer that an earlier attempt was cut off in; 0 where none was, or nothing had come."""
    size: int = await connection.fetchval(
        _SQL["streamed"], held.id, grip.ordinal, grip.fence, held.channel_id
    )
    return size


async def waste(connection: Connection, held: Held, size: int, streamed: int) -> Held:
    """Counts an attempt that was cut off: nobody was left to say what it cost, so it is estimated."""
    tokens = wasted(size, streamed, Usage())
    await connection.execute(_SQL["waste"], held.id, tokens)
    return dataclasses.replace(held, wasted_tokens=held.wasted_tokens + tokens)
