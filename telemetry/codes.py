"""What of an error may be shown: the code it was given, never its message."""

from __future__ import annotations

from temporalio.exceptions import ApplicationError

from domain.errors import HoldfastError


def code_of(error: BaseException) -> str | None:
    """Ours, or the one that an error of ours left an activity with; None where there is none."""
    if isinstance(error, HoldfastError):
        return error.code
    return error.type if isinstance(error, ApplicationError) else None
