"""Requests with something changed at random: whatever they are, the server is not worse for it."""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest

from tests.api.conftest import Fort
from tests.api.wrong import HELLO, LIVE, get, post
from tests.raw import line

SEED = 20_261_125
WARM = 300
COUNT = 2_500
AT_ONCE = 40

TOKENS = [
    *(bytes([byte]) for byte in b'\0\r\n\t :;,/%?#&="\\{}[]\x7f\x80\xff'),
    b"\r\n\r\n",
    b"\r\n ",
    b"%00",
    b"%ff",
    b"..%2f",
    b"0" * 100,
    b"9" * 25,
    b"a" * 5_000,
    b"\\u0000",
    b"\\ud800",
    b"\xed\xa0\x80",
    b"HTTP/1.1",
    b"HTTP/1.0",
    b"\r\nHost: other",
    b"\r\nContent-Length: 5",
    b"\r\nTransfer-Encoding: chunked",
    b"\r\nExpect: 100-continue",
    b"\r\nConnection: close",
    b"\r\nConnection: Upgrade\r\nUpgrade: h2c",
    b"\r\nAccept: text/event-stream",
    HELLO,
]


def requests(key: bytes) -> list[bytes]:
    """Right ones, of every kind."""
    mine = (key, b"User-Agent: any")
    created, said = b'{"name": "x", "meta": {"a": [1, 2.5, null]}}', b'{"text": "hello"}'
    answered = b'{"messages": [{"type": "user", "text": "[model tokens=2]"}]}'
    published, channel = b'{"message": {"a": 1}}', b"/v1/channel/channel-of-sixteen-and-more/"
    return [
        LIVE,
        get(b"/v1/bot/list?take=2&meta.a=b&order=asc", *mine),
        get(b"/v1/run/run_unknown/fetch", *mine),
        post(*mine, b"Content-Length: %d" % len(created), body=created),
        post(*mine, b"Transfer-Encoding: chunked", body=b"%x\r\n%b\r\n0\r\n\r\n" % (len(created), created)),
        post(*mine, b"Content-Length: %d" % len(said), body=said, path=b"/v1/conversation/conv_x/send"),
        post(*mine, b"Content-Length: %d" % len(answered), body=answered, path=b"/v1/conversation/complete"),
        post(*mine, b"Content-Length: %d" % len(published), body=published, path=channel + b"publish"),
        post(*mine, b"Accept: application/jsonl", path=channel + b"subscribe"),
    ]


def changed(request: bytes, chance: random.Random) -> bytes:
    """A request after one or two accidents."""
    for _ in range(chance.randint(1, 2)):
        at = chance.randrange(len(request) + 1)
        to = min(len(request), at + chance.choice((1, 2, 8, 64)))
        part = request[at:to]
        part = chance.choice(
            (
                b"",
                part * 2,
                part[::-1],
                part.swapcase(),
                bytes(byte ^ 1 << chance.randrange(8) for byte in part),
                chance.choice(TOKENS),
                chance.choice(TOKENS) + part,
                chance.randbytes(len(part)),
            )
        )
        request = request[:at] + part + request[to:]
    return request


def pieces(request: bytes, chance: random.Random) -> list[bytes]:
    """In one, or cut in two."""
    at = chance.randrange(len(request) + 1)
    return chance.choice(([request], [request[:at], request[at:]]))


async def tell(fort: Fort, sent: list[bytes]) -> int:
    """The status of the answer, 0 if the connection was closed without one, within what `line` waits."""
    async with line(fort.port) as client:
        await client.send(*sent)
        return await client.status() or 0


async def told(fort: Fort, chance: random.Random, count: int) -> Counter[int]:
    """How many of so many changed requests were answered with which status."""
    right = requests(fort.key)
    left = [pieces(changed(chance.choice(right), chance), chance) for _ in range(count)]
    found: Counter[int] = Counter()

    async def one_after_another() -> None:
        while left:
            sent = left.pop()
            status = await tell(fort, sent)
            assert status < 500 or status == 501, sent
            found[status] += 1

    async with asyncio.TaskGroup() as tasks:
        for _ in range(AT_ONCE):
            tasks.create_task(one_after_another())
    return found


async def test_the_requests_that_will_be_changed_are_right(fort: Fort) -> None:
    statuses = [await tell(fort, [request]) for request in requests(fort.key)]

    assert statuses == [200, 200, 404, 200, 200, 404, 200, 200, 200]


@pytest.mark.slow
async def test_thousands_of_changed_requests_are_answered_without_a_failure_and_leave_nothing(
    fort: Fort,
) -> None:
    chance = random.Random(SEED)
    await told(fort, chance, WARM)
    before = fort.memory

    found = await told(fort, chance, COUNT)

    assert found.total() == COUNT
    # Neither all refused at the door nor all let through: both sides of it were tried.
    assert found[200] > COUNT / 20, found
    assert found[400] > COUNT / 5, found
    assert fort.memory - before < 16 * 1_048_576
