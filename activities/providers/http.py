"""One POST to a model's server and its streamed answer."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Mapping
from typing import NamedTuple

import aiohttp

from activities import retry_after
from activities.providers import failures
from domain.errors import ModelBroken, ModelError, ModelRefused

HEADERS = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream",
    # A compressed stream comes in blocks instead of tokens.
    "Accept-Encoding": "identity",
}
"""What every wire format asks with; each adds its key."""
_ERROR_BYTES = 65_536
_SETTLE_SECONDS = 0.05


class Ask(NamedTuple):
    """What is posted: an absolute URL, the headers, the JSON body."""

    url: str
    headers: Mapping[str, str]
    body: bytes
    secret: str
    """The key; taken out of the server's words should it repeat it. May be empty."""


def new_session(connections: int = 1000) -> aiohttp.ClientSession:
    """A session for model calls, to be closed with the worker. No cookies; no proxy, no netrc from outside.

    `connections` at once: more than there can be runs at work, or calls wait here for each other.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
    )


class Body:
    """The body of one `text/event-stream` answer."""

    def __init__(self, response: aiohttp.ClientResponse, idle_seconds: float) -> None:
        self._response = response
        self._idle_seconds = idle_seconds

    async def read(self) -> bytes:
        """What has arrived since; empty at the clean end of the body. Raises ModelError."""
        try:
            return await self._response.content.readany()
        except failures.TRANSPORT as error:
            raise failures.transport(error, self._idle_seconds) from error

    async def settle(self) -> None:
        """Wait a moment for the clean end, so that the connection can serve the next call."""
        with contextlib.suppress(TimeoutError, ModelError):
            async with asyncio.timeout(_SETTLE_SECONDS):
                await self.read()


@contextlib.asynccontextmanager
async def exchange(
    session: aiohttp.ClientSession, ask: Ask, idle_seconds: float
) -> AsyncGenerator[Body, None]:
    """An answer that is an event stream; its connection is closed on leaving unless it was read to its end.

    Raises domain.errors.ModelError when the server is away, busy, refuses, is silent for `idle_seconds` or
    answers anything else. Redirects are not followed.
    """
    response = await _post(session, ask, idle_seconds)
    try:
        await _accept(response, ask, idle_seconds)
        yield Body(response, idle_seconds)
    finally:
        response.close()


async def _post(session: aiohttp.ClientSession, ask: Ask, idle_seconds: float) -> aiohttp.ClientResponse:
    timeout = aiohttp.ClientTimeout(total=None, connect=failures.CONNECT_SECONDS, sock_read=idle_seconds)
    try:
        # The outer deadline is for servers that do not read a large request or send 1xx for ever: no timeout
        # of aiohttp sees them.
        async with asyncio.timeout(failures.CONNECT_SECONDS + idle_seconds):
            return await session.post(
                ask.url, data=ask.body, headers=ask.headers, timeout=timeout, allow_redirects=False
            )
    except failures.TRANSPORT as error:
        raise failures.transport(error, idle_seconds) from error


async def _accept(response: aiohttp.ClientResponse, ask: Ask, idle_seconds: float) -> None:
    """Returns when an event stream follows; else raises what the status and the body say."""
    status, kind = response.status, response.content_type
    if 300 <= status < 400:
        raise ModelRefused(
            f"The model's server redirects ({status}), which is not followed: check its base URL."
        )
    if status >= 400:
        body = await _error_body(response, idle_seconds)
        asked = retry_after.seconds(response.headers.get("Retry-After", ""))
        raise failures.status(status, body, asked, ask.secret)
    if status != 200 or kind != "text/event-stream":
        raise ModelBroken(
            f"The model's server answered {status} {kind[:80]!a} where an event stream was due."
        )


async def _error_body(response: aiohttp.ClientResponse, idle_seconds: float) -> object:
    """The JSON of an error's body; None when it has none, is too large or does not come."""
    raw = bytearray()
    with contextlib.suppress(ValueError, *failures.TRANSPORT):
        async with asyncio.timeout(idle_seconds):
            while len(raw) < _ERROR_BYTES and (piece := await response.content.readany()):
                raw += piece
        return failures.loads(bytes(raw[:_ERROR_BYTES]))
    return None
