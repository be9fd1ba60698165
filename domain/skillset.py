"""A skillset: abilities that a bot or a conversation has together."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.base import Frozen
from domain.tools import InlineAbility

ABILITIES = 100
"""The most of a skillset: as many tools as a run may have in all (contract §3.1)."""


class Skillset(Frozen):
    id: str
    alias: str | None
    name: str | None
    description: str | None
    meta: dict[str, Any]
    created_at: datetime
    updated_at: datetime


class Ability(Frozen):
    id: str
    name: str
    description: str
    """What a model is told of it."""
    meta: dict[str, Any]
    instruction: str
    """One fenced block that says what is done; see domain/instructions.py."""
    secret_id: str | None
    """Of a secret of the account; it may be gone."""
    created_at: datetime
    updated_at: datetime


class StoredAbility(InlineAbility):
    """An ability of a skillset, as an agent has it."""

    id: str
