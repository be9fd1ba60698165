"""What the runs of a task came to, over time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from domain.errors import NotFound
from domain.usage import RunsDay, RunsUsed
from store.database import Database
from store.queries import load

_SQL = load("task_usage")


class TaskUsage:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(
        self, account_id: str, task_id: str, begin: datetime, end: datetime
    ) -> tuple[RunsUsed, Sequence[RunsDay]]:
        """Of runs that ended in the period, all of it and each of its days in UTC. Raises NotFound."""
        if await self._database.fetchval(_SQL["owned"], account_id, task_id) is None:
            raise NotFound
        whole, *days = await self._database.fetch(_SQL["figures"], account_id, task_id, begin, end)
        figures = {name: whole[name] for name in RunsUsed.model_fields}
        return RunsUsed(**figures), [RunsDay(**day) for day in days]
