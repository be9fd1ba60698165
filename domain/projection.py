"""What Temporal is told of a task: when it fires, for whom, and what its schedule says of itself."""

from __future__ import annotations

from datetime import datetime, timedelta

from domain.base import Frozen
from domain.calendars import Spec, calendars
from domain.occurrences import following, periods
from domain.schedule import WORDS, Schedule
from domain.task import Task, patience

_NEAR = 4
"""The next occurrences whose distances tell of a period: those of `0 7 * * 1-5` differ."""


class Projection(Frozen):
    task_id: str
    trigger_id: str | None
    """Whose own schedule it is; a firing sets that off."""
    account_id: str
    bot_id: str | None
    spec: Spec
    next_at: datetime
    """The first time it is due that nothing became of yet."""
    catchup: timedelta
    """How late it may still fire; what a firing then becomes is not Temporal's to say."""
    jitter: timedelta
    paused: bool
    note: str


def projected(task: Task, now: datetime) -> Projection | None:
    """None: nothing is due any more, so that there is no schedule. Raises BadRequest for what is no rule."""
    schedule = task.due
    if task.next_at is None or schedule.rule is None:
        return None
    return Projection(
        task_id=task.id,
        trigger_id=task.trigger_id,
        account_id=task.account_id,
        bot_id=task.bot_id,
        spec=calendars(schedule, now.year),
        next_at=task.next_at,
        catchup=_catchup(task, schedule, now),
        jitter=timedelta(milliseconds=task.jitter),
        paused=task.paused_at is not None,
        note=note(task.revision, task.schedule, now.year),
    )


def note(revision: int, schedule: str | None, year: int) -> str:
    """By which a schedule is compared with its task, and the year too where it is told of the year's clocks.

    It holds no words: they stay out of Temporal. Who pauses a schedule by hand writes another one.
    """
    clocks = (schedule or "").strip() not in ("", *WORDS)
    return f"revision {revision}, clocks of {year}" if clocks else f"revision {revision}"


def _catchup(task: Task, schedule: Schedule, now: datetime) -> timedelta:
    near = periods(schedule, sorted({one.at for one in following(schedule, now, _NEAR)}))
    return max((patience(task, period) for period in near), default=patience(task, None))
