"""How an error becomes an answer: the only status table."""

from __future__ import annotations

import logging
import math

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.wire import Item
from domain import errors
from domain.errors import HoldfastError

_log = logging.getLogger(__name__)

STATUS: dict[type[HoldfastError], int] = {
    errors.BadRequest: 400,
    errors.NotAuthenticated: 401,
    errors.NotAuthorized: 403,
    errors.NotFound: 404,
    errors.MethodNotAllowed: 405,
    errors.Unfinished: 408,
    errors.Waiting: 408,
    errors.Conflict: 409,
    errors.TooLarge: 413,
    errors.TargetTooLong: 414,
    errors.UnsupportedMedia: 415,
    errors.LimitsReached: 429,
    errors.HeadersTooLarge: 431,
    errors.NotServed: 501,
    errors.Unavailable: 503,
}
RUN_FAILED = 422
"""A run that was accepted and failed. Clients repeat 429 and 5xx, so these never follow an acceptance."""
HUNG_UP = 499
"""What a request counts as whose client went away before it was answered; nobody is told so."""

_BY_STATUS: dict[int, type[HoldfastError]] = {status: cls for cls, status in STATUS.items()}


class Refusal(Item):
    """Why a request was not served, or the run it waited for failed."""

    message: str
    """What is wrong and what to do about it."""
    code: str
    request_id: str
    """What the server's log calls this request; X-Request-Id says the same."""
    run_id: str | None = None
    """The run it is about, where there is one."""


def refuse(request: Request, error: HoldfastError) -> JSONResponse:
    """The answer to a request that was not served: `{message, code, requestId}`, and the run it is about."""
    status, headers, body = told(error, request.state.request_id)
    return JSONResponse(body, status, headers=headers)


def told(error: HoldfastError, request_id: str) -> tuple[int, dict[str, str], dict[str, str]]:
    """The status, the headers and the body of an error's answer."""
    status = next((STATUS[cls] for cls in type(error).__mro__ if cls in STATUS), 500)
    body = Refusal(message=error.message, code=error.code, request_id=request_id, run_id=error.run_id)
    return status, _headers(error), body.shown()


async def on_refusal(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HoldfastError)
    if not isinstance(error, errors.Refused | errors.Unavailable | errors.Waiting):
        _log.error("request %s failed", request.state.request_id, exc_info=error)
        error = HoldfastError()
    return refuse(request, error)


async def on_http(request: Request, error: Exception) -> JSONResponse:
    """What Starlette itself refuses: a wrong verb, an unknown path."""
    assert isinstance(error, HTTPException)
    cls = _BY_STATUS.get(error.status_code, errors.BadRequest)
    no_path = "There is no such path here; the README lists the endpoints."
    answer = refuse(request, cls(no_path if cls is errors.NotFound else None))
    answer.headers.update(error.headers or {})
    return answer


async def on_hangup(request: Request, _error: Exception) -> Response:
    """The client went away before its body had come: nothing was done, and nobody reads the answer."""
    _log.debug("request %s was not finished by its client", request.state.request_id)
    return Response(status_code=HUNG_UP)


def _headers(error: HoldfastError) -> dict[str, str]:
    if error.run_id is not None:
        return {"X-Run-Id": error.run_id}
    if isinstance(error, errors.NotAuthenticated):
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, errors.Unavailable | errors.LimitsReached):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after or 1)))}
    return {}
