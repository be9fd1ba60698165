"""Clients that take their time: each is answered or closed within its bound, and nobody waits for it."""

from __future__ import annotations

import asyncio
import json

import pytest

from domain import ids
from tests.api.conftest import BOUNDS, Fort
from tests.api.wrong import LIVE, chunked, get, post
from tests.house import eventually
from tests.http import inner, text_of
from tests.raw import Clock, Line, ask, line, lines

RECEIVE = float(BOUNDS["HOLDFAST_RECEIVE_SECONDS"])
BODY = float(BOUNDS["HOLDFAST_BODY_SECONDS"])
IDLE = float(BOUNDS["HOLDFAST_IDLE_SECONDS"])
JSON = {"Content-Type": "application/json"}
SEND = float(BOUNDS["HOLDFAST_SEND_SECONDS"])


async def test_who_says_nothing_is_closed(fort: Fort) -> None:
    clock = Clock()
    async with line(fort.port) as client:
        assert await client.closed() == b""
        clock.read(RECEIVE, RECEIVE)


SLOW_HEADS = {
    "a byte": [LIVE[:1]],
    "half a head": [LIVE[:30]],
    "all but the end": [LIVE[:-2]],
    "byte by byte": [bytes([byte]) for byte in LIVE],
    "empty lines": [b"\r\n"] * 50,
    "header by header": [get(b"/")[:-2], *[b"A: a\r\n"] * 50],
}


async def test_a_head_that_takes_too_long_is_refused(fort: Fort) -> None:
    async def dawdle(name: str) -> None:
        clock = Clock()
        answer = await ask(fort.port, *SLOW_HEADS[name], pause=0.05)
        clock.read(RECEIVE, RECEIVE)
        assert answer is not None, name
        assert (answer.status, answer.body["code"]) == (408, "TIMEOUT"), name
        assert "HOLDFAST_RECEIVE_SECONDS" in answer.body["message"]

    await asyncio.gather(*(dawdle(name) for name in SLOW_HEADS))


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
async def test_a_body_that_stops_coming_is_refused(fort: Fort, framing: bytes) -> None:
    clock = Clock()

    answer = await ask(fort.port, post(fort.key, framing), b'9\r\n{"name": ')

    clock.read(RECEIVE, RECEIVE)
    assert answer is not None
    assert (answer.status, answer.body["code"]) == (408, "TIMEOUT")
    assert "HOLDFAST_RECEIVE_SECONDS" in answer.body["message"]


async def test_a_body_that_comes_too_slowly_is_refused(fort: Fort) -> None:
    clock = Clock()

    answer = await ask(fort.port, post(fort.key, b"Content-Length: 1000"), *[b" "] * 100, pause=0.05)

    clock.read(BODY, BODY)
    assert answer is not None
    assert (answer.status, answer.body["code"]) == (408, "TIMEOUT")
    assert "HOLDFAST_BODY_SECONDS" in answer.body["message"]


async def test_a_slow_request_within_its_bounds_is_served_and_its_connection_kept(fort: Fort) -> None:
    request = post(fort.key, b"Content-Length: 13")

    async with line(fort.port) as client:
        for _ in range(2):
            await client.send(request[:20], request[20:], b'{"name"', b": ", b'"x"}', pause=0.07)
            answer = await client.answer()
            assert answer is not None
            assert answer.status == 200, answer.raw


async def test_a_connection_without_a_next_request_is_closed(fort: Fort) -> None:
    async with line(fort.port) as client:
        clock = Clock()
        await client.send(LIVE)
        assert (await client.answer()) is not None
        assert await client.closed() == b""
        clock.read(IDLE, IDLE)


async def test_a_kept_connection_has_no_more_time_for_a_head_than_a_new_one(fort: Fort) -> None:
    async with line(fort.port) as client:
        clock = Clock()
        await client.send(LIVE + LIVE[:10])
        assert (await client.answer()) is not None
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 408
        clock.read(RECEIVE, RECEIVE)


async def test_a_request_that_came_while_the_process_stood_still_is_served(fort: Fort) -> None:
    async with line(fort.port) as client:
        await fort.entered(client.port)
        fort.house.freeze("api2")
        try:
            # For longer than it may say nothing.
            await client.send(*[bytes([byte]) for byte in LIVE], pause=0.06)
        finally:
            fort.house.thaw("api2")
        answer = await client.answer()
        assert answer is not None
        assert answer.status == 200


