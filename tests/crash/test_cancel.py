"""Promise 3: a cancel is complete when it is answered, and reaches a model in the middle of its answer."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, some
from tests.house import House
from tests.http import Api, inner, text_of
from tests.pace import pace

pytestmark = pytest.mark.slow


async def test_a_cancel_reaches_a_silent_model_within_half_a_second(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    took, slow = [], await pace(api)
    for _ in range(5):
        conversation, word = await api.conversation(), ids.new("canary")
        told = await _speaking(api, conversation, f"{word} [model tokens=20 stall=5]")
        asked = time.time_ns() // 1_000_000
        await api.ok(f"/v1/run/{told['runId']}/cancel")
        (call,) = await witness.hung_up(word)
        took.append(call["ended"] - asked)
    note("from cancel to the model's hang-up, ms", took)
    assert max(took) <= 500 * max(slow, await pace(api)), took


async def test_a_cancelled_turn_keeps_its_partial_text_marked_and_frees_its_conversation_at_once(
    house: House, api: Api, note: Note
) -> None:
    conversation = await api.conversation()
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch", {"text": "canary [model tokens=400 delay=25]"}
    )
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        seen = await some(events, 10)
        asked = time.perf_counter()
        await api.ok(f"/v1/run/{told['runId']}/cancel")
        after = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "canary [model tokens=2]"})
        note("from cancel to the next turn's answer, s", round(time.perf_counter() - asked, 2))
        seen += [event async for event in events]

    listed = (await api.get(f"/v1/conversation/{conversation}/message/list?order=asc")).body["items"]
    assert [message["type"] for message in listed] == ["user", "bot", "user", "bot"]
    assert listed[1]["meta"] == {"partial": True, "reason": "canceled"}
    assert listed[1]["text"] == text_of(inner(seen))
    assert listed[1]["text"].startswith("t1 t2 t3 t4 t5 t6 t7 t8 t9 t10")
    assert after["text"] == listed[3]["text"] == "t1 t2"
    assert [event["type"] for event in inner(seen)[-2:]] == ["abort", "result"]
    assert inner(seen)[-1]["data"]["text"] == listed[1]["text"]


async def test_callers_of_a_cancelled_turn_are_answered_with_what_it_had_said(house: House, api: Api) -> None:
    waiting, streaming = await api.conversation(), await api.conversation()
    ask = {"text": "canary [model tokens=400 delay=25]"}
    waiter = asyncio.create_task(api.post(f"/v1/conversation/{waiting}/complete", ask))
    async with api.streaming(f"/v1/conversation/{streaming}/complete", ask) as events:
        seen = []
        async for event in events:
            seen.append(event)
            if [heard["type"] for heard in seen].count("token") == 10:
                for (run,) in await house.rows(
                    "SELECT id FROM run WHERE conversation_id = ANY ($1)", [waiting, streaming]
                ):
                    await api.ok(f"/v1/run/{run}/cancel")

    answer = await waiter
    assert answer.status == 200
    assert answer.body["end"] == {"reason": "abort"}
    assert answer.body["text"] == (await api.messages(waiting))[1][1]
    assert [event["type"] for event in seen[-2:]] == ["abort", "result"]
    assert seen[-2]["data"] == {"reason": "canceled"}
    assert seen[-1]["data"]["end"] == {"reason": "abort"}
    assert seen[-1]["data"]["text"] == text_of(seen) == (await api.messages(streaming))[1][1]


async def test_with_temporal_killed_a_cancel_does_all_but_stop_the_model_which_stops_at_its_next_token(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    conversation, word, slow = await api.conversation(), ids.new("canary"), await pace(api)
    told = await _speaking(api, conversation, f"{word} [model tokens=400 delay=100]")
    house.kill("temporal")
    try:
        asked = time.time_ns() // 1_000_000
        await api.ok(f"/v1/run/{told['runId']}/cancel")
        answered = time.time_ns() // 1_000_000
        next_ = await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": "canary [model tokens=2]"})
        assert (await witness.run(next_["runId"]))["admitted_at"] is not None
        assert (await witness.run(told["runId"]))["state"] == "canceled"
        assert [kind for kind, _ in await api.messages(conversation)] == ["user", "bot"]
        (call,) = await witness.hung_up(word)
    finally:
        house.start("temporal")
    note("cancel without Temporal, ms", answered - asked)
    note("from cancel to the model's hang-up, ms", call["ended"] - asked)
    await witness.ended(next_["runId"])
    slow = max(slow, await pace(api))
    assert answered - asked < 1_000 * slow
    assert call["ended"] - answered < 1_000 * slow
    await witness.closed(told["runId"])
    kept = await api.messages(conversation)
    assert [kind for kind, _ in kept] == ["user", "bot", "user", "bot"]


async def _speaking(api: Api, conversation: str, text: str) -> dict[str, Any]:
    """A turn whose model has said five tokens."""
    told: dict[str, Any] = await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": text})
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        await some(events, 5)
    return told
