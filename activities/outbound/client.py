"""The one client for calls of tools."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from types import SimpleNamespace, TracebackType

import aiohttp
from yarl import URL

from activities import retry_after
from activities.outbound import failures, reading
from activities.outbound.dialling import Lookup, Resolver, connector, system
from domain.errors import ToolBlocked
from domain.outgoing import Fetched, Outgoing
from domain.redaction import without, without_any
from domain.target import is_open_port

_SHORT = 16_384
"""Bytes of an answer that are looked through on the loop."""
AGENT = "Holdfast"
"""What we say we are where the instruction says nothing else."""


@dataclass(frozen=True)
class Bounds:
    """What one call may take."""

    connect_seconds: float = 5
    """For the name, the connection and TLS together."""
    total_seconds: float = 30
    """From the first byte to the last."""
    kept_bytes: int = 262_144
    """Of the answer, decompressed; the rest is not read."""


DEFAULT = Bounds()


class Outbound:
    """Calls public addresses, and this machine's own where `loopback` is set; a context manager.

    No redirect is followed, no cookie kept, no proxy and no netrc read, no connection used twice, and nothing
    sent a second time.
    """

    def __init__(self, *, loopback: bool, bounds: Bounds = DEFAULT, lookup: Lookup = system) -> None:
        self._loopback = loopback
        self._bounds = bounds
        self._resolver = Resolver(lookup, loopback)
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Outbound:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_on_connected)
        self._session = aiohttp.ClientSession(
            connector=connector(self._resolver, self._loopback),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[tracing],
            middlewares=(_once,),
            timeout=aiohttp.ClientTimeout(total=None, connect=self._bounds.connect_seconds),
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._session.close()
        # A connector closes only the resolver that it made itself.
        await self._resolver.close()

    async def call(self, outgoing: Outgoing, idempotency_key: str) -> Fetched:
        """One request and its answer, whatever its status.

        Raises ToolBlocked where this server does not call, and ToolUnavailable where no answer came whole:
        its `sent` tells whether the request may have been acted on.
        """
        url = _url(outgoing.url)
        way = _Way()
        try:
            async with asyncio.timeout(self._bounds.total_seconds):
                return await self._exchange(url, outgoing, idempotency_key, way)
        except failures.TRANSPORT as error:
            host = without(outgoing.secrets, url.host or "")
            raise failures.named(error, host, self._bounds.total_seconds, sent=way.connected) from error

    async def _exchange(self, url: URL, outgoing: Outgoing, key: str, way: _Way) -> Fetched:
        async with self._session.request(
            outgoing.method,
            url,
            data=outgoing.body,
            headers=_headers(outgoing, key),
            allow_redirects=False,
            trace_request_ctx=way,
        ) as response:
            raw, cut = await reading.body(response, self._bounds.kept_bytes)
            # Else what is left of the answer would be waited for.
            response.close()
            told = partial(_fetched, response, outgoing.secrets, raw, cut)
            # To look for a secret in a long text of many escapes takes up to a second.
            beside = outgoing.secrets and len(raw) > _SHORT
            return await asyncio.to_thread(told) if beside else told()


@dataclass
class _Way:
    """How far a request has come."""

    connected: bool = False


async def _on_connected(
    _session: aiohttp.ClientSession, context: SimpleNamespace, _: aiohttp.TraceConnectionCreateEndParams
) -> None:
    context.trace_request_ctx.connected = True


class _Broken(aiohttp.ClientError):
    """A connection that broke."""


async def _once(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """aiohttp sends a GET, PUT or DELETE again by itself when its connection breaks; we send once."""
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken from error


def _url(written: str) -> URL:
    """Looked at before anything is asked; the address is where it is dialled."""
    if not written.isascii() or not written.isprintable() or " " in written:
        raise ToolBlocked("Only URLs in printable ASCII are called.")
    try:
        url = URL(written, encoded=True)
        host, port = url.host, url.port
    except ValueError:
        raise ToolBlocked("The URL cannot be read.") from None
    if url.scheme not in ("http", "https") or not host:
        raise ToolBlocked("Only `http` and `https` URLs with a host are called.")
    if url.user is not None or url.password is not None:
        raise ToolBlocked("No URL with a user or password in it is called.")
    if port is None or not is_open_port(port):
        raise ToolBlocked("Only ports 80, 443 and those from 1024 on are called.")
    return url


def _headers(outgoing: Outgoing, key: str) -> list[tuple[str, str]]:
    own = [("Idempotency-Key", key), ("Accept-Encoding", "gzip, deflate")]
    if not any(name.lower() == "user-agent" for name, _ in outgoing.headers):
        own.append(("User-Agent", AGENT))
    return [*outgoing.headers, *own]


def _fetched(response: aiohttp.ClientResponse, secrets: Sequence[str], raw: bytes, cut: bool) -> Fetched:
    kind = reading.media_type(response.headers.get("Content-Type", ""))
    told = reading.text(raw, kind, response.charset, cut)
    # Of text the secret's half at the cut goes too; JSON is read first, for it has many spellings of a word.
    body = without(secrets, told, cut=True) if cut else without_any(secrets, reading.value(told, kind))
    location = response.headers.get("Location", "") if 300 <= response.status < 400 else ""
    return Fetched(
        status=response.status,
        content_type=without(secrets, kind),
        body=body,
        cut=cut,
        location=reading.shown(without(secrets, location)),
        retry_after=retry_after.seconds(response.headers.get("Retry-After", "")),
    )
