"""What the runs of a task came to, over time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from api.call import Call
from api.usage import PeriodQuery
from api.wire import At, Item
from domain.errors import BadRequest
from domain.usage import Period, RunsUsed

_USUAL = timedelta(days=30)
_LONGEST = timedelta(days=366)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)
"""No run has ended before, and none will after."""


class Figures(Item):
    """Of runs that ended."""

    runs: int
    success: int
    failure: int
    canceled: int
    tokens: int


class Durations(Item):
    """Milliseconds from the beginning to the end of those that had begun; nothing where none had."""

    p50: int | None = None
    p95: int | None = None


class TaskDay(Figures):
    date: At
    """Midnight in UTC."""
    p50: int | None = None
    p95: int | None = None


class TaskFigures(Figures):
    durations: Durations
    series: tuple[TaskDay, ...]
    """Each day in UTC, those without runs too."""


async def fetch(call: Call, query: PeriodQuery) -> TaskFigures:
    """The 30 days up to now, or up to `to`, if `from` does not say more; 366 days at most."""
    begin, end = _bounded(query.period)
    whole, days = await call.store.task_usage.fetch(call.account_id, call.id("task"), begin, end)
    return TaskFigures(
        **_counts(whole),
        durations=Durations.model_validate(whole),
        series=tuple(TaskDay(**_counts(day), date=day.day, p50=day.p50, p95=day.p95) for day in days),
    )


def _bounded(period: Period) -> tuple[datetime, datetime]:
    """Raises BadRequest."""
    now = datetime.now(UTC)
    end = _within(period.end or max(now, period.begin or now))
    begin = _within(period.begin or end - _USUAL)
    if end - begin > _LONGEST:
        raise BadRequest(f"from: lies more than {_LONGEST.days} days before to; ask for fewer at a time.")
    return begin, end


def _within(at: datetime) -> datetime:
    """The first and the last moments there are stand for no beginning and no end, whose days never end."""
    return min(max(at, _FIRST), _LAST)


def _counts(used: RunsUsed) -> dict[str, int]:
    return {name: getattr(used, name) for name in Figures.model_fields}
