"""A TCP proxy that breaks links: `python -m bench.torture.proxy CONTROL name:listen:target …`.

`POST /{link}/{fault}?seconds=N` on the control port begins a fault, which ends by itself:

    drop      connections are closed, new ones too        hole     nothing passes, nothing is closed
    reset     connections are reset in mid-transfer       latency  every piece comes 200 ms late
    trickle   one byte a second
"""

from __future__ import annotations

import asyncio
import socket
import struct
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, field

import aiohttp
import uvloop
from aiohttp import web

from bench.torture.waiting import until

LINKS = {
    **{"postgres": "postgres", "temporal": "temporal", "model": "model", "tools": "tools"},
    **{"sink": "sink", "api": "api2"},
}
"""The links by name, and the part at whose door each ends."""
FAULTS = ("drop", "reset", "hole", "latency", "trickle")
LATE = 0.2
HOLE_SECONDS = 60.0
PIECE = 65_536
LINGER = struct.pack("ii", 1, 0)
"""A close that sends a reset."""


@dataclass(eq=False)
class Link:
    name: str
    target: int
    fault: str = ""
    ends: float = 0.0
    open: set[asyncio.StreamWriter] = field(default_factory=set)

    def begin(self, fault: str, seconds: float) -> None:
        self.fault, self.ends = fault, time.monotonic() + seconds
        if fault in ("drop", "reset"):
            for writer in list(self.open):
                _break(writer, reset=fault == "reset")

    @property
    def now(self) -> str:
        return self.fault if time.monotonic() < self.ends else ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, to its end."""
        if self.now in ("drop", "reset"):
            return _break(writer, reset=self.now == "reset")
        try:
            there, here = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            return _break(writer, reset=True)
        self.open |= {writer, here}
        # A link that was broken meanwhile takes no more bytes: uvloop says so with a RuntimeError.
        with suppress(OSError, RuntimeError):
            await asyncio.gather(self._pass(reader, here), self._pass(there, writer))
        self.open -= {writer, here}
        for end in (writer, here):
            _break(end, reset=False)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while piece := await reader.read(PIECE):
                await self._hand(piece, writer)
        finally:
            # When one side is done, the other has nobody to talk to.
            writer.close()

    async def _hand(self, piece: bytes, writer: asyncio.StreamWriter) -> None:
        await until(lambda: self.now != "hole", HOLE_SECONDS)
        if self.now == "latency":
            await asyncio.sleep(LATE)
        while piece and self.now == "trickle":
            writer.write(piece[:1])
            piece = piece[1:]
            await asyncio.sleep(1)
        writer.write(piece)
        await writer.drain()


def _break(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    # It may have been closed meanwhile.
    with suppress(OSError, RuntimeError):
        if reset:
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, LINGER)
            writer.transport.abort()
        else:
            writer.close()


class Proxy:
    """Its control, from outside."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}"

    async def begin(self, link: str, fault: str, seconds: float) -> None:
        async with aiohttp.ClientSession() as session:
            url = f"{self._url}/{link}/{fault}?seconds={seconds}"
            async with session.post(url) as answer:
                answer.raise_for_status()


async def run(control: int, ends: list[str]) -> None:
    links: dict[str, Link] = {}
    for name, listen, target in (end.split(":") for end in ends):
        links[name] = Link(name, int(target))
        await asyncio.start_server(links[name].serve, "127.0.0.1", int(listen))

    async def begin(request: web.Request) -> web.Response:
        fault = request.match_info["fault"]
        if fault not in FAULTS:
            raise web.HTTPNotFound
        links[request.match_info["link"]].begin(fault, float(request.query["seconds"]))
        return web.json_response({})

    app = web.Application()
    app.router.add_post("/{link}/{fault}", begin)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", control).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), sys.argv[2:]))
