"""Usage: counted from what stays when what was used is deleted."""

from __future__ import annotations

from collections.abc import Sequence

from domain.base import Frozen
from domain.errors import NotFound
from domain.paging import Page
from domain.usage import SERIES_DAYS, Period, Used, UsedByRun, UsedDay
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("usage")
HOURS = 1_000
"""How many hours one round folds at most."""
BATCH = 10_000
"""Rows that one statement forgets at most."""


class UsageFilter(Frozen):
    """What a list of usage is narrowed to; None narrows nothing."""

    types: Sequence[str] | None = None
    conversation_ids: Sequence[str] | None = None
    bot_ids: Sequence[str] | None = None
    contact_ids: Sequence[str] | None = None
    message_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None
    trigger_ids: Sequence[str] | None = None


class Usage:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_account(self, account_id: str, period: Period) -> Used:
        return await self._used("used", account_id, None, period)

    async def of_bot(self, account_id: str, bot_id: str, period: Period) -> Used:
        """Of its runs and of the conversations begun with it. Raises NotFound."""
        return await self._used("used", account_id, bot_id, period)

    async def of_conversation(self, account_id: str, conversation_id: str, period: Period) -> Used:
        """Raises NotFound."""
        return await self._used("of_conversation", account_id, conversation_id, period)

    async def series(self, account_id: str) -> Sequence[UsedDay]:
        """Each of the last ninety days in UTC, oldest first, the last one today."""
        rows = await self._database.fetch(_SQL["series"], account_id, SERIES_DAYS)
        return [UsedDay(**row) for row in rows]

    async def tokens_today(self, account_id: str, connection: Connection | None = None) -> int:
        """Tokens of the account's runs that ended since midnight in UTC."""
        tokens: int = await (connection or self._database).fetchval(_SQL["tokens_today"], account_id)
        return tokens

    async def list(self, account_id: str, page: Page, narrow: UsageFilter) -> Sequence[UsedByRun]:
        """What each run used, of those that used something."""
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(
            query,
            account_id,
            page.after,
            page.take,
            narrow.types,
            narrow.conversation_ids,
            narrow.bot_ids,
            narrow.contact_ids,
            narrow.message_ids,
            narrow.task_ids,
            narrow.trigger_ids,
        )
        return [UsedByRun(**row) for row in rows]

    async def fold(self) -> None:
        """Sums up hours that are over, oldest first, forgets what was long summed up; again is harmless."""
        for _ in range(HOURS):
            hour = await self._database.fetchval(_SQL["unfolded"])
            if hour is None:
                return
            while await self._database.fetchval(_SQL["forget"], hour, SERIES_DAYS, BATCH) == BATCH:
                pass
            await self._database.execute(_SQL["fold"], hour)

    async def _used(self, name: str, account_id: str, of: str | None, period: Period) -> Used:
        row = await self._database.fetchrow(_SQL[name], account_id, of, period.begin, period.end)
        if row is None:
            raise NotFound
        return Used(**row)


async def count(
    connection: Connection,
    account_id: str,
    of: tuple[str, str | None],
    *,
    conversations: int = 0,
    messages: int = 0,
) -> None:
    """Counts what is used without a run, in its transaction; `of` is a conversation and its bot."""
    await connection.execute(_SQL["count"], account_id, *of, conversations, messages)
