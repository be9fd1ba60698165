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
from starlette.requests import ClientDisconnect

from api import errors
from api.bugs import Bugs
from api.cors import Cors
from api.desk import Desk
from api.limits import Limits, Most
from api.routes import routes
from api.seen import Requests
from domain.errors import HoldfastError
from domain.session import Tokens
from store import Caps, Keyring, Quotas, Store

if TYPE_CHECKING:
    from settings import Settings
    from starter import Starter
    from telemetry import Telemetry

_log = logging.getLogger(__name__)


def create(settings: Settings, start: Callable[[], Awaitable[Starter]], telemetry: Telemetry) -> Starlette:
    """The application. `start` makes the starter once the event loop runs; it needs no server yet."""

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        secret = settings.secret.get_secret_value().encode()
        caps = Caps(settings.active_runs, settings.active_runs_per_account, settings.active_background_runs)
        keyring = Keyring(settings.sealing_keys)
        store = await Store.open(settings.database_url, caps, _quotas(settings), keyring=keyring)
        app.state.desk = Desk(
            store=store,
            starter=await start(),
            telemetry=telemetry,
            limits=Limits(_most(settings)),
            secret=secret,
            tokens=Tokens(secret),
            answer_seconds=settings.answer_seconds,
            body_bytes=settings.body_bytes,
            temporal_ui=settings.temporal_ui_url,
            calls_loopback=settings.outbound_loopback,
            sends_mail=settings.smtp is not None,
            shortest_period_ms=settings.shortest_period_ms,
        )
        feed = asyncio.create_task(store.feed.run())
        feed.add_done_callback(_end_with)
        warming = asyncio.create_task(store.trigger_events.warm())
        try:
            async with telemetry.shown(store):
                yield
        finally:
            feed.cancel()
            warming.cancel()
            await store.close()

    app = Starlette(
        routes=routes(),
        lifespan=lifespan,
        middleware=[Middleware(Requests, telemetry=telemetry), Middleware(Cors), Middleware(Bugs)],
        exception_handlers=_HANDLERS,
    )
    # A redirect would lead wherever the caller's Host header says.
    app.router.redirect_slashes = False
    return app


_HANDLERS: dict[Any, Any] = {
    HoldfastError: errors.on_refusal,
    HTTPException: errors.on_http,
    ClientDisconnect: errors.on_hangup,
}


def _quotas(settings: Settings) -> Quotas:
    return Quotas(
        settings.tokens_per_day, settings.waiting_runs_per_account, settings.waiting_runs_per_conversation
    )


def _most(settings: Settings) -> Most:
    return Most(
        starts=settings.starts_per_minute,
        writes=settings.writes_per_minute,
        reads=settings.reads_per_minute,
        key_percent=settings.key_percent,
        streams=settings.subscribers,
        streams_of_account=settings.subscribers_per_account,
    )


def _end_with(feed: asyncio.Task[None]) -> None:
    """Without its feed a process answers nobody: it ends, and whoever keeps it alive starts it anew."""
    if not feed.cancelled():
        _log.critical("the feed ended", exc_info=feed.exception())
        signal.raise_signal(signal.SIGTERM)
