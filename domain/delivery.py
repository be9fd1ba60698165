"""A delivery: a result on its way to a target, and how far it has come."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, Literal

from domain.base import Frozen
from domain.run import Outcome, RunState

TargetKind = Literal["webhook", "email"]
Wanted = Literal["completed", "failed"]
"""Which ends of a run a target is told of."""
DeliveryState = Literal["pending", "delivered", "dead"]
"""On its way; it has come; it was given up, and an operator may send it again."""
Tried = Literal["delivered", "retried", "dead"]
"""What an attempt has made of it."""

CODES = frozenset(
    {
        *("ABORTED", "DELETED", "EXHAUSTED", "OUTCOME_UNKNOWN"),
        *("TARGET_DISABLED", "TARGET_GONE", "TARGET_REMOVED"),
    }
)
"""Why one was given up or an attempt failed; for ever, as all codes are.

Beside them PLAN_LOST, and of an attempt what `Answered.trouble` says, `HTTP_503` or `SMTP_451`.
ABORTED: its receiver asked for no further attempt · EXHAUSTED: its attempts or its time are used up ·
OUTCOME_UNKNOWN: nobody saw the attempt's end · TARGET_GONE: its receiver said 410 just now.
"""

PING = "test.ping"
WEBHOOK_BYTES = 20_000
"""A longer body goes without its text: receivers take no larger ones (Standard Webhooks 1.0.0)."""
EMAIL_BYTES = 262_144


class Told(Frozen):
    """How a run ended, as its targets are told of it."""

    run_id: str
    state: RunState
    outcome: Outcome | None
    """What its agent said of it."""
    reason: str | None
    """`end.reason` of its result."""
    text: str
    code: str | None
    message: str | None
    """What went wrong, for people."""
    tokens: int
    of: dict[str, str]
    """The ids that it concerns, by the names of the wire."""

    @property
    def wanted(self) -> Wanted:
        well = self.state == "succeeded" and self.outcome != "failure"
        return "completed" if well else "failed"

    @property
    def type(self) -> str:
        """Of the delivery: `task.completed`, `trigger.failed`, `conversation.completed` …"""
        noun = "trigger" if "triggerId" in self.of else "task" if "taskId" in self.of else "conversation"
        return f"{noun}.{self.wanted}"

    def body(self, now: datetime, most: int) -> bytes:
        """What is sent, byte for byte: JSON in ASCII. A text that makes it longer than `most` bytes is left
        out, and where to read it is said."""
        whole = self._written(now, self.text)
        return whole if len(whole) <= most else self._written(now, None)

    def _written(self, now: datetime, text: str | None) -> bytes:
        data: dict[str, Any] = {**self.of, "runId": self.run_id, "state": self.state}
        data |= {"outcome": self.outcome or ("success" if self.wanted == "completed" else "failure")}
        data |= {"text": text, "textOmitted": text is None, "end": {"reason": self.reason}}
        data |= {"error": {"code": self.code, "message": self.message}} if self.code else {}
        data |= {"usage": {"token": self.tokens}, "link": self._link}
        return written(self.type, now, data)

    @property
    def _link(self) -> str:
        """The path under which this server shows the result."""
        message_id, conversation_id = self.of.get("messageId"), self.of.get("conversationId")
        if message_id and conversation_id:
            return f"/v1/conversation/{conversation_id}/message/{message_id}/fetch"
        return f"/v1/run/{self.run_id}/fetch"


class Delivery(Frozen):
    """A result, or a ping, on its way or arrived, without its words."""

    id: str
    account_id: str
    target_id: str
    kind: TargetKind
    run_id: str | None
    """None: a ping."""
    task_id: str | None
    trigger_id: str | None
    type: str
    state: DeliveryState
    round: int
    attempts: int
    """Of this round, those that have ended."""
    next_at: datetime
    """When its next attempt is due; only of a pending one."""
    error_code: str | None
    """Of the newest attempt that failed, or why it is dead, or why some did not get what was delivered."""
    created_at: datetime
    ended_at: datetime | None


class Attempt(Frozen):
    """One attempt to deliver, and what was answered."""

    number: int
    round: int
    begun_at: datetime
    ended_at: datetime | None
    """None: it is under way."""
    status: int | None
    """Of HTTP or SMTP."""
    error_code: str | None
    headers: dict[str, str]
    body: str | None


class Kept(Frozen):
    """All that there is of a delivery."""

    delivery: Delivery
    body: bytes | None
    """What is sent, byte for byte; None: its words were removed."""
    attempts: tuple[Attempt, ...]
    """The newest first."""


class Again(Frozen):
    """What a call has set going anew."""

    count: int
    more: bool
    """There are others that fit."""


def written(type_: str, now: datetime, data: dict[str, Any]) -> bytes:
    """A body as Standard Webhooks has it: what happened, when, and what it is about."""
    at = now.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return json.dumps({"type": type_, "timestamp": at, "data": data}).encode("ascii")
