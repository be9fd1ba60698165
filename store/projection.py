"""Which tasks Temporal has to be told of, which it should know, and which were due and nobody fired."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from domain import occurrences
from domain.projection import note
from domain.task import Task
from store.database import Database
from store.occurrences import OVERDUE
from store.queries import load

_SQL = load("projection")
BATCH = 50
PAGE = 1_000


class Wanted(NamedTuple):
    """A schedule that there should be."""

    task_id: str
    revision: int
    schedule: str | None
    paused: bool
    told: bool
    """False: it is about to be told, so that nobody can say what it should be like now."""

    def note(self, year: int) -> str:
        return note(self.revision, self.schedule, year)


class Overdue(NamedTuple):
    task_id: str
    revision: int
    since: datetime
    paused: bool
    again: bool
    """Nothing had fired the last time either."""


class Projections:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def untold(self) -> list[Task]:
        """Tasks that changed, or whose schedules did, for the first worker that asks."""
        rows = await self._database.fetch(_SQL["untold"], BATCH)
        return [Task(**{name: row[name] for name in Task.model_fields}) for row in rows]

    async def told(self, task: Task) -> None:
        await self._database.execute(_SQL["told"], task.id, task.revision)

    async def later(self, task: Task) -> None:
        """It could not be told and can hardly be soon."""
        await self._database.execute(_SQL["later"], task.id, task.revision)

    async def again(self, tasks: Sequence[Wanted | Overdue]) -> None:
        """Their schedules are not what they should be: they are to be told anew."""
        for start in range(0, len(tasks), PAGE):
            some = tasks[start : start + PAGE]
            given = [task.task_id for task in some], [task.revision for task in some]
            await self._database.execute(_SQL["again"], *given)

    async def gone(self) -> list[str]:
        """Tasks that are no more and may have schedules still, for the first worker that asks."""
        return [row["task_id"] for row in await self._database.fetch(_SQL["gone"], BATCH)]

    async def dropped(self, task_id: str) -> None:
        await self._database.execute(_SQL["dropped"], task_id)

    async def wanted(self) -> dict[str, Wanted]:
        """Every schedule that there should be, by its task."""
        found: dict[str, Wanted] = {}
        after = ""
        while rows := await self._database.fetch(_SQL["wanted"], after, PAGE):
            found |= {row["task_id"]: Wanted(**row) for row in rows}
            after = rows[-1]["task_id"]
        return found

    async def unwanted(self, task_ids: Sequence[str]) -> list[str]:
        """Those of them that should have no schedule."""
        return [row["id"] for row in await self._database.fetch(_SQL["unwanted"], task_ids)]

    async def overdue(self, after: Overdue | None) -> list[Overdue]:
        """The next tasks that were due and nothing fired, the longest overdue first."""
        place = (after.since, after.task_id) if after else (occurrences.FIRST, "")
        rows = await self._database.fetch(_SQL["overdue"], *place, BATCH, OVERDUE)
        return [Overdue(**row) for row in rows]
