"""What each request shows of itself: a count, a time, a span and a log line, under its route's template."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.streams import MEDIA_TYPE
from domain import at_hand, ids

if TYPE_CHECKING:
    from telemetry import Telemetry
    from telemetry.traces import Span

_log = logging.getLogger(__name__)

NOWHERE = "none"
"""The route of what leads nowhere."""
_STREAMED = {media.encode() for media in MEDIA_TYPE.values()}
_BUG, _CUT = 500, 499
"""What a request counts as that met a bug, or was cut off, before its answer began."""


class Requests:
    """Gives every request an id of ours, which its answer and our log carry, and counts what becomes of it.

    Paths hold ids and whatever callers put there, so only templates are shown.
    """

    def __init__(self, app: ASGIApp, telemetry: Telemetry) -> None:
        self._app = app
        self._telemetry = telemetry

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = ids.request()
        at_hand.begin(request_id=request_id)
        method = scope["method"]
        known = {"http.request.method": method, "holdfast.request.id": request_id}
        with self._telemetry.traces.span(method, "server", _traceparent(scope), known) as span:
            scope.setdefault("state", {}).update(request_id=request_id, traceparent=span.traceparent)
            seen = _Seen(scope, self._telemetry, span)
            try:
                await self._app(scope, receive, seen.sending(send, request_id))
            except Exception:
                seen.broke()
                raise
            finally:
                seen.over()


class _Seen:
    """One request on its way."""

    def __init__(self, scope: Scope, telemetry: Telemetry, span: Span) -> None:
        self._scope = scope
        self._meters = telemetry.meters
        self._span = span
        self._since = time.perf_counter()
        self._began = 0.0
        self._status = _CUT
        self._stream = False

    def sending(self, send: Send, request_id: str) -> Send:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
                self._begins(message)
            await send(message)

        return sent

    def broke(self) -> None:
        if not self._began:
            self._status = _BUG

    def over(self) -> None:
        route, method = _route(self._scope), self._scope["method"]
        now = time.perf_counter() - self._since
        self._meters.request(method, route, self._status, self._began or now)
        if self._stream:
            self._meters.streams(route, -1)
        self._span.rename(f"{method} {route}")
        self._span.note({"http.route": route, "http.response.status_code": self._status})
        if self._status >= _BUG:
            self._span.failed(str(self._status))
        fields = {"method": method, "route": route, "status": self._status, "ms": round(now * 1000)}
        level = logging.DEBUG if route.startswith("/health/") else logging.INFO
        _log.log(level, "%s %s %d in %d ms", *fields.values(), extra={"fields": fields})

    def _begins(self, message: Message) -> None:
        self._began = time.perf_counter() - self._since
        self._status = message["status"]
        kinds = (value.partition(b";")[0] for name, value in message["headers"] if name == b"content-type")
        if next(kinds, b"") in _STREAMED:
            self._stream = True
            self._meters.streams(_route(self._scope), 1)


def _route(scope: Scope) -> str:
    route = scope.get("route")
    if not isinstance(route, Route):
        return NOWHERE
    return f"/v1{route.path}" if scope.get("root_path") else route.path


def _traceparent(scope: Scope) -> str | None:
    found = (value for name, value in scope["headers"] if name == b"traceparent")
    return next(found, b"").decode("latin-1") or None
