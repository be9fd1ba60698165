"""What a task's runs do, heard across them: their operations and their failures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

import asyncpg

from domain.errors import NotFound
from domain.heard import Heard
from store.database import Database
from store.feed import PAGE, PAGE_BYTES
from store.queries import load

_SQL = load("task_feed")
AHEAD = 100
"""Runs of which nothing was heard yet that one look goes through; the next one goes on after them."""


class Line(NamedTuple):
    type: str
    data: str
    at: datetime
    heard: Heard
    """How far whoever has it has heard the task."""


class Look(NamedTuple):
    lines: Sequence[Line]
    heard: Heard
    more: bool
    """There may be more already."""


class TaskFeed:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def check(self, account_id: str, task_id: str) -> None:
        """Raises NotFound for a foreign task."""
        if await self._database.fetchval(_SQL["owned"], account_id, task_id) is None:
            raise NotFound

    async def begin(self, account_id: str, task_id: str, newest: int) -> Heard:
        """The place before a task's newest events, after all of them at 0. Raises NotFound."""
        row = await self._database.fetchrow(_SQL["begin"], account_id, task_id, newest)
        if row is None:
            raise NotFound
        parts = {int(channel): seq for channel, seq in (row["parts"] or {}).items()}
        if row["before"] is not None:
            parts[row["upto"]] = row["before"]
        return Heard(row["upto"], parts)

    async def after(self, task_id: str, heard: Heard) -> Look | None:
        """What has come since; None when the task is gone.

        What was heard is as a caller says: channels that are not of the task's runs are not read.
        """
        rows = await self._database.fetch(_SQL["channels"], task_id, heard.upto, [*heard.parts], AHEAD)
        if not rows:
            return None
        channels = [row for row in rows if row["id"] is not None]
        since = [heard.parts.get(row["id"], 0) for row in channels]
        until = [row["seq"] for row in channels]
        place = ([row["id"] for row in channels], since, until)
        return _look(heard, channels, await self._database.fetch(_SQL["lines"], *place, PAGE, PAGE_BYTES))


def _look(heard: Heard, channels: Sequence[asyncpg.Record], told: Sequence[asyncpg.Record]) -> Look:
    whole = len(told) < PAGE and sum(len(row["data"]) for row in told) < PAGE_BYTES
    reader = _Reader(heard, channels, told if whole else None)
    lines = [Line(row["type"], row["data"], row["at"], reader.heard(row)) for row in told]
    if not whole:
        return Look(lines, lines[-1].heard, more=True)
    after = reader.heard_all()
    return Look(lines, after, more=len(channels) >= AHEAD and after.upto > heard.upto)


class _Reader:
    """Counts how far a listener is, line by line of what was found."""

    def __init__(
        self, heard: Heard, channels: Sequence[asyncpg.Record], told: Sequence[asyncpg.Record] | None
    ) -> None:
        """`told` is all that the channels have to tell; None where there is more."""
        self._upto = heard.upto
        self._seqs: dict[int, int] = {row["id"]: row["seq"] for row in channels}
        self._places = {channel: heard.parts.get(channel, 0) for channel in self._seqs}
        self._last: dict[int, int] = {}
        """Of channels that are closed: the seq after which there is nothing more."""
        if told is not None:
            closed = {row["id"] for row in channels if not row["open"]}
            self._last = {row["channel_id"]: row["seq"] for row in told if row["channel_id"] in closed}
            for channel in closed - {*self._last}:
                del self._places[channel]

    def heard(self, row: asyncpg.Record) -> Heard:
        """After a line."""
        channel = row["channel_id"]
        self._upto = max(self._upto, channel)
        self._places[channel] = row["seq"]
        if self._last.get(channel) == row["seq"]:
            del self._places[channel]
        return self._now()

    def heard_all(self) -> Heard:
        """After all there is: past the runs that are over without a line, not past those that wait."""
        waiting = [run for run in self._places if run > self._upto and not self._seqs[run]]
        passed = min(waiting) - 1 if waiting else max(self._seqs, default=0)
        self._upto = max(self._upto, passed)
        self._places = {channel: self._seqs[channel] for channel in self._places}
        return self._now()

    def _now(self) -> Heard:
        return Heard(self._upto, {run: seq for run, seq in self._places.items() if run <= self._upto})
