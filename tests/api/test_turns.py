"""Promise 6: a conversation's turns come one at a time, in the order of their acceptance, by its policy."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from typing import Any

import pytest

from domain import ids
from tests.house import House, eventually
from tests.http import Api, text_of

MANY = 50
LONG = "[model tokens=4000 delay=25]"


async def dispatched(api: Api, conversation: str, text: str | None = None, **more: Any) -> str:
    """The run of a turn that was accepted."""
    body = more | ({} if text is None else {"text": text})
    run: str = (await api.ok(f"/v1/conversation/{conversation}/dispatch", body))["runId"]
    return run


async def speaking(api: Api, conversation: str, text: str = LONG) -> str:
    """The run of a turn whose model has said something and is not done."""
    run = await dispatched(api, conversation, text)
    async with api.streaming(f"/v1/run/{run}/subscribe") as events:
        async for event in events:
            if event["data"]["type"] == "token":
                break
    return run


async def waiting(api: Api, conversation: str, text: str) -> str:
    run = await dispatched(api, conversation, text)
    assert (await fetched(api, run))["state"] == "queued"
    return run


async def fetched(api: Api, run: str) -> dict[str, Any]:
    found: dict[str, Any] = (await api.get(f"/v1/run/{run}/fetch")).body
    return found


async def over(api: Api, *runs: str) -> list[str]:
    """The states of runs, once all have ended."""

    async def check() -> list[str]:
        states = [(await fetched(api, run))["state"] for run in runs]
        assert not {"queued", "running"} & {*states}
        return states

    return await eventually(check)


async def test_fifty_turns_at_once_are_held_one_at_a_time_in_the_order_of_their_acceptance(
    house: House, api: Api
) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    asks = [{"text": f"{word}-{n:02} [model tokens=3 delay=5]"} for n in range(MANY)]

    answers = await asyncio.gather(
        *(api.ok(f"/v1/conversation/{conversation}/complete", ask) for ask in asks)
    )

    runs = [await fetched(api, answer["runId"]) for answer in answers]
    accepted = [run["id"] for run in sorted(runs, key=lambda run: run["acceptedSeq"])]
    assert sorted(run["acceptedSeq"] for run in runs) == [*range(1, MANY + 1)]
    begun = [run["id"] for run in sorted(runs, key=lambda run: run["begunAt"])]
    assert begun == accepted
    asked = dict(zip((answer["runId"] for answer in answers), (ask["text"] for ask in asks), strict=True))
    said = dict(zip((answer["runId"] for answer in answers), (a["text"] for a in answers), strict=True))
    expected = [turn for run in accepted for turn in (("user", asked[run]), ("bot", said[run]))]
    assert await api.messages(conversation) == expected[-100:]
    calls = await house.calls(word)
    assert len(calls) == MANY
    assert all(one["ended"] <= next_["at"] for one, next_ in pairwise(calls))
    # Each model saw what was said before it, and nothing else.
    assert [len(call["prompts"]) for call in calls] == [*range(1, 2 * MANY, 2)]


async def test_a_turn_that_is_rejected_leaves_nothing_and_names_the_run_it_met(api: Api) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)

    for path in ("complete", "dispatch", "receive"):
        ask = {"onBusy": "reject"} | ({} if path == "receive" else {"text": "too late"})
        status, body, headers = await api.post(f"/v1/conversation/{conversation}/{path}", ask)
        assert (status, body["code"], body["runId"]) == (409, "CONFLICT", busy)
        assert headers["X-Run-Id"] == busy

    await api.ok(f"/v1/run/{busy}/cancel")
    listed = await api.get(f"/v1/run/list?conversationId={conversation}")
    assert [run["id"] for run in listed.body["items"]] == [busy]
    assert "too late" not in [text for _, text in await api.messages(conversation)]


async def test_a_rejecting_turn_is_also_turned_away_by_one_that_waits(api: Api) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)
    waits = await waiting(api, conversation, "[model tokens=1]")

    status, _, _ = await api.post(
        f"/v1/conversation/{conversation}/complete", {"text": "no", "onBusy": "reject"}
    )
    await api.ok(f"/v1/run/{busy}/cancel")

    assert status == 409
    assert await over(api, busy, waits) == ["canceled", "succeeded"]
    free = await api.ok(
        f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1]", "onBusy": "reject"}
    )
    assert free["text"] == "t1"


async def test_a_turn_that_waits_shows_its_request_and_enters_the_conversation_when_it_begins(
    api: Api,
) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)
    waits = await waiting(api, conversation, "next [model tokens=1]")

    shown = await fetched(api, waits)
    before = await api.messages(conversation)
    await api.ok(f"/v1/run/{busy}/cancel")
    await over(api, waits)

    assert shown["request"] == {"text": "next [model tokens=1]"}
    assert "request" not in await fetched(api, waits)
    assert before == [("user", LONG)]
    assert [text for _, text in await api.messages(conversation)][-2:] == ["next [model tokens=1]", "t1"]


async def test_an_interrupting_turn_ends_what_is_unfinished_and_keeps_what_was_said(
    house: House, api: Api
) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)
    waits = [await waiting(api, conversation, f"waits {n}") for n in range(3)]

    answer = await api.ok(
        f"/v1/conversation/{conversation}/complete", {"text": "now [model tokens=2]", "onBusy": "interrupt"}
    )

    assert answer["text"] == "t1 t2"
    assert await over(api, busy, *waits) == ["interrupted"] * 4
    listed = (await api.get(f"/v1/conversation/{conversation}/message/list?order=asc")).body["items"]
    partial = listed[1]
    assert [(m["type"], m["text"]) for m in listed] == [
        ("user", LONG),
        ("bot", partial["text"]),
        *(("user", f"waits {n}") for n in range(3)),
        ("user", "now [model tokens=2]"),
        ("bot", "t1 t2"),
    ]
    assert partial["text"].startswith("t1")
    assert partial["meta"] == {"partial": True, "reason": "interrupted"}
    (call,) = await house.calls("now [model tokens=2]")
    assert call["prompts"] == [m["text"] for m in listed[:-1]]


async def test_the_callers_of_interrupted_turns_are_told_with_what_was_said(api: Api) -> None:
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}/complete"
    async with api.streaming(url, {"text": LONG}) as events:
        seen = [await anext(events) for _ in range(5)]
        queued = asyncio.create_task(api.post(url, {"text": "waits"}))
        await has_runs(api, conversation, 2)

        await api.ok(url, {"text": "[model tokens=1]", "onBusy": "interrupt"})
        seen += [event async for event in events]

    assert [event["type"] for event in seen[-2:]] == ["abort", "result"]
    assert seen[-2]["data"] == {"reason": "interrupted"}
    assert seen[-1]["data"]["end"] == {"reason": "abort"}
    assert seen[-1]["data"]["text"] == text_of(seen)
    status, body, _ = await queued
    assert (status, body["text"], body["end"]) == (200, "", {"reason": "abort"})


async def has_runs(api: Api, conversation: str, count: int) -> None:
    async def check() -> None:
        listed = await api.get(f"/v1/run/list?conversationId={conversation}")
        assert len(listed.body["items"]) == count

    await eventually(check)


@pytest.mark.parametrize("path", ["complete", "dispatch", "receive"])
@pytest.mark.parametrize(("default", "expected"), [("reject", 409), ("enqueue", 200), ("interrupt", 200)])
async def test_the_conversation_says_what_its_turns_do_when_the_call_does_not(
    api: Api, path: str, default: str, expected: int
) -> None:
    conversation = await api.conversation(onBusy=default)
    busy = await speaking(api, conversation)
    ask = {"text": "[model tokens=1]"}
    if path == "receive":
        await api.ok(f"/v1/conversation/{conversation}/send", ask)
        ask = {}

    second = asyncio.create_task(api.post(f"/v1/conversation/{conversation}/{path}", ask))
    if default == "enqueue":
        await has_runs(api, conversation, 2)
        assert (await fetched(api, busy))["state"] == "running"
        await api.ok(f"/v1/run/{busy}/cancel")
    status, _, _ = await second

    assert status == expected
    state = (await fetched(api, busy))["state"]
    assert state == {"reject": "running", "enqueue": "canceled", "interrupt": "interrupted"}[default]
    await api.ok(f"/v1/conversation/{conversation}/delete")


async def test_a_call_may_differ_from_its_conversations_policy(api: Api) -> None:
    conversation = await api.conversation(onBusy="reject")
    busy = await speaking(api, conversation)

    await dispatched(api, conversation, "[model tokens=1]", onBusy="enqueue")
    await api.ok(f"/v1/run/{busy}/cancel")
    await api.ok(f"/v1/conversation/{conversation}/update", {"onBusy": None})

    assert await dispatched(api, conversation, "[model tokens=1]")
    assert (await api.get(f"/v1/conversation/{conversation}/fetch")).body.get("onBusy") is None


async def test_cancelling_frees_the_conversation_at_once_and_keeps_the_partial_text(api: Api) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)

    told = await api.ok(f"/v1/run/{busy}/cancel")
    listed = (await api.get(f"/v1/conversation/{conversation}/message/list?order=asc")).body["items"]
    answer = await api.ok(
        f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1]", "onBusy": "reject"}
    )
    again = await api.ok(f"/v1/run/{busy}/cancel")

    assert told == again == {"id": busy}
    assert listed[1]["meta"] == {"partial": True, "reason": "canceled"}
    assert listed[1]["text"].startswith("t1")
    assert answer["text"] == "t1"
    assert (await fetched(api, busy))["state"] == "canceled"


async def test_a_waiting_turn_that_is_cancelled_leaves_no_message(api: Api) -> None:
    conversation = await api.conversation()
    busy = await speaking(api, conversation)
    waits = await waiting(api, conversation, "never said")

    await api.ok(f"/v1/run/{waits}/cancel")
    await api.ok(f"/v1/run/{busy}/cancel")

    assert await over(api, waits) == ["canceled"]
    assert "never said" not in [text for _, text in await api.messages(conversation)]


async def test_a_caller_who_has_the_answer_finds_the_conversation_free(api: Api) -> None:
    conversation = await api.conversation(onBusy="reject")

    for n in range(1, 6):
        answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": f"[model tokens={n}]"})
        assert answer["text"].split()[-1] == f"t{n}"


async def test_a_message_sent_during_a_turn_is_the_next_turns(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    busy = await speaking(api, conversation, f"{word} [model tokens=30 delay=100]")

    await api.ok(f"/v1/conversation/{conversation}/send", {"text": f"{word} sent"})
    waits = await waiting(api, conversation, f"{word} [model tokens=1]")
    await over(api, busy, waits)

    first, second = await house.calls(word)
    assert first["prompts"] == [f"{word} [model tokens=30 delay=100]"]
    assert f"{word} sent" in second["prompts"]


async def test_turns_of_different_conversations_do_not_wait_for_each_other(api: Api) -> None:
    one, other = await api.conversation(), await api.conversation()
    busy = await speaking(api, one)

    answer = await api.ok(f"/v1/conversation/{other}/complete", {"text": "[model tokens=1]"})

    assert answer["text"] == "t1"
    assert (await fetched(api, busy))["state"] == "running"
    await api.ok(f"/v1/run/{busy}/cancel")


async def test_deleting_a_conversation_ends_its_runs_and_leaves_no_word(house: House, api: Api) -> None:
    conversation = await api.conversation()
    async with api.streaming(f"/v1/conversation/{conversation}/complete", {"text": LONG}) as events:
        seen = [await anext(events) for _ in range(4)]
        waits = await dispatched(api, conversation, "waits")
        await api.ok(f"/v1/conversation/{conversation}/delete")
        seen += [event async for event in events]

    run = seen[-1]["data"].get("runId")
    assert (seen[-1]["type"], seen[-1]["data"]["code"]) == ("error", "NOT_FOUND")
    assert run is None or (await fetched(api, run))["state"] == "canceled"
    late = await api.stream(f"/v1/run/{waits}/subscribe")
    assert [event["data"]["data"]["code"] for event in late] == ["NOT_FOUND"]
    assert (await api.get(f"/v1/conversation/{conversation}/fetch")).status == 404

    async def textless() -> None:
        left = await house.rows(
            "SELECT r.request, e.type FROM run r LEFT JOIN event e ON e.channel_id = r.channel_id"
            " WHERE r.conversation_id = $1",
            conversation,
        )
        assert [tuple(row) for row in left] == [(None, "error")] * 2
        tokens = await house.rows(
            "SELECT FROM token t JOIN run r ON r.channel_id = t.channel_id WHERE r.conversation_id = $1",
            conversation,
        )
        assert not tokens
        assert not await house.rows("SELECT FROM message WHERE conversation_id = $1", conversation)

    await eventually(textless)
