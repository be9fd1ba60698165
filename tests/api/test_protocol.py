"""The protocol alone, over sockets whose buffers are small, where a house's are the kernel's."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest
import uvicorn
from starlette.responses import Response, StreamingResponse
from uvicorn.server import ServerState

from api.bounds import Bounds
from api.protocol import bounded
from tests.api.wrong import get
from tests.house import eventually
from tests.raw import ask, lines

BOUNDS = Bounds(
    header_bytes=4_096,
    receive_seconds=5,
    body_seconds=5,
    idle_seconds=0.5,
    send_seconds=0.3,
    connections=100,
)


class App:
    """Answers with as many bytes as the query says, or without end."""

    def __init__(self) -> None:
        self.sent = 0
        self.over = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["query_string"]:
            await Response(b"x" * int(scope["query_string"]))(scope, receive, send)
            return
        try:
            await StreamingResponse(self._endless())(scope, receive, send)
        finally:
            self.over += 1

    async def _endless(self) -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 10_000
            self.sent += 10_000
            await asyncio.sleep(0)


class Served(NamedTuple):
    app: App
    port: int
    state: ServerState
    refused: list[int]


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    """A server that sends with little help from the kernel."""
    app, state, refused = App(), ServerState(), list[int]()
    protocol = bounded(BOUNDS, refused.append)
    config = uvicorn.Config(app, http=protocol, lifespan="off", ws="none", log_config=None)
    config.load()
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4_096)
        listening.bind(("127.0.0.1", 0))
        server = await asyncio.get_running_loop().create_server(
            lambda: protocol(config=config, server_state=state, app_state={}), sock=listening
        )
        async with server:
            yield Served(app, listening.getsockname()[1], state, refused)


async def test_what_the_protocol_refuses_by_itself_has_its_number_and_is_counted(served: Served) -> None:
    answers = [
        await ask(served.port, b"nonsense\r\n\r\n"),
        await ask(served.port, get(b"/", b"A: " + b"a" * 5_000)),
    ]

    for answer in answers:
        assert answer is not None
        assert answer.headers["x-request-id"] == answer.body["requestId"]
    assert served.refused == [400, 431]


@pytest.mark.parametrize("last", [b"Connection: close", b"Connection: keep-alive"])
@pytest.mark.parametrize("half_closed", [False, True], ids=["open", "half closed"])
async def test_an_answer_of_any_size_that_is_never_read_does_not_keep_its_connection(
    served: Served, last: bytes, half_closed: bool
) -> None:
    _, port, state, _ = served

    async def answered() -> None:
        assert state.total_requests == 20

    async def gone() -> None:
        assert state.connections == set()

    async with lines(port, 20, receive_buffer=2_048) as clients:
        for number, client in enumerate(clients):
            await client.send(get(b"/?%d" % (10_000 + 4_000 * number), last))
        await eventually(answered)
        if half_closed:
            for client in clients:
                client.finish()
        await eventually(gone)


async def test_a_stream_waits_for_its_reader_and_ends_when_there_is_none(served: Served) -> None:
    app, port, state, _ = served

    async def gone() -> None:
        assert (app.over, state.connections, state.tasks) == (10, set(), set())

    async with lines(port, 10, receive_buffer=2_048) as clients:
        for client in clients:
            await client.send(get(b"/"))
        await eventually(gone)
    # For each what a transport holds before it says that it is full, and the kernel's buffers of both sides.
    assert app.sent < 10 * 200_000
