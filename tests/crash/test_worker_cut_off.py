"""Promise 4, harder: a worker that lost Temporal goes on with a turn that another has been given."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress

import pytest

from tests.crash.witness import Turn, Witness, kind
from tests.house import House
from tests.http import Api, inner, text_of

pytestmark = pytest.mark.slow


async def test_of_two_workers_that_speak_at_once_only_the_later_one_is_heard(
    house: House, api: Api, witness: Witness
) -> None:
    async with _cable(house.ports["temporal"]) as (port, cut):
        await _move(house, f"127.0.0.1:{port}")
        turn = Turn(api, await api.conversation(), 300)
        await turn.speak()
        house.start("worker2")
        await house.working("worker2")
        cut()
        await turn.begin_again()
        await turn.end()

    # The earlier one was turned away by its own next word.
    (call,) = await witness.hung_up(turn.word)
    assert not call["finished"]
    late = await api.stream(f"/v1/run/{turn.run}/subscribe")
    assert await api.messages(turn.conversation) == [("user", turn.ask), ("bot", turn.whole)]
    assert text_of(inner(turn.seen)) == text_of(inner(late)) == turn.whole
    assert [kind(event) for event in late].count("token") == turn.tokens
    assert await witness.attempts(turn.run) == [2]


async def _move(house: House, address: str) -> None:
    """Restarts the worker so that it knows Temporal by another address."""
    usual = house.env
    house.stop("worker")
    (house.home / "log" / "worker.log").unlink()
    try:
        house.env = usual | {"TEMPORAL_ADDRESS": address}
        house.start("worker")
    finally:
        house.env = usual
    await house.working("worker")


@asynccontextmanager
async def _cable(port: int) -> AsyncIterator[tuple[int, Callable[[], None]]]:
    """A way to a local server, its port, and how to cut it for good."""
    ends: list[asyncio.StreamWriter] = []

    async def plug(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        ends.extend((writer, back))
        with suppress(OSError):
            await asyncio.gather(_pass(reader, back), _pass(there, writer))

    server = await asyncio.start_server(plug, "127.0.0.1", 0)

    def cut() -> None:
        server.close()
        for end in ends:
            end.transport.abort()

    try:
        yield server.sockets[0].getsockname()[1], cut
    finally:
        cut()


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while piece := await reader.read(65_536):
        writer.write(piece)
        await writer.drain()
