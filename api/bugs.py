"""Bugs of ours: told to the log once, answered as every error is, never taken for the end of an answer."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import refuse
from domain.errors import HoldfastError

_log = logging.getLogger(__name__)


class Bugs:
    """The innermost layer: so an answer to a bug has its number and its marks, as all others have."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def sent(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, sent)
        except Exception as bug:
            if scope["type"] != "http":
                raise
            _log.error("request %s met a bug", scope["state"]["request_id"], exc_info=bug)
            # The server hangs up on whoever has begun and returns without an end.
            if not began:
                await refuse(Request(scope), HoldfastError())(scope, receive, send)
