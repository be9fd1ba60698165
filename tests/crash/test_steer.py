"""A steer that was accepted is a row: workers die, and it is read by the turn it was meant for."""

from __future__ import annotations

import asyncio

import pytest

from tests.crash.witness import Witness, some
from tests.house import House, eventually
from tests.http import Api

pytestmark = pytest.mark.slow


async def test_a_steer_whose_turns_worker_is_killed_is_read_by_the_next_attempt(
    house: House, api: Api, witness: Witness
) -> None:
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}"
    # Its first answer would never end.
    told = await api.ok(f"{url}/dispatch", {"text": "canary [model tokens=40 delay=25 endless times=1]"})
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        await some(events, 10)
        ask = {"text": "canary more [model tokens=3]", "onBusy": "steer"}
        steering = asyncio.create_task(api.post(f"{url}/complete", ask))
        await _accepted(house, conversation)
        house.start("worker2")
        await house.working("worker2")
        house.kill("worker")
        answer = await steering
        heard = [event async for event in events]

    assert (answer.status, answer.body["text"]) == (200, "t1 t2 t3")
    assert answer.body["runId"] == told["runId"]
    assert heard[-1]["data"]["data"] == answer.body
    assert await api.messages(conversation) == [
        ("user", "canary [model tokens=40 delay=25 endless times=1]"),
        ("user", "canary more [model tokens=3]"),
        ("bot", "t1 t2 t3"),
    ]
    merged = await witness.run(answer.headers["X-Run-Id"])
    assert (merged["state"], merged["merged_into"]) == ("merged", told["runId"])
    assert await witness.attempts(told["runId"]) == [2]


async def _accepted(house: House, conversation: str) -> None:
    async def check() -> None:
        assert await house.rows(
            "SELECT FROM run WHERE conversation_id = $1 AND joins IS NOT NULL", conversation
        )

    await eventually(check)
