"""Timeouts and retries of every activity, in one table."""

from __future__ import annotations

from datetime import timedelta
from typing import TypedDict

from temporalio.common import RetryPolicy


class LocalOptions(TypedDict):
    start_to_close_timeout: timedelta
    retry_policy: RetryPolicy


class Options(LocalOptions):
    heartbeat_timeout: timedelta


TURN = timedelta(minutes=10)
"""Between two looks of a run whose turn has not come, should nobody tell it."""

# Database steps are repeated for as long as the run lives: a run that cannot record its end must not end.
DATABASE: LocalOptions = {
    "start_to_close_timeout": timedelta(seconds=15),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=5),
    ),
}

# The heartbeat is the recovery time after a worker dies. Postgres is waited out inside the activity.
# Of its attempts the model may fail five (activities/models.py); the others are for workers that die.
MODEL: Options = {
    "start_to_close_timeout": timedelta(minutes=30),
    "heartbeat_timeout": timedelta(seconds=4),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=13,
    ),
}

# One call of a tool; its own client gives up sooner. What a worker's death costs is not the tool's failure.
TOOL: Options = {
    "start_to_close_timeout": timedelta(minutes=5),
    "heartbeat_timeout": timedelta(seconds=4),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=8,
    ),
}

LATER = timedelta(minutes=1)
"""Before a delivery is taken up again whose attempts could not even be noted."""

# One attempt to deliver a result; when it is made again, Postgres says. Here are those of workers that die.
DELIVERY: Options = {
    "start_to_close_timeout": timedelta(minutes=4),
    "heartbeat_timeout": timedelta(seconds=4),
    "retry_policy": RetryPolicy(
        initial_interval=timedelta(milliseconds=100),
        backoff_coefficient=2,
        maximum_interval=timedelta(seconds=30),
        maximum_attempts=10,
    ),
}

UPKEEP: Options = {
    "start_to_close_timeout": timedelta(minutes=2),
    "heartbeat_timeout": timedelta(seconds=30),
    "retry_policy": RetryPolicy(maximum_attempts=3),
}
