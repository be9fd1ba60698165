"""A task: how late it may run, and when it is due."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.occurrences import following
from domain.task import patience
from tests.domain.test_projection import DAY, HOUR, NOW, task

SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.mark.parametrize(
    ("catchup", "period", "late"),
    [
        # Found 30 to 90 seconds late, it would be missed half of the time.
        (None, SECOND, 2 * MINUTE),
        (None, MINUTE, 2 * MINUTE),
        (None, HOUR, HOUR),
        (None, 7 * DAY, DAY),
        (None, None, DAY),
        (0, HOUR, 10 * SECOND),
        (9_999, None, 10 * SECOND),
        (10_001, SECOND, timedelta(milliseconds=10_001)),
        (86_400_000, SECOND, DAY),
    ],
)
def test_a_time_may_be_late_as_the_task_says_or_by_one_period_within_bounds(
    catchup: int | None, period: timedelta | None, late: timedelta
) -> None:
    assert patience(task(catchup=catchup), period) == late


def test_a_task_is_due_until_it_ends_or_is_removed_whichever_comes_first() -> None:
    def times(**more: datetime) -> int:
        return len(following(task(schedule="0 13 * * *", **more).due, NOW, 5))

    assert times(expires_at=NOW + HOUR) == 1
    assert times(expires_at=NOW + 3 * DAY) == 3
    assert times(expires_at=NOW + 3 * DAY, end_at=NOW + 2 * DAY) == 2
    assert times(expires_at=NOW + 2 * DAY, end_at=NOW + 3 * DAY) == 2
    assert times(expires_at=NOW + DAY, start_at=NOW + 2 * DAY) == 0
    assert times(expires_at=datetime(2500, 1, 1, tzinfo=UTC)) == 5


def test_a_removal_after_the_years_that_a_schedule_knows_gives_it_no_more_of_them() -> None:
    assert task(schedule="daily", expires_at=datetime(2500, 1, 1, tzinfo=UTC)).due.end_at is None
