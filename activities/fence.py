"""What an attempt holds its step with."""

from __future__ import annotations

from temporalio import activity


def fence() -> int:
    """Grows with every attempt, and with every reset of the workflow, which begins at attempt 1 again."""
    info = activity.info()
    return int(info.scheduled_time.timestamp() * 1_000_000) * 1_000 + min(info.attempt, 999)
