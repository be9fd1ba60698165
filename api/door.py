"""The door: lets in whoever has a key, parses what they bring, and renders what the handler gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.call import Call
from api.desk import Desk
from api.signature import Handler, Signature
from api.wire import Item
from domain.account import Caller
from domain.errors import NotAuthenticated, NotServed


def door(handler: Handler) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a handler whose signature says what it takes: a body, a query, both or neither."""
    signature = Signature.of(handler)

    async def enter(request: Request) -> Response:
        call = Call(request, await _caller(request))
        taken: dict[str, Any] = {}
        if signature.query is not None:
            taken["query"] = signature.query(call)
        if request.method == "POST":
            body = await call.body(signature.body)
            taken |= {"body": body} if signature.takes_body else {}
        given = await handler(call, **taken)
        return JSONResponse(given.shown()) if isinstance(given, Item) else given

    return enter


async def not_served(request: Request) -> Response:
    """The endpoint of a call that upstream has and we have not: whoever has a key is told so."""
    await _caller(request)
    raise NotServed(f"{request.method} {request.scope['path']}: this server does not serve this call yet.")


async def _caller(request: Request) -> Caller:
    """Who calls. The scheme word before the key is not looked at: clients vary in it."""
    words = request.headers.get("authorization", "").split()
    if len(words) != 2:
        raise NotAuthenticated
    desk: Desk = request.app.state.desk
    address = request.client.host if request.client else None
    caller = await desk.store.accounts.caller(words[1], address)
    for name in request.headers:
        if name.startswith("x-runas-"):
            raise NotServed(f"{name}: this server has no child accounts.")
    return caller
