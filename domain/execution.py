"""An execution: what is seen of one run of a task."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.base import Frozen
from domain.task import Status, Verdict


class Execution(Frozen):
    id: str
    """Its run's."""
    task_id: str
    conversation_id: str | None
    """Kept as a plain id when the conversation is gone."""
    name: str | None
    description: str | None
    meta: dict[str, Any]
    summary: str | None
    """What its agent said of it in the end."""
    status: Status
    outcome: Verdict
    occurrence_id: str | None
    """The occurrence it is the run of; None where it was asked for."""
    due_at: datetime | None
    created_at: datetime
    updated_at: datetime
    completed_at: datetime | None
    resume_at: datetime | None
    """When its agent goes on, while it only waits for that."""
