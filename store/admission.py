"""Which waiting run may begin: under the caps, and one at a time in a conversation."""

from __future__ import annotations

from typing import NamedTuple

from domain.plans import Plan
from store.database import Connection, Database
from store.queries import load

_SQL = load("admission")
_BATCH = 50


class Caps(NamedTuple):
    """Runs at work at once: of everyone, of one account, and of those nobody waits for."""

    everyone: int = 500
    account: int = 250
    background: int = 64


class Admission:
    def __init__(self, database: Database, caps: Caps) -> None:
        self._database = database
        self.caps = caps

    async def admit_next(
        self, connection: Connection, conversation_id: str, *, in_turn: bool = False
    ) -> Plan | None:
        """Admits the head of a locked conversation's line, if it may begin.

        One that nobody called in its turn leaves the last places to accounts that wait.
        """
        row = await connection.fetchrow(_SQL["admit_next"], conversation_id, *self.caps, in_turn)
        return Plan(**row) if row else None

    async def admit(self) -> list[Plan]:
        """Admits what may begin now, one conversation a transaction; returns the plans to start."""
        admitted: list[Plan] = []
        for head in await self._database.fetch(_SQL["waiting"], _BATCH, *self.caps):
            plan = await self._admit_head(head["id"], head["conversation_id"])
            if plan is not None:
                admitted.append(plan)
        return admitted

    async def _admit_head(self, run_id: str, conversation_id: str | None) -> Plan | None:
        async def work(connection: Connection) -> Plan | None:
            if conversation_id is None:
                row = await connection.fetchrow(_SQL["admit_stateless"], run_id, *self.caps)
                return Plan(**row) if row else None
            if await connection.fetchval(_SQL["try_conversation"], conversation_id) is None:
                return None
            return await self.admit_next(connection, conversation_id, in_turn=True)

        return await self._database.transact(work)
