"""What sets a trigger off: a request from outside, a call by hand, its schedule, or one of these again."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from pydantic import Field

from domain.base import Frozen
from domain.run import RunState
from domain.trigger import Source

Verified = Literal["secret", "standard-webhooks", "github", "stripe", "slack", "shopify", "hmac", "none"]
"""How a request was known to come from whom it should: by the trigger's secret, by a preset of
domain/verification.py; or anybody was let in."""

Reception = Literal[
    "accepted",
    "duplicate",
    "conflict",
    "unauthenticated",
    "invalid",
    "limited",
    "unknown",
    "unavailable",
]
"""What becomes of a request that brings an event: accepted, or the same again; refused, because another one
has its id, nobody knows who sent it, something is wrong with it, too many come, or there is no such trigger;
or it is to come again, as a part of the server is down."""
ONCE = timedelta(days=30)
"""How long a second event of one id is the same one."""
EVENT_BYTES = 1_048_576
TOLD_BYTES = 262_144
"""As much of it is a model told, as of what a tool answers."""

ITERATIONS, CALLS, TIME = 1_000, 10_000, timedelta(hours=24)
"""The limits of an event's run."""


class Fired(NamedTuple):
    """The schedule that set a trigger off."""

    task_id: str
    """The hidden task that holds it."""
    workflow_id: str | None
    """Of the plan that is there already."""
    backfilled: bool = False
    """For a time that was past: it goes behind all others, in a conversation of its own."""


class Occasion(Frozen):
    """What sets a trigger off, before it is written."""

    event_id: str
    run_id: str
    """Both made beforehand."""
    trigger_id: str
    source: Source
    body: bytes = Field(repr=False)
    method: str | None = None
    query: dict[str, Any] = Field({}, repr=False)
    headers: dict[str, str] = Field({}, repr=False)
    content_type: str | None = None
    verified: Verified | None = None
    provider_id: str | None = None
    """What its source calls it."""
    ordering_key: str | None = None
    """Events of one key go one at a time."""
    session: str | None = None
    """What names its session; without one it has a conversation of its own, but for the calls by hand and
    the schedule's, which share theirs."""
    contact: dict[str, Any] | None = None
    """Columns of a contact to be found by its fingerprint or made."""
    replay_of: str | None = None
    fired: Fired | None = None
    traceparent: str | None = None

    @property
    def digest(self) -> bytes:
        return hashlib.sha256(self.body).digest()

    @property
    def shares_time(self) -> bool:
        """It goes on with the conversation of the schedule."""
        return self.source in ("invoke", "schedule") and not (self.fired and self.fired.backfilled)

    def session_key(self, schedule: str | None) -> bytes | None:
        """What the conversation is found by; hashed, as it may be somebody's address."""
        if self.shares_time:
            return _hashed("schedule", schedule or "never")
        return None if self.session is None else _hashed("session", self.session)

    @property
    def line(self) -> str | None:
        """The ordering key of its run."""
        if self.fired is not None:
            return self.fired.task_id if self.fired.backfilled else None
        if self.ordering_key is None:
            return None
        return f"{self.trigger_id}/{_hashed('order', self.ordering_key).hex()}"


class TriggerEvent(Frozen):
    """One that was kept, and how far what it set off has come."""

    id: str
    trigger_id: str
    source: Source
    method: str | None
    query: dict[str, Any] = Field(repr=False)
    headers: dict[str, str] = Field(repr=False)
    content_type: str | None
    body: bytes | None = Field(None, repr=False)
    kept: bool
    """Its body is still there."""
    size: int
    address: str | None
    verified: Verified | None
    provider_id: str | None
    ordering_key: str | None
    run_id: str | None
    """None: another event had its id already, and it was refused."""
    run_state: RunState | None
    conversation_id: str | None
    replay_of: str | None
    repeats: int
    """How often its source has sent it again."""
    received_at: datetime


def by_hand() -> bytes:
    """The body of a call without one."""
    return json.dumps({"type": "invoke", "manual": True}).encode()


def due(at: datetime) -> bytes:
    """The body of what the schedule sets off."""
    told = at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return json.dumps({"type": "schedule", "dueAt": told}).encode()


def told(body: bytes) -> dict[str, Any]:
    """What a model is told of a body: its beginning, if it is long. What is no text in UTF-8 is lost."""
    text = body[:TOLD_BYTES].decode(errors="replace").replace("\0", "\ufffd")
    if len(body) <= TOLD_BYTES:
        return {"body": text}
    return {"body": text, "bodyCut": f"These are the first {TOLD_BYTES:,} of {len(body):,} bytes."}


def _hashed(kind: str, text: str) -> bytes:
    return hashlib.sha256(f"{kind}:{text}".encode("utf-8", "surrogatepass")).digest()
