"""A bot: the backstory, the model and the tools that answer in its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from domain.base import Frozen

OnBudget = Literal["wait", "end"]
"""What becomes of a run whose budget of tokens is spent: it waits for a higher one, or ends."""


class Bot(Frozen):
    id: str
    alias: str | None
    name: str | None
    description: str | None
    meta: dict[str, Any]
    model: str | None
    backstory: str | None
    skillset_id: str | None
    on_budget: OnBudget | None
    created_at: datetime
    updated_at: datetime
