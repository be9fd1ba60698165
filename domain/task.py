"""A task: a saved agent job, what a run of it may take, and what its history tells."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal

from domain.base import Frozen
from domain.destination import OwnTargets
from domain.occurrences import LAST
from domain.schedule import Schedule, Timing, parse
from domain.tools import Limits

Overlap = Literal["skip", "buffer_one", "buffer_all", "cancel_other", "allow_all"]
"""What becomes of a run that is to begin while others of its task are unfinished."""
Became = Literal["due", "ran", "skipped", "missed", "paused", "excluded"]
"""What became of an occurrence: undecided yet; it has a run; there was another run, or a limit; nobody was
there in time; the task was paused; it was taken out by hand."""
Counted = Became | Literal["healed"]
"""As it is counted: one that ran, although nobody had fired it, was healed."""
Status = Literal["idle", "running", "canceled"]
Verdict = Literal["pending", "success", "failure"]

ITERATIONS, CALLS = (10, 1_000, 100_000), (1, 10_000, 100_000)
"""The fewest a task may have, what it has when it says nothing or less, the most (contract §6.1)."""
TIME = (900_000, 900_000, 86_400_000)
"""Milliseconds."""
LONGEST_SESSION = 3_600_000
LONGEST_JITTER = 3_600_000
SESSION = timedelta(days=1)
"""How long one conversation serves a task that says nothing of it."""
LEAST_CATCHUP = timedelta(seconds=10)
"""A firing takes its time too, and Temporal waits no less."""
USUAL_CATCHUP = timedelta(minutes=2)
"""What a task that says nothing waits at least: what nobody fired is found after more than a minute."""
LONGEST_CATCHUP = timedelta(days=1)
LATE = timedelta(seconds=5)
"""After which a run that began is called late."""


class Task(Frozen):
    id: str
    account_id: str
    trigger_id: str | None
    """Whose own schedule it holds; then no caller sees it."""
    name: str | None
    description: str | None
    meta: dict[str, Any]
    bot_id: str | None
    contact_id: str | None
    schedule: str | None
    timezone: str | None
    every: int | None
    start_at: datetime | None
    end_at: datetime | None
    overlap: Overlap
    catchup: int | None
    """Durations are milliseconds, here and below."""
    jitter: int
    pause_on_failure: bool
    session_duration: int | None
    max_iterations: int | None
    max_time: int | None
    max_calls: int | None
    expires_at: datetime | None
    paused_at: datetime | None
    note: str | None
    next_at: datetime | None
    """The first occurrence that is not in the ledger yet, paused or not."""
    revision: int
    created_at: datetime
    updated_at: datetime

    @property
    def timing(self) -> Timing:
        return Timing(
            schedule=self.schedule,
            timezone=self.timezone,
            every=self.every,
            start_at=self.start_at,
            end_at=self.end_at,
        )

    @property
    def due(self) -> Schedule:
        """What it means. What was allowed when it was made stays so, whatever the setting is now."""
        return kept(parse(self.timing, self.id, shortest=0), self.expires_at)

    @property
    def limits(self) -> Limits:
        return Limits(
            iterations=_within(self.max_iterations, ITERATIONS), calls=_within(self.max_calls, CALLS)
        )

    @property
    def seconds(self) -> float:
        """The time that a run of it may take."""
        return _within(self.max_time, TIME) / 1_000

    @property
    def session(self) -> timedelta:
        """How long a conversation serves its runs, from its beginning on; zero: each has its own."""
        return SESSION if self.session_duration is None else timedelta(milliseconds=self.session_duration)

    @property
    def ordered(self) -> bool:
        """Whether its runs go one at a time."""
        return self.overlap != "allow_all"


class Standing(Task):
    """A task, and how it stands."""

    status: Status
    outcome: Verdict
    """Of its newest run that has ended; pending where there is none, or one is running."""
    last_run_at: datetime | None
    """When its newest run began."""
    next_run_at: datetime | None
    """None while it is paused."""
    delivery: OwnTargets | None = None
    """Where its results go."""


def kept(schedule: Schedule, expires_at: datetime | None) -> Schedule:
    """When a task is due that is removed at some time, or never: not after that."""
    if expires_at is None or expires_at >= (schedule.end_at or LAST):
        return schedule
    return schedule.model_copy(update={"end_at": expires_at})


def patience(task: Task, period: timedelta | None) -> timedelta:
    """How late an occurrence may still run, whose period this is; None: it is the only one.

    A task that says nothing waits one period, 2 minutes at least, a day at most.
    """
    if task.catchup is not None:
        return max(timedelta(milliseconds=task.catchup), LEAST_CATCHUP)
    return LONGEST_CATCHUP if period is None else min(max(period, USUAL_CATCHUP), LONGEST_CATCHUP)


def _within(given: int | None, bounds: tuple[int, int, int]) -> int:
    """Null, nothing and less than the least are the default, as upstream has it."""
    least, usual, most = bounds
    return usual if given is None or given < least else min(given, most)
