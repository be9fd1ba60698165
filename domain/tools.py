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
    """Its answer ends the run."""


class InlineAbility(Frozen):
    """An ability that came with a request."""

    name: str
    description: str
    instruction: str
    secret_id: str | None = None


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
