"""What came of a call of a tool."""

from __future__ import annotations

from typing import Any

from domain.base import Frozen


class Outcome(Frozen):
    """The answer of a call, as its model is told it."""

    result: Any
    failed: bool = False
    code: str | None = None
    """Of one that failed: why, for operators."""
