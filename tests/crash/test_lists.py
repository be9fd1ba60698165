"""Lists that are read while Postgres dies: they go on after a short outage, and never just end too early."""

from __future__ import annotations

from collections.abc import Callable

import aiohttp
import pytest

from tests.house import House
from tests.http import Api

pytestmark = pytest.mark.slow

COUNT = 250


async def filled(house: House, api: Api) -> str:
    """A conversation whose list is larger than what the sockets between server and client take in."""
    conversation = await api.conversation()
    await house.rows(
        "INSERT INTO message (id, conversation_id, seq, key, type, text) "
        "SELECT $1 || n, $1, n, n, 'user', repeat('x', 200000) FROM generate_series(1, $2) n",
        conversation,
        COUNT,
    )
    return f"{api.url}/v1/conversation/{conversation}/message/list"


async def read(api: Api, url: str, lines: list[bytes], *steps: Callable[[str], None]) -> None:
    """Reads a list into `lines`; the steps are taken on Postgres once the stream has begun."""
    async with api.session.get(url, headers=api._headers | {"Accept": "application/jsonl"}) as answer:
        for step in steps:
            step("postgres")
        async for line in answer.content:
            lines.append(line)


async def test_a_stream_that_cannot_be_finished_is_cut_off_and_not_ended(house: House, api: Api) -> None:
    url, lines = await filled(house, api), list[bytes]()

    with pytest.raises(aiohttp.ClientPayloadError):
        await read(api, url, lines, house.kill)

    assert 0 < len(lines) < COUNT
    log = (house.home / "log" / "api.log").read_text()
    assert "a list was cut off: The database cannot be reached" in log


async def test_a_stream_goes_on_after_postgres_was_started_anew(house: House, api: Api) -> None:
    url, lines = await filled(house, api), list[bytes]()

    await read(api, url, lines, house.kill, house.start)

    assert len(lines) == COUNT
