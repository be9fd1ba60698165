"""Promise 7: no words are in Temporal, and none of an answered stateless completion are anywhere."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from domain import ids
from tests.api.test_agent import function, on
from tests.crash.witness import Witness
from tests.house import House, eventually
from tests.http import Answer, Api, text_of

pytestmark = pytest.mark.slow

COMPLETE = "/v1/conversation/complete"


async def test_after_a_stateless_complete_its_words_are_in_no_table_no_history_and_no_log(
    house: House, api: Api, witness: Witness
) -> None:
    asked, told, failed, stopped, streamed = words = [ids.new("canary") for _ in range(5)]
    # Without a number of tokens the model repeats what it was told, so the answer has the word as well.
    whole = await api.post(COMPLETE, said(asked, backstory=f"{told} is what you are", model="gpt-5"))
    broken = await api.post(COMPLETE, said(f"{failed} [model status=400 echo]"))
    waiter = asyncio.create_task(api.post(COMPLETE, said(" ".join([stopped] * 20) + "[model stall=30]")))
    run = await _speaking(house, stopped)
    assert stopped in ",".join(await witness.words_of(run)), "the witness sees words while they are there"
    await api.ok(f"/v1/run/{run}/cancel")
    cut = await waiter
    events = await api.stream(COMPLETE, said(streamed))

    assert asked in whole.body["text"]
    assert (broken.status, broken.body["code"]) == (422, "MODEL_REFUSED")
    assert failed in broken.body["message"]
    assert cut.body["end"] == {"reason": "abort"}
    assert stopped in cut.body["text"]
    assert streamed in text_of(events)
    for word in words:
        await eventually(partial(_nowhere, witness, word))
        assert witness.logs_with(word) == []
    for answer in (whole, broken, cut):
        await _history_is_bare(witness, answer.headers["X-Run-Id"])
    await _history_is_bare(witness, events[-1]["data"]["runId"])


async def test_after_a_stateless_agent_its_calls_and_their_answers_are_nowhere(
    house: House, api: Api, witness: Witness
) -> None:
    word, channel = ids.new("canary"), ids.channel()
    functions = [function(f"{word}_now", result={"data": word}), on(f"{word}_ask", channel)]
    text = f"[model calls=1 rounds=3 tool={word}_none,{word}_now,{word}_ask args=none say=2]"

    async with api.streaming(COMPLETE, said(text) | {"functions": functions}) as events:
        async for event in events:
            if event["type"] == "waitForChannelMessageBegin":
                await api.ok(f"/v1/channel/{channel}/publish", {"message": {"result": word}})

    assert event["data"]["end"] == {"reason": "stop"}
    await eventually(partial(_nowhere, witness, word))
    assert witness.logs_with(word) == []
    await _history_is_bare(witness, event["data"]["runId"])


async def test_a_stateless_completion_whose_caller_left_is_forgotten_by_the_upkeep(
    house: House, api: Api, witness: Witness
) -> None:
    word = ids.new("canary")
    waiter = asyncio.create_task(api.post(COMPLETE, said(" ".join([word] * 60) + "[model delay=20]")))
    run = await _speaking(house, word)
    waiter.cancel()
    await witness.ended(run)

    await _let_five_minutes_pass(house, run)
    await _upkeep(witness)

    await eventually(partial(_nowhere, witness, word))


@pytest.mark.parametrize("accept", ["application/json", "application/jsonl", "text/event-stream"])
async def test_a_stateless_answer_under_a_key_is_kept_five_minutes_and_then_said_to_be_delivered(
    house: House, api: Api, witness: Witness, accept: str
) -> None:
    word = ids.new("canary")
    headers = {"Idempotency-Key": ids.new("key"), "Accept": accept}
    first = await api.post(COMPLETE, said(word), **headers)
    run_id = first.headers["X-Run-Id"]
    again = await api.post(COMPLETE, said(word), **headers)

    assert first.status == again.status == 200
    assert again.body == first.body
    run = await witness.run(run_id)
    assert (run["scrub_at"] - run["ended_at"]).total_seconds() == pytest.approx(300, abs=1)
    await _upkeep(witness)
    assert await witness.tables_with(word) != []

    await _let_five_minutes_pass(house, run_id)
    await _upkeep(witness)
    await eventually(partial(_nowhere, witness, word))

    late: Answer = await api.post(COMPLETE, said(word), **headers)
    assert (late.status, late.body["code"], late.body["runId"]) == (409, "CONFLICT", run_id)
    assert len(await house.calls(word)) == 1


async def test_no_failure_of_a_turn_takes_words_into_temporal(
    house: House, api: Api, witness: Witness
) -> None:
    faults = {
        "status=400 echo": "failed",
        "status=404 error=canary_code echo": "failed",
        "status=429 retry_after=0 echo": "failed",
        "status=500 echo times=1": "succeeded",
        "cut=2 times=1": "succeeded",
        "failed=2 error=canary_error times=1": "succeeded",
        "garbage=2 times=1": "succeeded",
        "nul split": "succeeded",
    }
    told = {}
    for fault in faults:
        conversation = await api.conversation(name="canary", backstory="canary", meta={"canary": "canary"})
        ask = {"text": f"canary [model tokens=4 {fault}] canary"}
        told[fault] = (await api.ok(f"/v1/conversation/{conversation}/dispatch", ask))["runId"]

    for fault, run in told.items():
        await witness.ended(run, faults[fault])
        await witness.closed(run)
        await _history_is_bare(witness, run)


def said(text: str, **more: Any) -> dict[str, Any]:
    return {"messages": [{"type": "user", "text": text}], **more}


async def _nowhere(witness: Witness, word: str) -> None:
    assert await witness.tables_with(word) == []


async def _history_is_bare(witness: Witness, run: str) -> None:
    await witness.closed(run)
    history = await witness.history(run)
    assert run in history, "the history as it is read here shows what a payload holds"
    assert "canary" not in history.lower()


async def _speaking(house: House, word: str) -> str:
    """The run whose model has said this word."""

    async def check() -> str:
        rows = await house.rows(
            "SELECT run.id FROM run JOIN token USING (channel_id) WHERE data LIKE $1", f"%{word}%"
        )
        assert rows
        run: str = rows[0]["id"]
        return run

    return await eventually(check)


async def _let_five_minutes_pass(house: House, run: str) -> None:
    await house.rows("UPDATE run SET scrub_at = scrub_at - interval '5 minutes' WHERE id = $1", run)


async def _upkeep(witness: Witness) -> None:
    """Retention runs once a minute; this is its next run."""
    schedule = (await witness.temporal()).get_schedule_handle(ids.UPKEEP_SCHEDULE)
    before = (await schedule.describe()).info.num_actions
    await schedule.trigger()

    async def done() -> None:
        info = (await schedule.describe()).info
        assert info.num_actions > before
        assert not info.running_actions

    await eventually(done)
