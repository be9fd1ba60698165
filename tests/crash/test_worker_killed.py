"""Promise 2: workers die at any moment of a turn, and the turn finishes on its own."""

from __future__ import annotations

import asyncio
import time
from statistics import median
from typing import Any

import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, kind, some
from tests.house import House
from tests.http import Api, inner, text_of
from tests.pace import pace

pytestmark = pytest.mark.slow


async def test_a_turn_whose_worker_is_killed_in_mid_stream_finishes_on_its_own(
    house: House, api: Api, note: Note
) -> None:
    conversation, slow = await api.conversation(), await pace(api)
    # Its first answer would never end; the second one does.
    ask = {"text": "canary [model tokens=40 delay=25 endless times=1]"}
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        seen = await some(events, 10)
        house.start("worker2")
        await house.working("worker2")
        house.kill("worker")
        killed = time.monotonic()
        seen += await _begun_again(events)
        gap = time.monotonic() - killed
        seen += [event async for event in events]

    late = await api.stream(f"/v1/run/{told['runId']}/subscribe")
    messages = await api.messages(conversation)
    assert [type_ for type_, _ in messages] == ["user", "bot"]
    assert text_of(inner(seen)) == text_of(inner(late)) == messages[1][1]
    assert [kind(event) for event in seen].count("completeBegin") == 2
    assert [kind(event) for event in late].count("completeBegin") == 1
    seqs = [event["seq"] for event in seen]
    assert seqs == sorted(set(seqs))
    note("next event after the kill, s", round(gap, 1))
    assert gap <= 8 * max(slow, await pace(api))


async def test_turns_whose_worker_is_killed_at_any_moment_are_each_heard_and_answered_once(
    house: House, api: Api, witness: Witness
) -> None:
    conversations = [await api.conversation() for _ in range(24)]
    told = []
    # Some have not been started when the worker dies, some are in their first local activity, some wait for
    # their model's first token, some speak, some are done.
    for conversation in conversations:
        ask = {"text": "canary [model first=150 tokens=10 delay=15]"}
        told.append(await api.ok(f"/v1/conversation/{conversation}/dispatch", ask))
        await asyncio.sleep(0.015)
    house.kill("worker")
    states = {(await witness.run(answer["runId"]))["state"] for answer in told}
    house.start("worker")

    assert len(states) > 1, states
    for answer, conversation in zip(told, conversations, strict=True):
        await witness.ended(answer["runId"])
        await witness.closed(answer["runId"])
        assert [type_ for type_, _ in await api.messages(conversation)] == ["user", "bot"]


async def test_a_turn_survives_the_death_of_all_workers_three_times_over(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    house.start("worker2")
    conversation, word, slow = await api.conversation(), ids.new("canary"), await pace(api)
    ask = {"text": f"{word} [model tokens=150 delay=30]"}
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    gaps = []
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        seen = await some(events, 5)
        for _ in range(3):
            for name in ("worker", "worker2"):
                house.kill(name)
            killed = time.monotonic()
            for name in ("worker", "worker2"):
                house.start(name)
            seen += await _begun_again(events)
            gaps.append(round(time.monotonic() - killed, 1))
            seen += await some(events, 5)
        seen += [event async for event in events]

    note("next event after each kill, s", gaps)
    assert median(gaps) <= 8 * max(slow, await pace(api))
    messages = await api.messages(conversation)
    assert messages == [("user", ask["text"]), ("bot", " ".join(f"t{n}" for n in range(1, 151)))]
    assert text_of(inner(seen)) == messages[1][1]
    assert await witness.attempts(told["runId"]) == [4]
    assert len(await house.calls(word)) == 4


async def _begun_again(events: Any) -> list[dict[str, Any]]:
    """The events up to the beginning of the next attempt, whatever of the last one was still on its way."""
    seen = []
    async for event in events:
        seen.append(event)
        if kind(event) == "completeBegin":
            break
    return seen
