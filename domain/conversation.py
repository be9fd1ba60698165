"""A conversation and its messages."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from domain.base import Frozen

MessageType = Literal[
    "user", "bot", "reasoning", "context", "instruction", "backstory", "activity", "checkpoint"
]

OnBusy = Literal["reject", "enqueue", "interrupt", "rollback", "steer"]
"""What a call does when another turn of its conversation is unfinished: it is refused, waits its turn, ends
the others, ends them and hides what they said, or hands its words to the turn that is there."""


class Conversation(Frozen):
    id: str
    name: str | None
    description: str | None
    meta: dict[str, Any]
    bot_id: str | None
    contact_id: str | None
    task_id: str | None
    skillset_id: str | None
    model: str | None
    backstory: str | None
    on_busy: OnBusy | None
    expires_at: datetime | None
    created_at: datetime
    updated_at: datetime


class Message(Frozen):
    id: str
    type: MessageType
    text: str
    name: str | None
    description: str | None
    meta: dict[str, Any]
    run_id: str | None
    created_at: datetime
    updated_at: datetime


class NewMessage(Frozen):
    """A message somebody hands in."""

    type: MessageType
    text: str
    meta: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None
