"""A worker that is told to go, as every deployment does it, loses nothing."""

from __future__ import annotations

import asyncio
import time

import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, kind, some
from tests.house import House
from tests.http import Api, inner, text_of
from tests.pace import pace

pytestmark = pytest.mark.slow

SHORT = "canary [model tokens=30 delay=30]"


async def test_stopping_a_worker_with_sigterm_in_mid_stream_loses_nothing(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    conversation, word, slow = await api.conversation(), ids.new("canary"), await pace(api)
    # Its first answer would never end; the second one does.
    ask = {"text": f"{word} [model tokens=40 delay=25 endless times=1]"}
    long = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    async with api.streaming(f"/v1/channel/{long['channelId']}/subscribe") as events:
        seen = await some(events, 30)
        house.start("worker2")
        await house.working("worker2")
        short = await _dispatched(api, 10)
        stopped = time.monotonic()
        stopping = asyncio.create_task(asyncio.to_thread(house.stop, "worker"))
        while kind(seen[-1]) != "completeBegin":
            seen.append(await anext(events))
        note("from SIGTERM to the next attempt of an endless answer, s", round(time.monotonic() - stopped, 1))
        seen += [event async for event in events]
    await stopping
    took = time.monotonic() - stopped

    # It had five seconds: what takes longer is begun anew by the other one, at once.
    assert [kind(event) for event in seen].count("completeBegin") == 2
    assert took <= 10 * max(slow, await pace(api))
    stored = await api.messages(conversation)
    assert stored == [("user", ask["text"]), ("bot", " ".join(f"t{n}" for n in range(1, 41)))]
    assert text_of(inner(seen)) == stored[1][1]
    for one, run in short.items():
        await witness.ended(run)
        assert await witness.attempts(run) == [1]
        assert await api.messages(one) == [("user", SHORT), ("bot", " ".join(f"t{n}" for n in range(1, 31)))]


async def _dispatched(api: Api, count: int) -> dict[str, str]:
    """Short turns, by their conversations."""
    runs = {}
    for _ in range(count):
        conversation = await api.conversation()
        runs[conversation] = (await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": SHORT}))[
            "runId"
        ]
    return runs
