"""How a run becomes a Temporal workflow: names and start options, as plain data."""

from __future__ import annotations

from datetime import timedelta

from domain.base import Frozen
from domain.run import Lane, RunKind

TASK_TIMEOUT = timedelta(seconds=2)
"""A workflow task lost with its worker is given to another after this."""

PRIORITY: dict[Lane, int] = {"interactive": 1, "background": 3}
"""Temporal's priority key, 1 (first) to 5; 5 is left to what is scheduled."""


class Plan(Frozen):
    """What the starter needs to start or to find a run's workflow. Its kind is the workflow's name."""

    run_id: str
    account_id: str
    kind: RunKind
    lane: Lane
    workflow_id: str
    conversation_id: str | None = None
    bot_id: str | None = None
    delay: float = 0.0
    """Seconds from its start until it begins."""


class RunInput(Frozen):
    """The one argument of a run's workflow."""

    run_id: str
    ordinal: int = 1
    """The model step it goes on with."""


class StepInput(Frozen):
    run_id: str
    ordinal: int


class ReplyResult(Frozen):
    """What a model step tells its plan."""

    outcome: str
    """`final`: it ended the run · `ended`: the run was over before it · `next`: the plan goes on."""
    attempt: int = 0
    calls: tuple[int, ...] = ()
    """The steps of calls to be made before the next model step."""
    waits: bool = False
    """Something is to be waited for before it."""
    next: int = 0
    """The next model step."""


class CallResult(Frozen):
    """What a call's step tells its plan."""

    outcome: str
    """`answered` · `ended`: the run was over before it."""
    attempt: int = 0


class LookInput(Frozen):
    run_id: str


class LookResult(Frozen):
    """What is still waited for."""

    left: int = 0
    seconds: float = 0.0
    """Until the next time something is due."""
    budget: bool = False
    """A higher budget is waited for."""


class FinishInput(Frozen):
    run_id: str
    code: str


class Progress(Frozen):
    """The answer of every workflow's `progress` query: ordinals and counts, no words."""

    phase: str = "waiting"
    """waiting · model · calls · budget · finish · closed"""
    step: int = 0
    """The newest model step."""
    attempts: int = 0
    """Attempts of the newest step that ended, as its activity counted them."""
    calls: int = 0
    """Calls being made now."""
    waits: int = 0
    """What is being waited for: publishes, times, a budget."""
