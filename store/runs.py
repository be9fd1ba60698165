"""Reading runs and their steps."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from domain.base import Frozen
from domain.errors import NotFound
from domain.paging import Page
from domain.run import Run, Step
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("runs")
_COLUMNS = tuple(Run.model_fields)


class RunFilter(Frozen):
    """What a list of runs is narrowed to; None narrows nothing."""

    kinds: Sequence[str] | None = None
    states: Sequence[str] | None = None
    conversation_ids: Sequence[str] | None = None
    bot_ids: Sequence[str] | None = None
    contact_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None
    trigger_ids: Sequence[str] | None = None
    since: datetime | None = None


class Runs:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def fetch(self, account_id: str, run_id: str, connection: Connection | None = None) -> Run:
        """Raises NotFound for an unknown run and for another account's."""
        row = await (connection or self._database).fetchrow(_SQL["fetch"], account_id, run_id)
        if row is None:
            raise NotFound
        return _run(row)

    async def list(self, account_id: str, page: Page, narrow: RunFilter) -> Sequence[Run]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(
            query,
            account_id,
            page.after,
            page.take,
            narrow.kinds,
            narrow.states,
            narrow.conversation_ids,
            narrow.bot_ids,
            narrow.contact_ids,
            narrow.since,
            narrow.task_ids,
            narrow.trigger_ids,
        )
        return [_run(row) for row in rows]

    async def steps(self, run_id: str) -> Sequence[Step]:
        return [Step(**row) for row in await self._database.fetch(_SQL["steps"], run_id)]

    async def answer_text(self, message_id: str) -> str | None:
        """The text a run ended with, while its message is there."""
        text: str | None = await self._database.fetchval(_SQL["answer_text"], message_id)
        return text


def _run(row: asyncpg.Record) -> Run:
    return Run(**{column: row[column] for column in _COLUMNS})
