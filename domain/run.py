"""A run: one accepted piece of work, from its request to its end."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from domain.account import Caller
from domain.base import Frozen
from domain.completion import EndReason, Usage
from domain.conversation import NewMessage
from domain.toolbox import Asking
from domain.tools import Function, InlineAbility, Limits

RunKind = Literal["completion", "turn", "ability", "task_run", "trigger_event"]
"""The agent on the messages of a request, the agent in a conversation, one call of an ability, the agent on a
task, or on what set a trigger off."""
RunState = Literal[
    "queued", "running", "succeeded", "failed", "canceled", "interrupted", "rolled_back", "merged"
]
Lane = Literal["interactive", "background", "scheduled"]
"""Who waits for it: a caller on the line, somebody some time, or nobody. In this order they are admitted."""

Place = Literal["waiting", "active", "parked"]
"""Where a run is that has not ended: not admitted yet, at work, or it only waits and takes up no place."""
Wait = Literal["publish", "time", "budget"]
"""What a run waits for: an answer on a channel, a moment, a higher budget of tokens."""

Stop = Literal["canceled", "deleted", "interrupted", "rolled_back", "function"]
"""Why a run was stopped: it was cancelled, its conversation or task was deleted, another run took its
place (and hid what it said), or whoever answered a function said so."""
Outcome = Literal["success", "failure"]
"""What an agent says of its own background run."""

OPEN: frozenset[RunState] = frozenset({"queued", "running"})


class Asked(Frozen):
    """The words of a request: all of a stateless one, the new message of a turn."""

    text: str | None = None
    messages: tuple[NewMessage, ...] = ()
    model: str | None = None
    backstory: str | None = None
    timezone: str | None = None
    skillset_id: str | None = None
    functions: tuple[Function, ...] = ()
    abilities: tuple[InlineAbility, ...] = ()
    """Of the request's own skillsets."""
    extra_backstory: str | None = None
    """Said after the backstory, whoever's that is."""
    settles: bool = False
    """The agent has the tools that end or delay a background run."""
    call: Asking | None = None
    """All that a run of the kind `ability` does."""
    limits: Limits = Limits()


class Run(Frozen):
    id: str
    account_id: str
    kind: RunKind
    lane: Lane
    state: RunState
    conversation_id: str | None
    bot_id: str | None
    contact_id: str | None
    task_id: str | None = None
    """Of a trigger's run the hidden one's, if its own schedule made it; see `shown_task`."""
    trigger_id: str | None = None
    event_id: str | None = None
    """What set the trigger off."""
    channel_id: int
    channel: str
    workflow_id: str
    accepted_seq: int | None
    created_at: datetime
    admitted_at: datetime | None
    begun_at: datetime | None
    ended_at: datetime | None
    end_reason: EndReason | None
    error_code: str | None
    error_message: str | None
    message_id: str | None
    input_tokens: int
    output_tokens: int
    wasted_tokens: int = 0
    """Of attempts that failed: spent, and no usage."""
    budget: int | None = None
    """Tokens it may spend."""
    short_at: datetime | None = None
    """Since when its budget is spent and it waits for a higher one."""
    outcome: Outcome | None = None
    parked_at: datetime | None = None
    merged_into: str | None = None
    """The run that answers for it."""
    request: str | None
    keyed: bool
    """The caller brought a key and may ask again."""

    @property
    def stateless(self) -> bool:
        return self.conversation_id is None

    @property
    def shown_task(self) -> str | None:
        """Nobody sees the hidden task of a trigger."""
        return None if self.trigger_id is not None else self.task_id


class Step(Frozen):
    ordinal: int
    kind: str
    state: Literal["waiting", "running", "done", "failed"]
    iteration: int
    attempt: int
    name: str | None
    """Of a call: the tool."""
    tool: str | None
    """Of a call: who answers it."""
    effect: str | None
    deadline: datetime | None
    request_id: str | None
    response_id: str | None
    model: str | None
    error_code: str | None
    error_message: str | None
    input_tokens: int
    output_tokens: int
    begun_at: datetime
    ended_at: datetime | None


class Answer(Frozen):
    """What a step's model said, whole."""

    text: str
    reason: Literal["stop", "length", "calls"]
    usage: Usage
    model: str
    calls: tuple[Asking, ...] = ()
    carry: str | None = None


class Ending(Frozen):
    """How a run ends when its model does not end it."""

    state: Literal["failed", "canceled", "interrupted", "rolled_back"]
    code: str | None = None
    message: str | None = None
    reason: Stop = "canceled"
    """Said in the `abort` event of a run that was stopped."""
    function: str | None = None
    """The function whose answer stopped it."""
    by: Caller | None = None
    """Who ended it; None where the server did."""
    keep_request: bool = False
    """Whether the user message of a run that never began enters its conversation all the same."""


CANCELED = Ending(state="canceled", reason="canceled")


def canceled(by: Caller) -> Ending:
    return CANCELED.model_copy(update={"by": by})


def interrupted(by: Caller) -> Ending:
    return Ending(state="interrupted", reason="interrupted", by=by, keep_request=True)


def rolled_back(by: Caller) -> Ending:
    return Ending(state="rolled_back", reason="rolled_back", by=by)


def failed(code: str, message: str) -> Ending:
    return Ending(state="failed", code=code, message=message, keep_request=True)
