"""A contact: the person a conversation is held with."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain.base import Frozen


class Contact(Frozen):
    id: str
    name: str | None
    description: str | None
    meta: dict[str, Any]
    fingerprint: str
    email: str | None
    phone: str | None
    nick: str | None
    preferences: str | None
    verified_at: datetime | None
    created_at: datetime
    updated_at: datetime
