"""A trigger: an agent that outside events set to work, and its own schedule."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import Field, SecretStr

from domain.base import Frozen
from domain.destination import OwnTargets
from domain.pointer import Where
from domain.verification import TIMED, Verification

Source = Literal["event", "invoke", "schedule", "replay"]
"""What set it off: something outside, somebody by hand, its own schedule, or an earlier event once more."""

LONGEST_SESSION = 31 * 86_400_000
"""Milliseconds: a month."""
SECRET_BYTES = 32
MOST_SIGNING = 2
"""Secrets that a source may sign with: while it goes from one to the other there are two."""


class Trigger(Frozen):
    """A trigger without its secrets."""

    id: str
    account_id: str
    alias: str | None
    name: str | None
    description: str | None
    """What its agent is told to do with an event."""
    meta: dict[str, Any]
    bot_id: str | None
    authenticate: bool
    """Whether a source has to show its secret; where it is to sign, that is asked for instead."""
    verification: Verification | None
    event_id: Where | None
    """Where an event says which one it is."""
    ordering_key: Where | None
    """Where an event says which others go before it."""
    session_duration: int | None
    """Milliseconds."""
    task_id: str
    """Of the hidden task that holds its schedule; no caller sees it."""
    schedule: str | None
    timezone: str | None
    created_at: datetime
    updated_at: datetime


class Shown(Trigger):
    """A trigger as its owner sees it."""

    secret: SecretStr | None = Field(repr=False)
    """None: no key of this server opens it."""
    secret_count: int | None
    """How many a source may sign with."""
    last_trigger_at: datetime | None
    """When something last set it off."""
    next_trigger_at: datetime | None
    """When it is due next by its own schedule."""
    delivery: OwnTargets | None
    """Where its results go."""

    @property
    def signs(self) -> dict[str, Any] | None:
        """How its source is to sign: what was said of it and means something."""
        if self.verification is None:
            return None
        of_hmac = {"header", "algorithm", "encoding", "prefix"}
        how = self.verification.model_dump(exclude=set() if self.verification.preset == "hmac" else of_hmac)
        if self.verification.preset not in TIMED:
            del how["tolerance"]
        return how | {"secret_count": self.secret_count}
