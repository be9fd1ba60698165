"""What an account may use up, looked at as a run is accepted: tokens of a day, and places to wait in."""

from __future__ import annotations

import time
from typing import NamedTuple

from domain.accept import Work
from domain.errors import LimitsReached
from domain.run import Run
from store.database import Connection
from store.queries import load
from store.usage import Usage

_SQL = load("limits")

_DAY = 86_400
DAY_FRESH, LINE_FRESH = 5.0, 1.0
"""Seconds for which a process believes what it has counted: a limit may be passed by what they bring."""
_SOON = 5
"""Seconds until somebody who waits has had a turn, as a guess."""


class Quotas(NamedTuple):
    """Of one account, and of one conversation; 0 is no limit."""

    tokens_per_day: int = 0
    waiting_of_account: int = 10_000
    waiting_of_conversation: int = 1_000


class _Count(NamedTuple):
    number: int
    good_until: float


class Limits:
    """Raises LimitsReached inside the accepting transaction, which then did nothing."""

    def __init__(self, quotas: Quotas, usage: Usage) -> None:
        self._quotas = quotas
        self._usage = usage
        self._days: dict[str, _Count] = {}
        self._lines: dict[str, _Count] = {}

    async def check_day(self, connection: Connection, account_id: str) -> None:
        """What is at work is not counted yet, and comes to its end: a day may end above its limit."""
        most = self._quotas.tokens_per_day
        if not most:
            return
        spent = self._days.get(account_id)
        if spent is None or spent.good_until < time.monotonic():
            number = await self._usage.tokens_today(account_id, connection)
            spent = self._days[account_id] = _Count(number, time.monotonic() + DAY_FRESH)
        if spent.number >= most:
            raise LimitsReached(
                f"The account has used {spent.number:,} tokens today, and {most:,} a day are the most "
                "(HOLDFAST_TOKENS_PER_DAY); come back tomorrow, days are UTC's.",
                retry_after=_DAY - time.time() % _DAY,
            )

    async def check_line(self, connection: Connection, run: Run | Work, *, first: bool = False) -> None:
        """Of a run just written that has to wait; `first`: it is the only one of its conversation."""
        if not first:
            await self._check_conversation(connection, run)
        most = self._quotas.waiting_of_account
        if most and await self._waiting(connection, run.account_id, most) > most:
            raise LimitsReached(
                f"{most:,} runs of the account are waiting, and no more may "
                f"(HOLDFAST_WAITING_RUNS_PER_ACCOUNT); come back in {_SOON} s.",
                retry_after=_SOON,
            )

    async def _check_conversation(self, connection: Connection, run: Run | Work) -> None:
        most = self._quotas.waiting_of_conversation
        if not most or run.conversation_id is None:
            return
        query = _SQL["waiting_of_conversation"]
        if await connection.fetchval(query, run.conversation_id, most + 1) > most:
            raise LimitsReached(
                f"{most:,} runs of the conversation are waiting, and no more may "
                f"(HOLDFAST_WAITING_RUNS_PER_CONVERSATION); come back in {_SOON} s.",
                retry_after=_SOON,
            )

    async def _waiting(self, connection: Connection, account_id: str, most: int) -> int:
        """How many runs of the account wait: counted now and then, and what this process adds in between."""
        line = self._lines.get(account_id)
        if line is None or line.good_until < time.monotonic():
            number = await connection.fetchval(_SQL["waiting_of_account"], account_id, most + 1)
            line = _Count(number, time.monotonic() + LINE_FRESH)
        else:
            line = line._replace(number=line.number + 1)
        self._lines[account_id] = line
        return line.number
