"""A rating: what somebody thought of a bot, a conversation or one of its messages."""

from __future__ import annotations

from datetime import datetime

from domain.base import Frozen

BEST, WORST = 100.0, -100.0
"""What a vote is worth unless it says otherwise; a rating lies between the two and is never 0."""


class Rating(Frozen):
    """Never changes, and goes with what was rated. Bot and contact are the conversation's of that day."""

    id: str
    conversation_id: str | None
    message_id: str | None
    bot_id: str | None
    contact_id: str | None
    value: float
    reason: str | None
    created_at: datetime


class Vote(Frozen):
    """A rating somebody gives."""

    value: float
    reason: str | None = None
