"""What Temporal is told of a task."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.errors import BadRequest
from domain.projection import note, projected
from domain.task import Task

NOW = datetime(2027, 3, 1, 12, tzinfo=UTC)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def task(**given: Any) -> Task:
    fields = dict.fromkeys(Task.model_fields) | {
        "id": "task_1",
        "account_id": "acct_1",
        "meta": {},
        "overlap": "skip",
        "jitter": 0,
        "pause_on_failure": False,
        "next_at": NOW + HOUR,
        "revision": 3,
        "created_at": NOW,
        "updated_at": NOW,
    }
    return Task(**fields | given)


@pytest.mark.parametrize(
    ("given", "catchup"),
    [
        ({"schedule": "hourly"}, HOUR),
        ({"schedule": "weekly"}, DAY),
        ({"schedule": "07:30"}, DAY),
        # An hour apart, and then 23: the longest counts.
        ({"schedule": "0 13,14 * * *"}, timedelta(hours=23)),
        ({"schedule": "2027-04-01"}, DAY),
        ({"every": 2_000}, timedelta(minutes=2)),
        ({"every": 2_000, "catchup": 0}, timedelta(seconds=10)),
        ({"every": 2_000, "catchup": 90_000}, timedelta(seconds=90)),
    ],
)
def test_temporal_waits_as_long_as_the_task_does_and_ten_seconds_at_least(
    given: dict[str, Any], catchup: timedelta
) -> None:
    told = projected(task(**given), NOW)

    assert told is not None
    assert told.catchup == catchup


@pytest.mark.parametrize("given", [{}, {"schedule": "never"}, {"schedule": "hourly", "next_at": None}])
def test_a_task_that_is_not_due_again_has_no_projection(given: dict[str, Any]) -> None:
    assert projected(task(**given), NOW) is None


def test_what_is_no_rule_is_refused() -> None:
    with pytest.raises(BadRequest):
        projected(task(schedule="now and then"), NOW)


def test_what_was_allowed_once_is_told_whatever_the_shortest_period_is_now() -> None:
    assert projected(task(every=1_000), NOW) is not None


@pytest.mark.parametrize(
    ("schedule", "said"),
    [
        (None, "revision 3"),
        ("monthly", "revision 3"),
        (" daily ", "revision 3"),
        ("0 7 * * *", "revision 3, clocks of 2027"),
        ("07:30", "revision 3, clocks of 2027"),
    ],
)
def test_the_year_is_part_of_what_depends_on_its_clocks(schedule: str | None, said: str) -> None:
    assert note(3, schedule, 2027) == said


def test_a_projection_says_whose_it_is_whether_it_is_paused_and_what_it_was_told() -> None:
    told = projected(task(schedule="daily", bot_id="bot_1", paused_at=NOW, jitter=5_000), NOW)

    assert told is not None
    assert (told.task_id, told.account_id, told.bot_id) == ("task_1", "acct_1", "bot_1")
    assert (told.paused, told.jitter, told.note) == (True, timedelta(seconds=5), "revision 3")


def test_temporal_fires_nothing_after_a_task_is_removed() -> None:
    told = projected(task(schedule="daily", expires_at=NOW + DAY), NOW)
    until = projected(task(schedule="daily", end_at=NOW + HOUR, expires_at=NOW + DAY), NOW)

    assert told is not None
    assert until is not None
    assert (told.spec.end_at, until.spec.end_at) == (NOW + DAY, NOW + HOUR)
