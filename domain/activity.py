"""Activity messages: a call of a tool and what came of it, as they stand in a conversation."""

from __future__ import annotations

from typing import Any, Literal

from domain.base import Frozen


class Called(Frozen):
    """`meta.activity.function`."""

    name: str
    arguments: Any = None
    """An object; callers may also send it as JSON text."""
    result: Any = None


class Activity(Frozen):
    """`meta.activity` of a message of type activity (contract §3.2; `id` and `failed` are ours)."""

    type: Literal["request", "response", "trigger"]
    function: Called
    id: str | None = None
    """Pairs a request with its response, where this server made them: the run and the ordinal of its step.
    Those of callers are paired by name and arguments."""
    failed: bool = False
    """The result says what went wrong."""

    def meta(self) -> dict[str, Any]:
        return {"activity": self.model_dump(exclude_unset=True)}
