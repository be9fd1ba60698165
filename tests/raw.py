"""Raw connections: bytes that are sent as they stand, and what comes back."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any, NamedTuple

PATIENCE = 60.0
"""Seconds within which whoever says nothing is answered or cut off."""

SLACK = 10.0
"""Seconds that a busy machine may add."""


class Answer(NamedTuple):
    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> Any:
        return json.loads(self.raw)


class Line:
    """One connection. Everything it waits for is bounded."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self.port: int = writer.get_extra_info("sockname")[1]

    async def send(self, *pieces: bytes, pause: float = 0) -> None:
        """Sends; a server that has heard enough may close meanwhile."""
        with suppress(ConnectionError):
            for piece in pieces:
                self._writer.write(piece)
                await self._writer.drain()
                await asyncio.sleep(pause)

    async def answer(self, *, bodyless: bool = False) -> Answer | None:
        """The next answer, interim ones passed over; None if the connection was closed instead."""
        try:
            async with asyncio.timeout(PATIENCE):
                while (found := await self._head()) is not None and found.status < 200:
                    pass
                if found is None or bodyless:
                    return found
                return found._replace(raw=await self._body(found.headers))
        except (ConnectionError, asyncio.IncompleteReadError):
            return None

    async def status(self) -> int | None:
        """The next answer's status, interim ones included, and no more of it; None if there is none."""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError, asyncio.IncompleteReadError):
                found = await self._head()
                return found.status if found is not None else None
        return None

    async def closed(self) -> bytes:
        """What else came until the connection was closed."""
        rest = b""
        async with asyncio.timeout(PATIENCE):
            with suppress(ConnectionError):
                while piece := await self._reader.read(65_536):
                    rest += piece
        return rest

    async def slowly(self, size: int, pause: float) -> AsyncIterator[bytes]:
        """What comes until the connection is closed, in pieces of at most so many bytes."""
        while piece := await self._reader.read(size):
            yield piece
            await asyncio.sleep(pause)

    def finish(self) -> None:
        """Says that nothing more will be sent."""
        self._writer.write_eof()

    def reset(self) -> None:
        """Hangs up without a word."""
        self._writer.transport.abort()

    async def _head(self) -> Answer | None:
        head = await self._reader.readuntil(b"\r\n\r\n")
        first, *lines = head.decode("ascii").split("\r\n")
        fields = (line.split(": ", 1) for line in lines if line)
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1", first
        return Answer(int(status), {name.lower(): value for name, value in fields}, b"")

    async def _body(self, headers: dict[str, str]) -> bytes:
        if "content-length" in headers:
            return await self._reader.readexactly(int(headers["content-length"]))
        whole = b""
        while size := int(await self._reader.readuntil(b"\r\n"), 16):
            whole += (await self._reader.readexactly(size + 2))[:-2]
        return whole


class Clock:
    def __init__(self) -> None:
        self._since = time.monotonic()

    def read(self, least: float, most: float) -> None:
        """Fails unless so many seconds have passed."""
        passed = time.monotonic() - self._since
        assert least - 0.05 <= passed <= most + SLACK, passed


@asynccontextmanager
async def line(port: int, receive_buffer: int = 0) -> AsyncIterator[Line]:
    """A connection to a local port; with a receive buffer of so many bytes, if told."""
    raw = socket.socket()
    try:
        raw.setblocking(False)
        if receive_buffer:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        await asyncio.get_running_loop().sock_connect(raw, ("127.0.0.1", port))
        # A small limit, so that what nobody asks for stays with the kernel.
        reader, writer = await asyncio.open_connection(sock=raw, limit=1_024 if receive_buffer else 65_536)
    except BaseException:
        raw.close()
        raise
    try:
        yield Line(reader, writer)
    finally:
        writer.transport.abort()


@asynccontextmanager
async def lines(port: int, count: int, receive_buffer: int = 0) -> AsyncIterator[list[Line]]:
    """So many connections at once."""
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(line(port, receive_buffer)) for _ in range(count)]


async def ask(port: int, *pieces: bytes, pause: float = 0) -> Answer | None:
    """The answer to what is sent, read while it is being sent."""
    async with line(port) as open_, asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(open_.send(*pieces, pause=pause))
        answer = await open_.answer()
        sending.cancel()
    return answer
