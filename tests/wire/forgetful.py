"""A link that loses answers: requests arrive, and the first answers to some of them never come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

_PIECE = 65_536


class Link:
    """A TCP relay that hangs up in place of the first `losses` answers."""

    def __init__(self, target: int, losses: int) -> None:
        self._target = target
        self.losses = losses

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, here = await asyncio.open_connection("127.0.0.1", self._target)
        with suppress(OSError):
            await asyncio.gather(_relay(reader, here), self._answers(there, writer))
        for end in (here, writer):
            end.close()

    async def _answers(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        piece = await reader.read(_PIECE)
        if self.losses:
            self.losses -= 1
            writer.transport.abort()
            return
        writer.write(piece)
        await _relay(reader, writer)


async def _relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(_PIECE):
            writer.write(piece)
            await writer.drain()
    finally:
        writer.close()


@asynccontextmanager
async def losing(port: int, losses: int) -> AsyncIterator[str]:
    """The URL of a link to a port of this machine that loses so many answers."""
    link = Link(port, losses)
    server = await asyncio.start_server(link.serve, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        assert link.losses == 0, "nobody asked often enough for an answer to be lost"
    finally:
        server.close()
