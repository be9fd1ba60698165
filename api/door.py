"""The door: lets in who has a key or a token, parses what they bring, and renders what the handler gives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api import aliases
from api.call import Call
from api.cors import recognise
from api.desk import Desk
from api.lists import NoQuery
from api.scope import confine
from api.signature import Handler, Signature
from api.wire import Item
from domain.account import Caller
from domain.errors import NotAuthenticated, NotServed
from domain.session import is_token
from store.sessions import UNKNOWN


def door(handler: Handler, *, open_to_sessions: bool) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint of a handler whose signature says what it takes: a body, a query, both or neither."""
    signature = Signature.of(handler)

    async def enter(request: Request) -> Response:
        call = signature.call(request, await _caller(request), csv=signature.csv)
        await confine(call, open_to_sessions=open_to_sessions)
        await aliases.in_path(call)
        if signature.streams and call.streams:
            return await call.desk.limits.seated(call.caller, lambda: serve(call))
        return await serve(call)

    async def serve(call: Call) -> Response:
        taken: dict[str, Any] = {}
        query = (signature.query or NoQuery)(call)
        if signature.query is not None:
            taken["query"] = query
        if call.request.method == "POST":
            body = await call.body(signature.body)
            taken |= {"body": body} if signature.takes_body else {}
        given = await handler(call, **taken)
        return JSONResponse(given.shown()) if isinstance(given, Item) else given

    return enter


async def not_served(request: Request) -> Response:
    """The endpoint of a call that upstream has and we have not: whoever has a key is told so."""
    await confine(Call(request, await _caller(request)), open_to_sessions=False)
    raise NotServed(f"{request.method} {request.scope['path']}: this server does not serve this call yet.")


async def _caller(request: Request) -> Caller:
    """Who calls. The scheme word before the key is not looked at: clients vary in it."""
    words = request.headers.get("authorization", "").split()
    if len(words) != 2:
        raise NotAuthenticated
    caller = await _holder(request, words[1])
    recognise(request, caller)
    for name in request.headers:
        if name.startswith("x-runas-"):
            raise NotServed(f"{name}: this server has no child accounts.")
    desk: Desk = request.app.state.desk
    desk.limits.take(caller, request)
    return caller


async def _holder(request: Request, secret: str) -> Caller:
    """Whose key or token this is. Raises NotAuthenticated."""
    desk: Desk = request.app.state.desk
    address = address_of(request)
    if not is_token(secret):
        return await desk.store.accounts.caller(secret, address)
    session = desk.tokens.read(secret)
    if session is None:
        await desk.store.sessions.refused(None, address)
        raise NotAuthenticated(UNKNOWN)
    return await desk.store.sessions.caller(session, address)


def address_of(request: Request) -> str | None:
    """Where the call comes from, by the peer or a trusted proxy; None where that says words instead."""
    try:
        return str(ip_address(request.client.host.partition("%")[0])) if request.client else None
    except ValueError:
        return None
