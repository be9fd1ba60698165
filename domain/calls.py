"""What came of a call of a tool."""

from __future__ import annotations

from typing import Any

from domain.base import Frozen

TOOL_FAILED = "TOOL_FAILED"
"""Nothing was called: no tool has this name, or the arguments are none of its, or are gone."""
CALLS_LIMIT = "CALLS_LIMIT"
"""Nothing was called: the run has made as many calls as it may."""
FUNCTION_FAILED = "FUNCTION_FAILED"
"""Who answers on the function's channel said that it failed."""
NO_MESSAGE_RECEIVED = "NO_MESSAGE_RECEIVED"
"""Nobody answered on the function's channel in time."""
OUTCOME_UNKNOWN = "OUTCOME_UNKNOWN"
"""A `once` call was begun and its end was not seen: it may have happened or not."""
ABANDONED = "ABANDONED"
"""Its run ended before it did. Written by store/ending.sql."""

CODES = frozenset(
    {TOOL_FAILED, CALLS_LIMIT, FUNCTION_FAILED, NO_MESSAGE_RECEIVED, OUTCOME_UNKNOWN, ABANDONED}
)
"""Why a call failed, for operators, where no error of domain/errors.py was raised; beside these, `http`."""


def http(status: int) -> str:
    """A tool's server answered 400 or more."""
    return f"HTTP_{status}"


class Outcome(Frozen):
    """The answer of a call, as its model is told it."""

    result: Any
    failed: bool = False
    code: str | None = None
    """Of one that failed: why, for operators."""
