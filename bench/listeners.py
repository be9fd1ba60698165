"""Many subscribers on raw sockets, so cheap that a thousand hardly disturb what they listen to."""

from __future__ import annotations

import asyncio
import gc
import re
import time
from bisect import bisect_left
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import accumulate
from typing import NamedTuple

from bench.callers import BadAnswer

BATCH = 100
"""Connections opened at a time: a server's queue of those it has not taken yet is short."""
TOKEN = re.compile(rb'"type":"token","data":\{"token":" ?([0-9.]+)"\}\},"seq":[0-9]+\}\n')
RESULT = re.compile(rb'"type":"result","data":\{"text":"([0-9. ]*)"')


class Heard(NamedTuple):
    """A token's moments: sent by the model, received here."""

    sent: float
    received: float


class Listener(asyncio.Protocol):
    """Keeps what comes and when; understanding it waits until the load is over."""

    def __init__(self) -> None:
        self.chunks: list[bytes] = []
        self.times: list[float] = []
        self.begun, self.ended = (asyncio.get_running_loop().create_future() for _ in range(2))

    def data_received(self, data: bytes) -> None:
        self.times.append(time.time())
        self.chunks.append(data)
        _done(self.begun)

    def connection_lost(self, exc: Exception | None) -> None:
        _done(self.begun)
        _done(self.ended)

    def heard(self) -> list[Heard]:
        """The tokens as they came; a line was received when its last byte was."""
        ends = list(accumulate(len(chunk) for chunk in self.chunks))
        return [
            Heard(float(found[1]), self.times[bisect_left(ends, found.end())])
            for found in TOKEN.finditer(b"".join(self.chunks))
        ]

    def is_whole(self, tokens: int) -> bool:
        """All tokens, in the order in which the model sent them, and the same text in the last line."""
        raw = b"".join(self.chunks)
        heard, last = [found[1] for found in TOKEN.finditer(raw)], RESULT.search(raw)
        in_order = [float(stamp) for stamp in heard] == sorted(float(stamp) for stamp in heard)
        return len(heard) == tokens and in_order and last is not None and last[1].split() == heard


class Crowd:
    """Subscribers to one channel of one API."""

    def __init__(self, url: str, key: str, channel: str) -> None:
        self._host, _, self._port = url.removeprefix("http://").partition(":")
        # The server hangs up after the channel's end: nobody has to read along to know when it is over.
        lines = (
            f"POST /v1/channel/{channel}/subscribe HTTP/1.1",
            f"Host: {self._host}:{self._port}",
            f"Authorization: Bearer {key}",
            "Accept: application/jsonl",
            "Content-Type: application/json",
            "Content-Length: 2",
            "Connection: close",
        )
        self._request = "".join(f"{line}\r\n" for line in (*lines, "")).encode() + b"{}"
        self.listeners: list[Listener] = []
        self._transports: list[asyncio.Transport] = []

    async def grow(self, count: int, seconds: float) -> None:
        """So many more, all of them answered with 200. Raises BadAnswer, TimeoutError."""
        async with asyncio.timeout(seconds):
            for start in range(0, count, BATCH):
                some = range(min(BATCH, count - start))
                made = await asyncio.gather(*(self._connect() for _ in some))
                await asyncio.gather(*(_answered(listener) for listener in made))

    async def finish(self, seconds: float) -> None:
        """Returns when the server has ended every stream. Raises TimeoutError."""
        async with asyncio.timeout(seconds):
            await asyncio.gather(*(listener.ended for listener in self.listeners))

    def leave(self) -> None:
        for transport in self._transports:
            transport.abort()

    async def _connect(self) -> Listener:
        loop = asyncio.get_running_loop()
        transport, listener = await loop.create_connection(Listener, self._host, int(self._port))
        self._transports.append(transport)
        self.listeners.append(listener)
        transport.write(self._request)
        return listener


@asynccontextmanager
async def crowd(url: str, key: str, channel: str) -> AsyncIterator[Crowd]:
    """Left at the end. Garbage is not collected meanwhile: that would look at every chunk kept so far."""
    made = Crowd(url, key, channel)
    gc.disable()
    try:
        yield made
    finally:
        made.leave()
        gc.enable()
        gc.collect()


async def _answered(listener: Listener) -> None:
    await listener.begun
    first = b"".join(listener.chunks[:1])
    if not first.startswith(b"HTTP/1.1 200 "):
        raise BadAnswer(f"a subscriber was answered {first[:200]!r}")


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)
