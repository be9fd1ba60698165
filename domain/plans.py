"""How a run becomes a Temporal workflow: names and start options, as plain data."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain import ids
from domain.base import Frozen
from domain.run import Lane, RunKind

TASK_TIMEOUT = timedelta(seconds=2)
"""A workflow task lost with its worker is given to another after this."""

PRIORITY: dict[Lane, int] = {"interactive": 1, "background": 3, "scheduled": 5}
"""Temporal's priority key, 1 (first) to 5."""


def deliveries_queue(task_queue: str) -> str:
    """Where attempts to deliver wait for places of their own when there are many: they hold up no run."""
    return f"{task_queue}-deliveries"


class Plan(Frozen):
    """What the starter needs to start or to find a run's workflow. Its kind is the workflow's name."""

    run_id: str
    account_id: str
    kind: RunKind
    lane: Lane
    workflow_id: str
    conversation_id: str | None = None
    bot_id: str | None = None
    task_id: str | None = None
    trigger_id: str | None = None
    delay: float = 0.0
    """Seconds from its start until it begins."""
    waits: bool = False
    """It may wait for its turn, which has come."""


class RunInput(Frozen):
    """The one argument of a run's workflow."""

    run_id: str
    ordinal: int = 1
    """The model step it goes on with."""


class TaskInput(Frozen):
    """The one argument of the workflow of a task run and of a trigger's event."""

    task_id: str | None = None
    """Of an event, only where its trigger's own schedule has fired."""
    run_id: str | None = None
    """None where a schedule has fired: its run is made by the first step, or there is none."""
    ordinal: int = 1
    """The model step it goes on with."""


class PlaceInput(Frozen):
    task_id: str | None = None
    run_id: str | None = None
    fired_at: datetime | None = None
    """The time that the schedule fired for."""
    workflow_id: str


class Place(Frozen):
    """Where a task's run is."""

    run_id: str | None = None
    """None: what fired stands for nothing, or for a run that is somebody else's."""
    admitted: bool = False
    seconds: float = 0.0
    """The time that it may still take."""


class SettleInput(Frozen):
    task_id: str


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


class DeliveryInput(Frozen):
    """The one argument of a delivery's workflow."""

    delivery_id: str
    round: int = 1
    """How often it was set going."""
    apart: bool = False
    """Of an attempt: it has a place that no run waits for."""


class Errand(Frozen):
    """What is needed to start or to find a delivery's workflow."""

    delivery_id: str
    account_id: str
    round: int
    task_id: str | None = None
    trigger_id: str | None = None

    @property
    def workflow_id(self) -> str:
        return ids.delivery_workflow(self.delivery_id, self.round)

    @property
    def key(self) -> tuple[str, int]:
        return self.delivery_id, self.round


class AttemptResult(Frozen):
    """What an attempt to deliver tells its plan."""

    over: bool
    """It is delivered, or given up."""
    seconds: float = 0.0
    """Until the next attempt."""
    crowded: bool = False
    """None was made: it would have taken its place from a run, and waits for another."""


class FinishInput(Frozen):
    run_id: str
    code: str


class Progress(Frozen):
    """The answer of every workflow's `progress` query: ordinals and counts, no words."""

    phase: str = "waiting"
    """waiting · model · calls · budget · delivery · finish · closed"""
    step: int = 0
    """The newest model step."""
    attempts: int = 0
    """Attempts of the newest step that ended, as its activity counted them; of a delivery, all that began."""
    calls: int = 0
    """Calls being made now."""
    waits: int = 0
    """What is being waited for: publishes, times, a budget."""
