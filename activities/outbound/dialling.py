"""How a tool's server is dialled: every address is looked at where its socket is made."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.connector import AddrInfoType

from domain.addresses import is_allowed

Lookup = Callable[[str], Sequence[str]]
"""The addresses of a name. It may block; an OSError where there are none."""
LOOKUPS = 128
"""At once, one of a name. One whose servers are slow holds its thread until the system's resolver gives up,
however soon its callers did; model calls look up elsewhere."""


class Blocked(OSError):
    """An address that is not called."""


def system(host: str) -> Sequence[str]:
    """What the system's resolver says."""
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return [str(address[0]) for *_, address in found]


class Resolver(AbstractResolver):
    """Names to addresses, of which all must be allowed: one that is not spoils the answer."""

    def __init__(self, lookup: Lookup, loopback: bool) -> None:
        self._lookup = lookup
        self._loopback = loopback
        self._threads = ThreadPoolExecutor(LOOKUPS, thread_name_prefix="lookup")
        self._asked: dict[str, asyncio.Future[Sequence[str]]] = {}

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        try:
            # Shielded: who waits no longer takes it from nobody else.
            addresses = await asyncio.shield(self._asked.get(host) or self._ask(host))
        except ValueError as error:
            raise OSError(f"no name: {error}") from error
        if not addresses:
            raise OSError("no address")
        if not all(is_allowed(address, self._loopback) for address in addresses):
            raise Blocked(host)
        return [_result(host, address, port) for address in addresses]

    def _ask(self, host: str) -> asyncio.Future[Sequence[str]]:
        def answered(asked: asyncio.Future[Sequence[str]]) -> None:
            del self._asked[host]
            if not asked.cancelled():
                # Nobody may be left to hear of it.
                asked.exception()

        asked = asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host)
        self._asked[host] = asked
        asked.add_done_callback(answered)
        return asked

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)


def _result(host: str, address: str, port: int) -> ResolveResult:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return ResolveResult(
        hostname=host,
        host=address,
        port=port,
        family=family,
        proto=socket.IPPROTO_TCP,
        flags=socket.AI_NUMERICHOST,
    )


def opened(loopback: bool, info: AddrInfoType) -> socket.socket:
    """The socket for one address, which is what it is then connected to: no name can change in between."""
    family, kind, proto, _, address = info
    if not is_allowed(str(address[0]), loopback):
        raise Blocked(str(address[0]))
    return socket.socket(family, kind, proto)


def connector(resolver: Resolver, loopback: bool) -> aiohttp.TCPConnector:
    """A new connection for every call, only to allowed addresses, literal ones included."""
    return aiohttp.TCPConnector(
        resolver=resolver,
        socket_factory=partial(opened, loopback),
        use_dns_cache=False,
        force_close=True,
        # Activities are limited already; one more limit here would be a queue that nobody sees.
        limit=0,
    )
