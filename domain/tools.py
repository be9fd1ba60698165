"""What an agent may call: functions that came with a request, abilities of its skillsets, and its own end."""

from __future__ import annotations

from typing import Any, Literal

from domain.base import Frozen

Effect = Literal["idempotent", "once"]
"""What a second attempt does: nothing more than the first (so it is retried), or harm (so it is not made)."""

Kind = Literal["data", "channel", "caller", "ability", "settle", "unknown"]
"""Who answers a call: the request's own data, a publish on a channel, the caller with a next request, an
ability, the agent's own end or delay; nobody, because the model named no tool of its own."""


class Function(Frozen):
    """A tool that came with a request."""

    name: str
    """A JavaScript identifier of at most 64 characters that does not begin with `_`."""
    description: str
    parameters: dict[str, Any]
    kind: Literal["data", "channel", "caller"]
    data: Any = None
    channel: str | None = None
    wait_seconds: int | None = None
    """How long its channel is waited on; the server's own patience when not given."""
    first: bool = False
    """The model is made to call it before anything else."""
    last: bool = False
    """Its answer ends the run, unless it failed."""


class InlineAbility(Frozen):
    """An ability that came with a request."""

    name: str
    description: str
    instruction: str
    secret_id: str | None = None


def placed(number: int) -> str:
    """The source of an ability that came with a request: its place there."""
    return f"request/{number}"


def place(source: str) -> int | None:
    """Where it stands in its request; None of one that is stored, whose source is its id."""
    return int(source.removeprefix("request/")) if source.startswith("request/") else None


class Limits(Frozen):
    """What a run may do before it is ended."""

    iterations: int | None = None
    """Rounds of the model."""
    continuations: int | None = None
    """How often an answer that was cut at its greatest length is gone on with."""
    calls: int | None = None
    """Calls of tools."""
    tokens: int | None = None
    """Input and output of all model calls, failed ones too."""
    seconds: float | None = None
    """From the beginning of a task's run to its end."""


ITERATIONS, CALLS = 100, 1_000
"""Of a run whose request names no limits: a model that goes round in circles ends some time."""


class Standing(Frozen):
    """Where a run stands between two rounds of its model."""

    iterations: int
    """Rounds that are over."""
    calls: int
    caller: bool
    """A call waits for the caller's next request."""
    last: bool
    """A call was answered, and did not fail, whose answer ends the run."""


def over(standing: Standing, limits: Limits) -> Literal["activity", "stop", "iteration"] | None:
    """Why the model is not asked again, if it is not."""
    if standing.caller:
        return "activity"
    if standing.last:
        return "stop"
    if standing.calls > (limits.calls or CALLS) or standing.iterations >= (limits.iterations or ITERATIONS):
        return "iteration"
    return None