async def test_a_wait_for_an_answer_is_none_of_these(fort: Fort) -> None:
    body = b'{"messages": [{"type": "user", "text": "[model tokens=2 first=3000]"}]}'

    answer = await ask(
        fort.port,
        post(fort.key, b"Content-Length: %d" % len(body)).replace(
            b"/v1/bot/create", b"/v1/conversation/complete"
        )
        + body,
    )

    assert answer is not None
    assert answer.status == 200, answer.raw


async def test_two_hundred_silent_clients_keep_nobody_out_and_are_closed(fort: Fort) -> None:
    clock = Clock()
    async with lines(fort.port, 200) as clients:
        for _ in range(20):
            asked = Clock()
            answer = await ask(fort.port, LIVE)
            assert answer is not None
            assert answer.status == 200
            asked.read(0, 0.5)
        for client in clients:
            assert await client.closed() == b""
        clock.read(RECEIVE, RECEIVE + 1)


async def test_a_hundred_trickling_clients_keep_nobody_out(fort: Fort) -> None:
    async with asyncio.TaskGroup() as tasks:
        slow = [
            tasks.create_task(ask(fort.port, chunked(b""), *[b"1\r\n \r\n"] * 100, pause=0.05))
            for _ in range(100)
        ]
        for _ in range(20):
            answer = await ask(fort.port, LIVE)
            assert answer is not None
            assert answer.status == 200

    # Without a key they are refused at once, whatever they go on sending.
    assert {answer.status for task in slow if (answer := task.result()) is not None} == {401}


def subscribe(fort: Fort, channel: str) -> bytes:
    return post(fort.key, b"Accept: application/jsonl", path=f"/v1/channel/{channel}/subscribe".encode())


async def all_dropped(fort: Fort, clients: list[Line]) -> None:
    async def dropped() -> None:
        assert [client.port for client in clients if fort.connected(client.port)] == []

    await eventually(dropped, 10 * SEND)


async def test_who_never_reads_is_dropped_and_another_listener_of_its_run_misses_nothing(fort: Fort) -> None:
    channel, before = ids.channel(), fort.memory
    async with lines(fort.port, 20, receive_buffer=4_096) as clients, fort.api() as api:
        for client in clients:
            await client.send(subscribe(fort, channel))
        conversation = await api.conversation()
        said = {"text": "[model endless first=500]", "channelId": channel}
        run = (await api.ok(f"/v1/conversation/{conversation}/dispatch", said))["runId"]
        # Its last lines are longer than a client reads line by line.
        path, headers = f"/v1/channel/{channel}/subscribe", {"Accept": "application/jsonl", **JSON}
        told = await api.raw("POST", path, b"{}", **headers)
        events = inner([json.loads(line) for line in told.body.splitlines()])
        messages = await api.messages(conversation)
        await all_dropped(fort, clients)
        grown = fort.memory - before

    assert events[-1]["data"]["runId"] == run
    assert text_of(events) == messages[-1][1] == events[-1]["data"]["text"]
    assert len(messages[-1][1]) > 1_000_000
    # Each held a page of the log, at most.
    assert grown < 64 * 1_048_576, grown


@pytest.mark.parametrize("last", [b"Connection: close", b"Connection: keep-alive"])
async def test_an_answer_that_is_never_read_does_not_keep_its_connection(fort: Fort, last: bytes) -> None:
    async with fort.api() as api:
        conversation = await api.conversation(messages=[{"type": "user", "text": "x" * 150_000}])
    path = f"/v1/conversation/{conversation}/message/list".encode()

    async with line(fort.port, receive_buffer=4_096) as client:
        await client.send(get(path, fort.key, last))
        await all_dropped(fort, [client])


async def test_who_reads_slowly_but_reads_gets_everything(fort: Fort) -> None:
    async with fort.api() as api:
        conversation = await api.conversation(messages=[{"type": "user", "text": "x" * 190_000}])
    path = f"/v1/conversation/{conversation}/message/list".encode()
    request = get(path, fort.key, b"Connection: close")

    async with line(fort.port, receive_buffer=4_096) as client:
        clock = Clock()
        await client.send(request)
        whole = b"".join([piece async for piece in client.slowly(8_192, 0.09)])
        clock.read(2 * SEND, 20)

    assert whole.count(b"x") > 190_000
