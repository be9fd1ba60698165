"""What the front desk hands to the accept transaction, and what it gets back."""

from __future__ import annotations

from typing import Any

from domain.account import Caller
from domain.base import Frozen
from domain.conversation import OnBusy
from domain.destination import Said
from domain.plans import Plan
from domain.run import Asked, Lane, Run, RunKind, Stop


class Key(Frozen):
    """A caller's claim that a repeat is the same call: Idempotency-Key, and the hash of what it asks."""

    route: str
    """The path with its ids, without the prefix."""
    value: str | None
    """The header; null for a call that may not be repeated."""
    fingerprint: bytes
    """Keyed hash of route and parsed body."""


class Work(Frozen):
    """A run to be accepted."""

    run_id: str
    caller: Caller
    lane: Lane
    key: Key
    asked: Asked
    conversation_id: str | None = None
    bot_id: str | None = None
    contact_id: str | None = None
    task_id: str | None = None
    trigger_id: str | None = None
    ordering_key: str | None = None
    """It waits for the other runs of this key, and of its task."""
    backfilled: bool = False
    """It goes behind all of them, for a time that was past."""
    workflow: str | None = None
    """The id of its workflow, where that is there before it."""
    contact: dict[str, Any] | None = None
    """A contact to be found by its fingerprint or made, instead of a contact's id."""
    channel: str
    """The same name is the same call, whoever chose it."""
    on_busy: OnBusy | None = None
    destinations: tuple[Said, ...] = ()
    """Where its result goes, by the call that asks for it."""
    batch_ms: int = 0
    """Milliseconds it waits for other calls to join it."""
    traceparent: str | None = None
    """The span of this acceptance (W3C Trace Context), which the run's other spans go under."""

    @property
    def account_id(self) -> str:
        return self.caller.account_id

    @property
    def kind(self) -> RunKind:
        if self.trigger_id is not None:
            return "trigger_event"
        if self.task_id is not None:
            return "task_run"
        if self.asked.call is not None:
            return "ability"
        return "completion" if self.conversation_id is None else "turn"

    @property
    def about(self) -> dict[str, str]:
        """What the audit log says this concerns."""
        concerned = {
            "runId": self.run_id,
            "conversationId": self.conversation_id,
            "botId": self.bot_id,
            "contactId": self.contact_id,
            "taskId": None if self.trigger_id else self.task_id,
            "triggerId": self.trigger_id,
            "abilityId": self.asked.call.source if self.asked.call else None,
        }
        return {name: value for name, value in concerned.items() if value is not None}


class Accepted(Frozen):
    """A run that is durable now, by this call or by an earlier one with the same key."""

    run: Run
    again: bool = False
    cancel: tuple[Plan, ...] = ()
    """Plans of runs this one ended."""
    stopped: Stop = "interrupted"
    """How it ended them."""
