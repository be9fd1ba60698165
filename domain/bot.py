"""A bot: the backstory and the model that answer in its name."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.base import Frozen


class Bot(Frozen):
    id: str
    alias: str | None
    name: str | None
    description: str | None
    meta: dict[str, Any]
    model: str | None
    backstory: str | None
    skillset_id: str | None
    created_at: datetime
    updated_at: datetime
