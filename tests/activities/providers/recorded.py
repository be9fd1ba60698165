"""A server that plays bytes, and the words the provider tests are written in."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress

from domain.completion import Finish, ModelCall, Prompt, Token, Tool
from domain.model import parse

KEY = "sk-secret-0123456789"
IDLE = 0.3
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"

Ask = Callable[[str], Awaitable[tuple[list[Token], Finish]]]
Play = Callable[[bytes], Awaitable[tuple[list[Token], Finish]]]
Hear = Callable[[list[bytes]], Awaitable[tuple[list[Token], Finish]]]


class Recorded:
    """A server that answers every connection with the same bytes, in the same pieces, and hangs up."""

    def __init__(self) -> None:
        self.url = ""
        self.pieces: list[bytes] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Recorded]:
        server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with server:
            yield self

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await read_request(reader)
        with suppress(ConnectionError):
            for piece in self.pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            writer.close()
            await writer.wait_closed()


async def read_request(reader: asyncio.StreamReader) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    await reader.readexactly(int(length.split(b":")[1]))


def call(text: str, name: str = "demo") -> ModelCall:
    return ModelCall(model=parse(name), prompts=(Prompt(role="user", text=text),))


async def whole(stream: AsyncGenerator[Token | Finish, None]) -> tuple[list[Token], Finish]:
    """The tokens and the Finish, which is proved to be the last and only one."""
    *tokens, finish = [piece async for piece in stream]
    assert isinstance(finish, Finish)
    return [token for token in tokens if isinstance(token, Token)], finish


def pieces(body: bytes, at: Sequence[int]) -> list[bytes]:
    """The body, cut at these places."""
    ends = [cut for cut in at if cut < len(body)]
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


def joined(tokens: list[Token]) -> str:
    return "".join(token.text for token in tokens)


async def eventually(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not true():  # noqa: ASYNC110 - what is polled is on the other side of a socket
            await asyncio.sleep(0.005)


LOOKUP, SEND = (
    Tool(
        name=name,
        description=f"To {name}.",
        parameters={"type": "object", "properties": {"n": {"type": "integer"}}},
    )
    for name in ("lookup", "send")
)


def user(text: str) -> Prompt:
    return Prompt(role="user", text=text)


def asked(finish: Finish, text: str = "", first: int = 1) -> tuple[Prompt, ...]:
    """The model's message and one result for each of its calls, as they stand in the next request."""
    calls = tuple((f"call_{at}", call) for at, call in enumerate(finish.calls, first))
    results = [Prompt(role="tool", text=f"{id_} of {call.name}", call_id=id_) for id_, call in calls]
    return (Prompt(role="assistant", text=text, calls=calls, carry=finish.carry), *results)


def with_tools(*prompts: Prompt, name: str = "demo", must_call: str | None = None) -> ModelCall:
    return ModelCall(model=parse(name), prompts=prompts, tools=(LOOKUP, SEND), must_call=must_call)
