"""What the protocol answers by itself: why a request is none, in the shape of every error."""

from __future__ import annotations

import json
import logging

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from api.errors import told
from domain import ids
from domain.errors import BadRequest, HoldfastError

_log = logging.getLogger(__name__)

Headers = list[tuple[bytes, bytes]]


def reason(error: httptools.HttpParserError) -> HoldfastError:
    """Why the parser stopped: something of ours refused it, or it is no HTTP."""
    cause = error.__context__
    if isinstance(cause, HoldfastError):
        return cause
    if not isinstance(error, httptools.HttpParserCallbackError):
        return BadRequest(f"This is no valid HTTP/1.1 request: {error}.")
    if not isinstance(cause, httptools.HttpParserError | UnicodeError):
        _log.error("the protocol met a bug", exc_info=cause)
    return BadRequest("This is no valid HTTP/1.1 request: its target cannot be read.")


def rendered(error: HoldfastError, besides: Headers) -> tuple[int, bytes]:
    """The status and the bytes of a last answer, with these headers besides its own."""
    request_id = ids.request()
    status, headers, body = told(error, request_id)
    raw = json.dumps(body).encode()
    headers |= {"x-request-id": request_id}
    headers |= {"content-type": "application/json", "content-length": str(len(raw)), "connection": "close"}
    lines = [*besides, *((name.encode(), value.encode()) for name, value in headers.items())]
    return status, STATUS_LINE[status] + b"".join(b"%b: %b\r\n" % line for line in lines) + b"\r\n" + raw
