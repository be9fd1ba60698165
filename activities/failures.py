"""How an error leaves an activity: its code, its delay, and never its words."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

from temporalio import activity
from temporalio.exceptions import ApplicationError

from domain.errors import HoldfastError

_log = logging.getLogger(__name__)


@asynccontextmanager
async def reported(*, tries: int | None = None) -> AsyncIterator[None]:
    """Turns every error into an ApplicationError that carries a code only (law 1: no words in Temporal).

    `tries`: attempts after which what is no error of the vocabulary is final, where retries have no limit.
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
        last = tries is not None and activity.info().attempt >= tries
        raise ApplicationError(code, type=code, non_retryable=last) from None


def failure(error: HoldfastError, *, final: bool = False) -> ApplicationError:
    """`final`: not to be retried, whatever the error's class says."""
    delay = timedelta(seconds=error.retry_after) if error.retry_after else None
    return ApplicationError(
        error.code, type=error.code, non_retryable=final or not error.retryable, next_retry_delay=delay
    )
