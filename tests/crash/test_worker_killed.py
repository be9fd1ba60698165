"""Promise 2: a worker dies in the middle of an answer."""

from __future__ import annotations

import time
from typing import Any

import pytest

from tests.conftest import Build
from tests.house import House
from tests.http import inner, text_of

pytestmark = pytest.mark.slow


def _one_of_two_comes_back(house: House) -> float:
    """Which of the two has the turn is not ours to know, so both die; returns when they did."""
    house.kill("worker")
    house.kill("worker2")
    house.start("worker")
    return time.monotonic()


async def test_a_turn_whose_worker_is_killed_in_mid_stream_finishes_on_its_own(build: Build) -> None:
    house = await build("worker2")
    async with house.api() as api:
        conversation = await api.conversation()
        ask = {"text": "canary [model tokens=120 delay=30]"}
        told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
        seen: list[dict[str, Any]] = []
        gap = 0.0
        async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
            async for event in events:
                seen.append(event)
                if len(seen) == 10:
                    killed = _one_of_two_comes_back(house)
                elif event["data"]["type"] == "completeBegin" and len(seen) > 10:
                    gap = time.monotonic() - killed

        late = await api.stream(f"/v1/run/{told['runId']}/subscribe")
        listed = await api.get(f"/v1/conversation/{conversation}/message/list?order=asc")

    messages = [(message["type"], message["text"]) for message in listed.body["items"]]
    assert [kind for kind, _ in messages] == ["user", "bot"]
    assert text_of(inner(seen)) == text_of(inner(late)) == messages[1][1]
    assert [event["data"]["type"] for event in seen].count("completeBegin") == 2
    assert [event["data"]["type"] for event in late].count("completeBegin") == 1
    seqs = [event["seq"] for event in seen]
    assert seqs == sorted(set(seqs))
    assert 0 < gap <= 8
