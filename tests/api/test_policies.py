"""What a call does to the turn it meets: undoes it, or joins it, wherever that turn is."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain import ids
from tests.api.test_streams import SSE, sse
from tests.api.test_turns import LONG, dispatched, fetched, has_runs, over, speaking, waiting
from tests.house import House, eventually
from tests.http import Api, inner, text_of

SHORT = "[model tokens=2 delay=1]"
SOON = "[model tokens=20 delay=200]"
"""An answer that is not said before another call is made, and soon."""


async def steered(api: Api, conversation: str, text: str = f"more {SHORT}", **more: Any) -> str:
    return await dispatched(api, conversation, text, onBusy="steer", **more)


async def listed(api: Api, conversation: str) -> list[dict[str, Any]]:
    found = await api.get(f"/v1/conversation/{conversation}/message/list?order=asc")
    return list(found.body["items"])


# Rollback.


async def test_a_turn_that_is_rolled_back_while_it_speaks_was_never_there(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": f"before {SHORT}"})
    busy = await speaking(api, conversation)
    waits = [await waiting(api, conversation, f"waits {n}") for n in range(2)]

    url = f"/v1/conversation/{conversation}/complete"
    answer = await api.ok(url, {"text": f"{word} {SHORT}", "onBusy": "rollback"})

    assert await over(api, busy, *waits) == ["rolled_back"] * 3
    assert await api.messages(conversation) == [
        ("user", f"before {SHORT}"),
        ("bot", "t1 t2"),
        ("user", f"{word} {SHORT}"),
        ("bot", answer["text"]),
    ]
    (call,) = await house.calls(word)
    assert call["prompts"] == [f"before {SHORT}", "t1 t2", f"{word} {SHORT}"]
    csv = await api.get(f"/v1/conversation/{conversation}/message/list", Accept="application/jsonl")
    assert LONG not in str(csv.body)


async def test_who_asked_for_what_is_rolled_back_is_told_so_and_can_look_at_it(api: Api) -> None:
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}/complete"
    async with api.streaming(url, {"text": LONG}) as events:
        seen = [await anext(events) for _ in range(5)]
        queued = asyncio.create_task(api.post(url, {"text": "waits"}))
        await has_runs(api, conversation, 2)

        await api.ok(url, {"text": SHORT, "onBusy": "rollback"})
        seen += [event async for event in events]

    assert [event["type"] for event in seen[-2:]] == ["abort", "result"]
    assert seen[-2]["data"] == {"reason": "rolled_back"}
    result = seen[-1]["data"]
    assert (result["text"], result["end"]) == (text_of(seen), {"reason": "abort"})
    status, body, _ = await queued
    assert (status, body["text"], body["end"]) == (200, "", {"reason": "abort"})
    run = await fetched(api, result["runId"])
    assert (run["state"], run["messageId"]) == ("rolled_back", result["id"])
    kept = await api.get(f"/v1/conversation/{conversation}/message/{result['id']}/fetch")
    assert kept.body["text"] == result["text"]
    assert result["id"] not in [message["id"] for message in await listed(api, conversation)]


# Steer.


async def test_a_steer_while_the_model_speaks_is_read_before_it_is_done(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    busy = await speaking(api, conversation, f"{word} {SOON}")
    url = f"/v1/conversation/{conversation}/complete"

    answer = await api.ok(url, {"text": f"{word} more {SHORT}", "onBusy": "steer"})

    assert (answer["text"], answer["runId"]) == ("t1 t2", busy)
    whole = " ".join(f"t{n}" for n in range(1, 21))
    assert await api.messages(conversation) == [
        ("user", f"{word} {SOON}"),
        ("bot", whole),
        ("user", f"{word} more {SHORT}"),
        ("bot", "t1 t2"),
    ]
    _, call = await house.calls(word)
    assert call["prompts"] == [f"{word} {SOON}", whole, f"{word} more {SHORT}"]
    run = await fetched(api, busy)
    assert (run["state"], run["messageId"]) == ("succeeded", answer["id"])
    assert [step["iteration"] for step in run["steps"]] == [1, 2]
    found = await api.get(f"/v1/run/list?conversationId={conversation}&state=merged")
    (merged,) = found.body["items"]
    assert (merged["mergedInto"], merged["state"]) == (busy, "merged")
    assert "begunAt" not in merged


async def test_the_stream_of_a_steered_call_goes_on_as_the_turns_from_the_merge_on(api: Api) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation, SOON)
    url = f"/v1/conversation/{conversation}/complete"

    own = await api.stream(url, {"text": f"more {SHORT}", "onBusy": "steer"}, **{"X-Holdfast-Events": "all"})
    turn = inner(await api.stream(f"/v1/run/{busy}/subscribe", **{"X-Holdfast-Events": "all"}))

    assert [event["type"] for event in own[:3]] == ["sendResult", "merged", "completeBegin"]
    assert own[0]["data"]["text"] == f"more {SHORT}"
    assert own[1]["data"] == {"runId": busy}
    assert own[2]["data"] == {"iteration": 2, "attempt": 1}
    rest = [(event["type"], event["data"]) for event in own[2:]]
    assert rest == [(event["type"], event["data"]) for event in turn][-len(rest) :]
    assert text_of(own) == own[-1]["data"]["text"] == "t1 t2"
    assert [event["seq"] for event in own] == [*range(1, len(own) + 1)]


async def test_the_turn_itself_tells_of_every_answer_and_ends_with_the_last(api: Api) -> None:
    conversation = await api.conversation()
    async with api.streaming(f"/v1/conversation/{conversation}/complete", {"text": SOON}) as events:
        seen = [await anext(events) for _ in range(3)]
        await steered(api, conversation)
        seen += [event async for event in events]

    kinds = [event["type"] for event in seen if event["type"] not in ("token", "usage")]
    assert kinds == [*["completeBegin", "message", "completeEnd"] * 2, "result"]
    assert [event["type"] for event in seen].count("usage") == 2
    assert seen[-1]["data"]["text"] == "t1 t2"


async def test_a_steered_calls_events_can_be_picked_up_anywhere(api: Api) -> None:
    conversation = await api.conversation()
    await speaking(api, conversation, SOON)
    run = await steered(api, conversation)
    await over(api, run)

    whole = await api.stream(f"/v1/run/{run}/subscribe")
    after = [await api.stream(f"/v1/run/{run}/subscribe", {"after": event["seq"]}) for event in whole[:-1]]
    newest = await api.stream(f"/v1/run/{run}/subscribe", {"historyLength": 2})
    heard = {"Last-Event-ID": str(whole[2]["seq"])}
    raw = await api.raw("POST", f"/v1/run/{run}/subscribe", b"{}", **SSE, **heard)

    assert "merged" not in [event["type"] for event in inner(whole)]
    assert after == [whole[place + 1 :] for place in range(len(whole) - 1)]
    assert newest[-1] == whole[-1]
    assert len(newest) <= 2
    assert [event["data"] for event in sse(raw.body)] == [event["data"] for event in whole[3:]]


async def test_a_merged_call_is_answered_for_as_long_as_the_turns_message_is_there(
    house: House, api: Api
) -> None:
    conversation = await api.conversation()
    await speaking(api, conversation, SOON)
    url, ask = f"/v1/conversation/{conversation}/complete", {"text": SHORT, "onBusy": "steer"}
    key = {"Idempotency-Key": ids.new("key")}
    first = await api.post(url, ask, **key)

    for table in ("event", "token"):
        await house.rows(
            f"DELETE FROM {table} USING run r WHERE r.channel_id = {table}.channel_id"  # noqa: S608 our own
            " AND r.conversation_id = $1",
            conversation,
        )
    again = await api.post(url, ask, **key)
    (heard,) = await api.stream(f"/v1/run/{first.headers['X-Run-Id']}/subscribe")

    assert again.body == heard["data"]["data"] == first.body


async def test_a_repeat_under_the_same_key_finds_the_merged_run_and_its_answer(
    house: House, api: Api
) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    busy = await speaking(api, conversation, SOON)
    url, ask = f"/v1/conversation/{conversation}/complete", {"text": f"{word} {SHORT}", "onBusy": "steer"}
    key = {"Idempotency-Key": ids.new("key")}

    first, at_once = await asyncio.gather(api.post(url, ask, **key), api.post(url, ask, **key))
    later = await api.post(url, ask, **key)
    streamed = await api.stream(url, ask, **key)

    assert first.body == at_once.body == later.body == streamed[-1]["data"]
    assert first.body["runId"] == busy
    assert len({one.headers["X-Run-Id"] for one in (first, at_once, later)} - {busy}) == 1
    assert len(await house.calls(word)) == 1


async def test_a_steer_that_was_not_read_when_its_turn_was_cancelled_is_a_turn(
    house: House, api: Api
) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    busy = await speaking(api, conversation)
    run = await steered(api, conversation, f"{word} {SHORT}")

    shown = await fetched(api, run)
    await api.ok(f"/v1/run/{busy}/cancel")

    assert (shown["state"], shown["request"]) == ("queued", {"text": f"{word} {SHORT}"})
    assert await over(api, busy, run) == ["canceled", "succeeded"]
    assert len(await house.calls(word)) == 1


async def test_a_steer_while_nothing_runs_is_an_ordinary_turn(api: Api) -> None:
    conversation = await api.conversation(onBusy="steer")

    answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": SHORT})

    assert (await fetched(api, answer["runId"]))["state"] == "succeeded"


@pytest.mark.parametrize(("on_busy", "state"), [("interrupt", "interrupted"), ("rollback", "rolled_back")])
async def test_what_ends_a_turn_ends_the_calls_that_were_to_join_it(
    api: Api, on_busy: str, state: str
) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)
    run = await steered(api, conversation, "more")

    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": SHORT, "onBusy": on_busy})

    assert await over(api, busy, run) == [state] * 2
    assert ("more" in [text for _, text in await api.messages(conversation)]) == (on_busy == "interrupt")


async def test_a_conversation_that_is_deleted_leaves_no_word_of_a_merged_call(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    busy = await speaking(api, conversation, SOON)
    run = await steered(api, conversation, f"{word} {LONG}")

    async def merged() -> None:
        assert (await fetched(api, run))["state"] == "merged"

    await eventually(merged)
    listening = asyncio.create_task(api.stream(f"/v1/run/{run}/subscribe"))
    await api.ok(f"/v1/conversation/{conversation}/delete")

    assert (await listening)[-1]["data"]["data"]["code"] == "NOT_FOUND"
    assert (await fetched(api, busy))["state"] == "canceled"
    late = await api.stream(f"/v1/run/{run}/subscribe")
    assert [event["data"]["data"]["code"] for event in late] == ["NOT_FOUND"]
    assert not await house.rows("SELECT FROM event WHERE data LIKE '%' || $1 || '%'", word)


# Batches.


async def test_calls_within_the_time_of_a_batch_get_one_answer(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    url = f"/v1/conversation/{conversation}/complete"
    first = asyncio.create_task(api.ok(url, {"text": f"{word} one", "batchMs": 4_000}))
    await has_runs(api, conversation, 1)

    rest = [api.ok(url, {"text": f"{word} {n} {SHORT}"}) for n in ("two", "three")]
    answers = [*await asyncio.gather(*rest), await first]

    assert len({answer["runId"] for answer in answers}) == 1
    assert {answer["text"] for answer in answers} == {"t1 t2"}
    (call,) = await house.calls(word)
    assert sorted(call["prompts"]) == sorted([f"{word} one", f"{word} two {SHORT}", f"{word} three {SHORT}"])
    assert call["prompts"][0] == f"{word} one"
    run = await fetched(api, answers[0]["runId"])
    assert run["begunAt"] - run["createdAt"] >= 3_900


async def test_what_is_sent_and_received_in_a_batch_is_answered_once(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    runs = []
    for n in range(3):
        await api.ok(f"/v1/conversation/{conversation}/send", {"text": f"{word} {n}"})
        runs.append(await dispatched(api, conversation, batchMs=4_000))

    assert await over(api, *runs) == ["succeeded", "merged", "merged"]
    (call,) = await house.calls(word)
    assert call["prompts"] == [f"{word} {n}" for n in range(3)]


async def test_a_batch_can_be_cancelled_before_it_begins(house: House, api: Api) -> None:
    conversation = await api.conversation()
    run = await dispatched(api, conversation, "never", batchMs=60_000)

    await api.ok(f"/v1/run/{run}/cancel")
    answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": SHORT, "onBusy": "reject"})

    assert await over(api, run) == ["canceled"]
    assert answer["text"] == "t1 t2"


@pytest.mark.parametrize("value", [-1, 60_001, "10", 1.5])
async def test_a_batch_of_another_length_is_refused(api: Api, value: Any) -> None:
    conversation = await api.conversation()

    refused = await api.post(f"/v1/conversation/{conversation}/receive", {"batchMs": value})

    assert (refused.status, refused.body["code"]) == (400, "BAD_REQUEST")
