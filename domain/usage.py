"""Usage: what an account, a bot or a conversation used, in a period."""

from __future__ import annotations

from datetime import datetime

from domain.base import Frozen

SERIES_DAYS = 90
"""Days of a series, today included (contract §4.9)."""


class Period(Frozen):
    """From the beginning, which is in it, to the end, which is not; None is open."""

    begin: datetime | None = None
    end: datetime | None = None


class Used(Frozen):
    """Tokens of runs that ended in the period; conversations begun, and messages that came into them."""

    tokens: int
    conversations: int
    messages: int


class UsedDay(Used):
    """What was used on one day."""

    day: datetime
    """Midnight in UTC."""


class UsedByRun(Frozen):
    """What one run used."""

    id: str
    type: str
    count: int
    """Tokens."""
    conversation_id: str | None
    bot_id: str | None
    contact_id: str | None
    task_id: str | None
    trigger_id: str | None
    event_id: str | None
    message_id: str | None
    created_at: datetime
    updated_at: datetime
    """When it ended, and its tokens with it."""


class Kept(Frozen):
    """What an account has of the things that upstream counts beside its usage."""

    skillsets: int
    abilities: int


class RunsUsed(Frozen):
    """What the runs of a task that ended in a period came to."""

    runs: int
    success: int
    failure: int
    canceled: int
    tokens: int
    p50: int | None
    """Milliseconds from the beginning to the end, of half of those that had begun; None where none had."""
    p95: int | None


class RunsDay(RunsUsed):
    """The same, of one day."""

    day: datetime
    """Midnight in UTC."""
