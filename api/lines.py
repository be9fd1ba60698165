"""What the lines of streams carry, by the type of event; they are rendered when they are logged."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal

from api.wire import Item


@dataclasses.dataclass(frozen=True)
class Lines:
    """`{"type": …, "data": …}`, one a line; the data of each type is shown as its model says."""

    name: str
    """What a line is called in the document."""
    carried: Mapping[str, Any]
    """An Item, or several with `|` between them."""
    numbered: bool = True
    """Each has a `seq`, its place in its stream."""
    dated: bool = False
    """Each has a `createdAt`, and an `id` after which its reader goes on."""
    inside: bool = False
    """Each is the data of a `message`, as it is in a channel."""
    published: bool = False
    """Whatever object somebody published may be there too."""


class Token(Item):
    token: str


class Iteration(Item):
    """A round of the model; a higher attempt of the same one makes what was heard of it void."""

    iteration: int
    attempt: int


class Spoken(Item):
    """A message that was added; its id where it was kept."""

    type: Literal["bot", "activity", "instruction", "checkpoint"]
    """The last two only of a task's run: what it is to do, and how much of its limits is used."""
    text: str
    meta: dict[str, Any] | None = None
    id: str | None = None


class Used(Item):
    """Tokens of one call of a model."""

    model: str
    input_tokens_used: int
    output_tokens_used: int


class Abort(Item):
    """Why the run was stopped."""

    reason: str
    function_name: str | None = None
    """The function whose answer stopped it."""


class Failure(Item):
    """Why there is no result."""

    message: str
    code: str
    run_id: str | None = None


class Merged(Item):
    """From here on another run answers, and its events follow."""

    run_id: str


class SendResult(Item):
    """The user's message, now in its conversation."""

    id: str
    text: str
    entities: tuple[dict[str, Any], ...]


class Arguments(Item):
    """A call of a function."""

    name: str
    args: Any = None


class Wait(Item):
    """A call that is answered by whoever publishes on the channel."""

    channel: str
    function: Arguments
    message: dict[str, Any] | None = None
    """What was published, once it was; only with `X-Holdfast-Events: all`."""


class Action(Item):
    id: str
    kind: str
    name: str
    input: Any = None


class Operation(Item):
    """A call of a tool, as it begins and ends."""

    id: str
    action: Action


TOLD: Mapping[str, Any] = {
    "token": Token,
    "reasoningToken": Token,
    "message": Spoken,
    "usage": Used,
    "completeBegin": Iteration,
    "completeEnd": Iteration,
    "abort": Abort,
    "error": Failure,
    "sendResult": SendResult,
    "merged": Merged,
    "operationBegin": Operation,
    "operationEnd": Operation,
    "waitForChannelMessageBegin": Wait,
    "waitForChannelMessageEnd": Wait,
}
"""What is heard of every completion, besides its result."""


def turn(result: Any) -> Mapping[str, Any]:
    """All that is heard of a completion with a result of this kind."""
    return {**TOLD, "receiveResult": result, "result": result}
