"""Delete during a run: it ends, its readers are told, and no late write brings anything back."""

from __future__ import annotations

import asyncio

import pytest

from domain import ids
from tests.crash.witness import Witness, inner_error, some
from tests.house import House, eventually
from tests.http import Api

pytestmark = pytest.mark.slow

LONG = "[model tokens=4000 delay=25]"


async def test_a_conversation_deleted_during_its_runs_ends_them_and_tells_every_reader(
    house: House, api: Api, witness: Witness
) -> None:
    conversation, word = await api.conversation(), ids.new("canary")
    waiter = asyncio.create_task(
        api.post(f"/v1/conversation/{conversation}/complete", {"text": f"{word} {LONG}"})
    )
    run = await _accepted(house, conversation)
    queued = await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": f"{word} waits"})
    async with api.streaming(f"/v1/run/{run}/subscribe") as events:
        await some(events, 10)
        await api.ok(f"/v1/conversation/{conversation}/delete")
        live = [event async for event in events]

    answer = await waiter
    assert (answer.status, answer.body["code"], answer.body["runId"]) == (422, "NOT_FOUND", run)
    for ended in (live, *[await api.stream(f"/v1/run/{one}/subscribe") for one in (run, queued["runId"])]):
        assert inner_error(ended) == "NOT_FOUND"
    late = await api.stream(f"/v1/run/{run}/subscribe")
    assert len(late) == 1
    assert (await api.get(f"/v1/conversation/{conversation}/fetch")).status == 404
    await _stays_away(house, witness, word, run)
    for one in (run, queued["runId"]):
        assert (await witness.run(one))["state"] == "canceled"


async def test_a_worker_frozen_while_a_conversation_is_deleted_brings_nothing_back(
    house: House, api: Api, witness: Witness
) -> None:
    conversation, word = await api.conversation(), ids.new("canary")
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch", {"text": f"{word} [model tokens=200 delay=25]"}
    )
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        await some(events, 10)
        house.freeze("worker")
        try:
            await api.ok(f"/v1/conversation/{conversation}/delete")
            await eventually(lambda: _said(house, word))
        finally:
            house.thaw("worker")
        assert inner_error([event async for event in events]) == "NOT_FOUND"

    await _stays_away(house, witness, word, told["runId"])


async def _said(house: House, word: str) -> None:
    assert [call["finished"] for call in await house.calls(word)] == [True]


async def _accepted(house: House, conversation: str) -> str:
    async def check() -> str:
        rows = await house.rows("SELECT id FROM run WHERE conversation_id = $1", conversation)
        assert rows
        run: str = rows[0]["id"]
        return run

    return await eventually(check)


async def _stays_away(house: House, witness: Witness, word: str, run: str) -> None:
    """Nothing is there of what was said; nor when the model, the worker and Temporal are done with it."""
    assert await witness.tables_with(word) == []
    before = await witness.kept()
    await witness.closed(run)

    async def hung_up() -> None:
        assert all(call["ended"] for call in await house.calls(word))

    await eventually(hung_up)
    await _another_turn(house)
    assert await witness.tables_with(word) == []
    assert not before - await witness.kept()
    kept = await witness.run(run)
    channel = kept["channel_id"]
    assert await house.rows("SELECT FROM token WHERE channel_id = $1", channel) == []
    (event,) = await house.rows("SELECT type FROM event WHERE channel_id = $1", channel)
    assert event["type"] == "error"
    assert await house.rows("SELECT FROM message WHERE run_id = $1", run) == []
    assert (kept["request"], kept["message_id"], kept["error_message"]) == (None, None, None)


async def _another_turn(house: House) -> None:
    """The worker does something else: what it still had to say about the deleted one has been said."""
    async with house.api() as api:
        await api.ok(
            "/v1/conversation/complete", {"messages": [{"type": "user", "text": "[model tokens=3]"}]}
        )
