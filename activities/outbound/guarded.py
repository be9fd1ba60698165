"""One request, sent once and only to addresses that are called."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import SimpleNamespace, TracebackType
from typing import Self, TypeVar

import aiohttp
from yarl import URL

from activities.outbound import failures
from activities.outbound.dialling import Lookup, Resolver, connector
from activities.outbound.failures import NoAnswer
from domain.errors import ToolBlocked
from domain.outgoing import Outgoing
from domain.redaction import without
from domain.target import is_open_port

T = TypeVar("T")
AGENT = "Holdfast"
"""What we say we are where the request says nothing else."""


@dataclass(frozen=True)
class Bounds:
    """What one call may take."""

    connect_seconds: float = 5
    """For the name, the connection and TLS together."""
    total_seconds: float = 30
    """From the first byte to the last."""
    kept_bytes: int = 262_144
    """Of the answer, decompressed; the rest is not read."""


class Guarded:
    """What calls public addresses, and this machine's own where `loopback` is set; a context manager.

    No redirect is followed, no cookie kept, no proxy and no netrc read, no connection used twice, and nothing
    sent a second time.
    """

    def __init__(self, bounds: Bounds, lookup: Lookup, *, loopback: bool, unpack: bool) -> None:
        self.bounds = bounds
        self._loopback = loopback
        self._unpack = unpack
        self._resolver = Resolver(lookup, loopback)
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        tracing = aiohttp.TraceConfig()
        tracing.on_connection_create_end.append(_on_connected)
        self._session = aiohttp.ClientSession(
            connector=connector(self._resolver, self._loopback),
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            trace_configs=[tracing],
            middlewares=(_once,),
            timeout=aiohttp.ClientTimeout(total=None, connect=self.bounds.connect_seconds),
            auto_decompress=self._unpack,
        )
        return self

    async def __aexit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._session.close()
        # A connector closes only the resolver that it made itself.
        await self._resolver.close()

    async def exchange(
        self,
        outgoing: Outgoing,
        own: tuple[tuple[str, str], ...],
        read: Callable[[aiohttp.ClientResponse], Awaitable[T]],
    ) -> T:
        """One request, with `own` headers beside its others, and what is read of the answer.

        Raises ToolBlocked for a URL that is not called, and NoAnswer where none came whole.
        """
        url = _url(outgoing.url)
        way = _Way()
        try:
            async with asyncio.timeout(self.bounds.total_seconds):
                async with self._session.request(
                    outgoing.method,
                    url,
                    data=outgoing.body,
                    headers=_headers(outgoing, own),
                    allow_redirects=False,
                    trace_request_ctx=way,
                ) as response:
                    return await read(response)
        except aiohttp.InvalidURL as error:
            raise ToolBlocked(f"`{host(outgoing)}` is no host that this server calls.") from error
        except failures.TRANSPORT as error:
            raise NoAnswer(failures.trouble(error, sent=way.connected), sent=way.connected) from error


def host(outgoing: Outgoing) -> str:
    """As it may be told."""
    return without(outgoing.secrets, URL(outgoing.url, encoded=True).host or "")


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
        named, port = url.host, url.port
    except ValueError:
        raise ToolBlocked("The URL cannot be read.") from None
    if url.scheme not in ("http", "https") or not named:
        raise ToolBlocked("Only `http` and `https` URLs with a host are called.")
    if url.user is not None or url.password is not None:
        raise ToolBlocked("No URL with a user or password in it is called.")
    if port is None or not is_open_port(port):
        raise ToolBlocked("Only ports 80, 443 and those from 1024 on are called.")
    return url


def _headers(outgoing: Outgoing, own: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    made = [*outgoing.headers, *own]
    if not any(name.lower() == "user-agent" for name, _ in outgoing.headers):
        made.append(("User-Agent", AGENT))
    return made
