"""Executions: what is seen of a task's runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from domain.account import Caller
from domain.base import Frozen
from domain.errors import NotFound
from domain.execution import Execution
from domain.paging import PAGE_BYTES, Page
from domain.task import Status
from store.database import Database
from store.queries import load, ordered
from store.turns import Stopped, Turns

_SQL = load("executions")
_COLUMNS = tuple(Execution.model_fields)


class ExecutionFilter(Frozen):
    """What a list of executions is narrowed to."""

    meta: dict[str, Any]
    status: Status | None = None
    """None narrows nothing."""


class Executions:
    def __init__(self, database: Database, turns: Turns) -> None:
        self._database = database
        self._turns = turns

    async def list(
        self, account_id: str, task_id: str, page: Page, narrow: ExecutionFilter
    ) -> Sequence[Execution]:
        """One page of a task's. Raises NotFound for a foreign task."""
        if await self._database.fetchval(_SQL["owned_task"], account_id, task_id) is None:
            raise NotFound
        query = ordered(_SQL["list"], ascending=page.ascending)
        wanted = (narrow.meta, narrow.status, PAGE_BYTES)
        rows = await self._database.fetch(query, task_id, page.after, page.take, *wanted)
        return [Execution(**{column: row[column] for column in _COLUMNS}) for row in rows]

    async def cancel(self, caller: Caller, task_id: str, execution_id: str) -> Stopped:
        """Cancels its run; nothing happens to one that is over. Raises NotFound."""
        place = (caller.account_id, task_id, execution_id)
        if await self._database.fetchval(_SQL["owned"], *place) is None:
            raise NotFound
        return await self._turns.cancel(caller, execution_id)
