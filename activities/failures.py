"""How an error leaves an activity: its code, its delay, and never its words."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio.exceptions import ApplicationError

from domain.errors import HoldfastError

_log = logging.getLogger(__name__)


@asynccontextmanager
async def reported(*, bugs_are_final: bool = False) -> AsyncIterator[None]:
    """Turns every error into an ApplicationError that carries a code only (law 1: no words in Temporal).

    `bugs_are_final`: what is no error of the vocabulary is not retried, where retries have no limit.
    """
    try:
        yield
    except ApplicationError:
        raise
    except HoldfastError as error:
        raise failure(error) from None
    except Exception:
        _log.exception("an activity failed; Temporal is told the code only")
        code = HoldfastError.code
        raise ApplicationError(code, type=code, non_retryable=bugs_are_final) from None


def failure(error: HoldfastError, *, final: bool = False) -> ApplicationError:
    """`final`: not to be retried, whatever the error's class says."""
    delay = timedelta(seconds=error.retry_after) if error.retry_after else None
    return ApplicationError(
        error.code, type=error.code, non_retryable=final or not error.retryable, next_retry_delay=delay
    )
