"""A server that plays bytes, and the words the provider tests are written in."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from domain.completion import Finish, ModelCall, Prompt, Token
from domain.model import parse

KEY = "sk-secret-0123456789"
IDLE = 0.3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

Ask = Callable[[str], Awaitable[tuple[list[Token], Finish]]]
Play = Callable[[bytes], Awaitable[tuple[list[Token], Finish]]]


class Recorded:
    """A server that answers every connection with the same bytes, in the same pieces, and hangs up."""

    def __init__(self) -> None:
        self.base_url = ""
        self.pieces: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Recorded]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.base_url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        with suppress(ConnectionError):
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()


def call(text: str, name: str = "demo") -> ModelCall:
    return ModelCall(model=parse(name), prompts=(Prompt(role="user", text=text),))


async def whole(stream: AsyncGenerator[Token | Finish, None]) -> tuple[list[Token], Finish]:
    """The tokens and the Finish, which is proved to be the last and only one."""
    *tokens, finish = [piece async for piece in stream]
    assert isinstance(finish, Finish)
    return [token for token in tokens if isinstance(token, Token)], finish


def event(**chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def text(content: object) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": content}, "finish_reason": None}])


STOP = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
USAGE = event(choices=[], usage={"prompt_tokens": 3, "completion_tokens": 2})
DONE = b"data: [DONE]\n\n"


def joined(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():  # noqa: ASYNC110 - what is polled is on the other side of a socket
            await asyncio.sleep(0.005)
