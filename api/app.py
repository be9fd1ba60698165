"""Wires the front desk: the store, the starter, the routes and the error table."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api import errors
from api.cors import Cors
from api.desk import Desk
from api.routes import routes
from domain import ids
from domain.errors import HoldfastError
from domain.session import Tokens
from store import Caps, Store

if TYPE_CHECKING:
    from settings import Settings
    from starter import Starter

_log = logging.getLogger(__name__)


def create(settings: Settings, start: Callable[[], Awaitable[Starter]]) -> Starlette:
    """The application. `start` makes the starter once the event loop runs; it needs no server yet."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        secret = settings.secret.get_secret_value().encode()
        caps = Caps(settings.active_runs, settings.active_runs_per_account, settings.active_background_runs)
        store = await Store.open(settings.database_url, caps)
        app.state.desk = Desk(
            store=store,
            starter=await start(),
            secret=secret,
            tokens=Tokens(secret),
            answer_seconds=settings.answer_seconds,
            body_bytes=settings.body_bytes,
            temporal_ui=settings.temporal_ui_url,
        )
        feed = asyncio.create_task(store.feed.run())
        feed.add_done_callback(_end_with)
        try:
            yield
        finally:
            feed.cancel()
            await store.close()

    app = Starlette(
        routes=routes(),
        lifespan=lifespan,
        middleware=[Middleware(RequestIds), Middleware(Cors)],
        exception_handlers=_HANDLERS,
    )
    # A redirect would lead wherever the caller's Host header says.
    app.router.redirect_slashes = False
    return app


_HANDLERS: dict[Any, Any] = {
    HoldfastError: errors.on_refusal,
    HTTPException: errors.on_http,
    Exception: errors.on_bug,
}


def _end_with(feed: asyncio.Task[None]) -> None:
    """Without its feed a process answers nobody: it ends, and whoever keeps it alive starts it anew."""
    if not feed.cancelled():
        _log.critical("the feed ended", exc_info=feed.exception())
        signal.raise_signal(signal.SIGTERM)


class RequestIds:
    """Gives every request an id of ours, which its answer and our log carry."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = ids.request()
        scope.setdefault("state", {})["request_id"] = request_id

        async def marked(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"x-request-id", request_id.encode())]
            await send(message)

        await self._app(scope, receive, marked)
