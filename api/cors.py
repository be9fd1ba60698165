"""Web pages of other origins: an answer may be read by those that the caller's account lists."""

from __future__ import annotations

import dataclasses
import re

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.desk import Desk
from api.errors import refuse
from domain.account import Caller
from domain.errors import NotAuthorized, Unavailable

_ADVICE = "`python -m store origin add` lists it."
_PREFLIGHT = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, X-Timezone, Idempotency-Key, "
    "Last-Event-ID, X-Holdfast-Events, X-RunAs-User-ID, X-RunAs-UserID, X-RunAs-Child-User-Email",
    "Access-Control-Max-Age": "600",
}
_EVENTS = re.compile(r"/integration/trigger/[^/]+/event$")
_READABLE = {"Access-Control-Expose-Headers": "X-Request-Id, X-Run-Id, Retry-After"}


@dataclasses.dataclass
class Page:
    """The page a request comes from, where a browser named its origin."""

    origin: str
    accounts: frozenset[str]
    """Those that list the origin."""
    listed: bool
    """Whether the answer may be read there; until the caller is known, whether for anybody."""

    @property
    def marks(self) -> dict[str, str]:
        return {"Vary": "Origin"} | ({"Access-Control-Allow-Origin": self.origin} if self.listed else {})


def recognise(request: Request, caller: Caller) -> None:
    """The caller is known now: what counts is whether their account lists the page's origin.

    A browser cannot lie about its origin, so a session's token that was carried off to another site's page is
    refused there, with NotAuthorized.
    """
    page: Page | None = getattr(request.state, "page", None)
    if page is None:
        return
    page.listed = caller.account_id in page.accounts
    if caller.session_id is not None and not page.listed:
        raise NotAuthorized(f"This account does not list the origin of this page; {_ADVICE}")


class Cors:
    """Answers preflights, and marks what a page may read. A request that names no origin passes untouched."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        origin = _origin(scope)
        if origin is None:
            await self._app(scope, receive, send)
            return
        desk: Desk = scope["app"].state.desk
        try:
            accounts = await desk.store.origins.accounts(origin)
        except Unavailable as trouble:
            await refuse(Request(scope), trouble)(scope, receive, send)
            return
        page = scope["state"]["page"] = Page(origin, accounts, listed=bool(accounts))
        if scope["method"] == "OPTIONS" and "access-control-request-method" in Headers(scope=scope):
            await _preflight(scope, page)(scope, receive, send)
        else:
            await self._app(scope, receive, _marked(send, page))


def _origin(scope: Scope) -> str | None:
    path = scope["path"] if scope["type"] == "http" else ""
    # Events are sent by servers: their secrets are no page's.
    if not path.startswith(("/v1/", "/api/v1/")) or _EVENTS.search(path):
        return None
    return Headers(scope=scope).get("origin")


def _preflight(scope: Scope, page: Page) -> Response:
    """What a page may send: asked by browsers, without a key, before they send it."""
    if page.listed:
        return Response(status_code=204, headers=_PREFLIGHT | page.marks)
    answer = refuse(Request(scope), NotAuthorized(f"No account lists the origin of this page; {_ADVICE}"))
    answer.headers.update(page.marks)
    return answer


def _marked(send: Send, page: Page) -> Send:
    async def marked(message: Message) -> None:
        if message["type"] == "http.response.start":
            marks = page.marks | (_READABLE if page.listed else {})
            raw = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in marks.items()]
            message["headers"] = [*message["headers"], *raw]
        await send(message)

    return marked
