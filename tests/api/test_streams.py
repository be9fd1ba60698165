"""Streams: what comes in which order, framed for clients that die of an empty line."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from domain.events import TYPED
from tests.http import Api, inner, text_of

PREFIXES = ["/v1", "/api/v1"]
JSONL = {"Accept": "application/jsonl", "Content-Type": "application/json"}
SSE = {"Accept": "text/event-stream", "Content-Type": "application/json"}
STATELESS = {"messages": [{"type": "user", "text": "[model tokens=3 reasoning=2]"}]}
ORDER = [
    "completeBegin",
    "reasoningToken",
    "reasoningToken",
    "token",
    "token",
    "token",
    "message",
    "usage",
    "completeEnd",
    "result",
]


def sse(raw: bytes) -> list[dict[str, Any]]:
    """The events of a server-sent stream, with their ids as `id`."""
    found = []
    for block in raw.decode("ascii").split("\n\n"):
        lines = [line for line in block.split("\n") if line and not line.startswith(":")]
        if lines:
            fields = dict(line.split(": ", 1) for line in lines)
            found.append(json.loads(fields["data"]) | {"id": fields.get("id")})
    return found


def jsonl(raw: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in raw.decode("ascii").splitlines()]


def types(events: list[dict[str, Any]]) -> list[str]:
    return [event["type"] for event in events]


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_stateless_stream_tells_everything_in_order_and_ends_with_the_json_answer(
    api: Api, prefix: str
) -> None:
    events = await api.stream(f"{prefix}/conversation/complete", STATELESS)
    answer = await api.ok(f"{prefix}/conversation/complete", STATELESS)

    assert types(events) == ORDER
    assert events[-1]["data"].keys() == answer.keys() == {"text", "usage", "end", "runId"}
    assert events[-1]["data"] | {"runId": 0} == answer | {"runId": 0}
    assert text_of(events) == answer["text"] == "t1 t2 t3"
    assert answer["end"] == {"reason": "stop"}


@pytest.mark.parametrize("prefix", PREFIXES)
async def test_a_turn_streams_its_stored_message_and_its_usage(api: Api, prefix: str) -> None:
    conversation = await api.conversation()

    events = await api.stream(
        f"{prefix}/conversation/{conversation}/complete", {"text": "[model tokens=3 reasoning=2]"}
    )

    assert types(events) == ORDER
    by_type = {event["type"]: event["data"] for event in events}
    result = by_type["result"]
    stored = (await api.get(f"{prefix}/conversation/{conversation}/message/{result['id']}/fetch")).body
    assert by_type["message"] == {"type": "bot", "text": "t1 t2 t3", "id": stored["id"]}
    assert (stored["type"], stored["text"], stored["runId"]) == ("bot", "t1 t2 t3", result["runId"])
    used = by_type["usage"]
    assert used["model"] == "gpt-5-mini"
    assert result["usage"]["token"] == used["inputTokensUsed"] + used["outputTokensUsed"] > 0
    assert by_type["completeBegin"] == by_type["completeEnd"] == {"iteration": 1, "attempt": 1}


async def test_receive_lets_the_agent_speak_first(api: Api) -> None:
    conversation = await api.conversation(backstory="[model tokens=9]")

    events = await api.stream(f"/v1/conversation/{conversation}/receive")
    answer = await api.ok(f"/v1/conversation/{conversation}/receive")

    assert types(events)[0] == "completeBegin"
    assert types(events)[-1] == "result"
    assert [kind for kind, _ in await api.messages(conversation)] == ["bot", "bot"]
    assert answer.keys() >= {"id", "text", "usage"}


@pytest.mark.parametrize("shape", ["jsonl", "sse"])
async def test_send_answers_with_its_result_and_runs_no_agent(api: Api, shape: str) -> None:
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}/send"

    status, raw, headers = await api.raw(
        "POST", url, b'{"text": " hi "}', **(JSONL if shape == "jsonl" else SSE)
    )

    assert status == 200
    (event,) = jsonl(raw) if shape == "jsonl" else sse(raw)
    assert event["type"] == "result"
    assert event["data"].keys() == {"id", "entities"}
    assert headers["Content-Type"].startswith(
        "application/jsonl" if shape == "jsonl" else "text/event-stream"
    )
    assert await api.messages(conversation) == [("user", "hi")]
    assert (await api.get(f"/v1/run/list?conversationId={conversation}")).body["items"] == []


async def test_a_jsonl_stream_is_ascii_lines_none_of_them_empty(api: Api) -> None:
    conversation = await api.conversation()
    ask = json.dumps({"text": "Grüße 😀 \u2028 [demo]"}).encode()

    status, raw, headers = await api.raw("POST", f"/v1/conversation/{conversation}/complete", ask, **JSONL)

    assert status == 200
    assert headers["Content-Type"].startswith("application/jsonl")
    assert raw.isascii()
    assert raw.endswith(b"}\n")
    assert all(line.strip() for line in raw.split(b"\n")[:-1])
    events = jsonl(raw)
    assert "😀" in events[-1]["data"]["text"]
    assert headers["X-Run-Id"] == events[-1]["data"]["runId"]


async def test_the_seqs_of_a_stream_strictly_increase(api: Api) -> None:
    events = await api.stream("/v1/conversation/complete", STATELESS)

    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert all(isinstance(seq, int) for seq in seqs)


async def test_server_sent_events_carry_the_same_and_their_seq_as_id(api: Api) -> None:
    conversation = await api.conversation()
    keyed = {"Idempotency-Key": conversation}
    url, ask = f"/v1/conversation/{conversation}/complete", b'{"text": "[model tokens=3 reasoning=2]"}'

    status, raw, headers = await api.raw("POST", url, ask, **SSE, **keyed)
    _, lines, _ = await api.raw("POST", url, ask, **JSONL, **keyed)

    assert status == 200
    assert headers["Content-Type"].startswith("text/event-stream")
    events = sse(raw)
    assert [{k: v for k, v in event.items() if k != "id"} for event in events] == jsonl(lines)
    assert [event["id"] for event in events] == [str(event["seq"]) for event in events]


async def test_a_server_sent_stream_goes_on_after_the_last_event_id(api: Api) -> None:
    conversation = await api.conversation()
    keyed = {"Idempotency-Key": conversation}
    url, ask = f"/v1/conversation/{conversation}/complete", b'{"text": "[model tokens=5]"}'
    _, whole, _ = await api.raw("POST", url, ask, **SSE, **keyed)
    seen = sse(whole)[:4]

    _, rest, _ = await api.raw("POST", url, ask, **SSE, **keyed, **{"Last-Event-ID": seen[-1]["id"]})

    assert seen + sse(rest) == sse(whole)


async def test_only_the_eleven_known_types_are_streamed_unless_all_are_asked_for(api: Api) -> None:
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}/complete"
    ask, keyed = {"text": "[model tokens=1]"}, {"Idempotency-Key": conversation}

    usual = await api.stream(url, ask, **keyed)
    everything = await api.stream(url, ask, **keyed, **{"X-Holdfast-Events": "all"})

    assert {*types(usual)} <= TYPED
    assert {*types(everything)} - TYPED == {"sendResult", "receiveResult"}
    assert [event for event in everything if event["type"] in TYPED] == usual
    sent = next(event for event in everything if event["type"] == "sendResult")
    assert sent["data"]["text"] == "[model tokens=1]"
    assert everything[0] == sent


@pytest.mark.parametrize("prefix", PREFIXES)
@pytest.mark.parametrize("stateless", [False, True], ids=["stateful", "stateless"])
async def test_a_dispatch_names_its_channel_which_wraps_every_event(
    api: Api, prefix: str, stateless: bool
) -> None:
    ask: dict[str, Any] = STATELESS if stateless else {"text": "[model tokens=3 reasoning=2]"}
    where = "" if stateless else f"/{await api.conversation()}"

    status, told, headers = await api.post(f"{prefix}/conversation{where}/dispatch", ask)
    events = await api.stream(f"{prefix}/channel/{told['channelId']}/subscribe")

    assert status == 200
    assert told.keys() == {"channelId", "runId"}
    assert len(told["channelId"]) >= 24
    assert headers["X-Run-Id"] == told["runId"]
    assert {*types(events)} == {"message"}
    assert types(inner(events)) == ORDER
    seqs = [event["seq"] for event in events]
    assert seqs == sorted(set(seqs))
    assert inner(events)[-1]["data"]["runId"] == told["runId"]


async def test_a_dispatch_is_not_streamed_by_its_own_request(api: Api) -> None:
    conversation = await api.conversation()

    status, raw, headers = await api.raw(
        "POST", f"/v1/conversation/{conversation}/dispatch", b'{"text": "[model tokens=1]"}', **JSONL
    )

    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert json.loads(raw).keys() == {"channelId", "runId"}


@pytest.mark.slow
async def test_a_silent_stream_shows_every_ten_seconds_that_it_lives(api: Api) -> None:
    ask = json.dumps({"messages": [{"type": "user", "text": "[model tokens=1 first=11000]"}]}).encode()
    url = "/v1/conversation/complete"

    lines, frames = await asyncio.gather(api.raw("POST", url, ask, **JSONL), api.raw("POST", url, ask, **SSE))

    # Spaces stand before a whole line, where every official client takes them; never on a line of their own.
    assert b"\n {" in lines.body
    assert types(jsonl(lines.body))[-1] == "result"
    assert b"\n\n:\n\n" in frames.body
    assert types(sse(frames.body))[-1] == "result"


@pytest.mark.parametrize("broken", ["cut=3", "reset=3", "end=3", "garbage=2", "failed=3"])
async def test_a_second_attempt_begins_anew_for_a_live_reader_and_replaces_the_first_for_a_late_one(
    api: Api, broken: str
) -> None:
    conversation = await api.conversation()
    ask = {"text": f"[model tokens=6 delay=30 {broken} times=1]"}

    live = await api.stream(f"/v1/conversation/{conversation}/complete", ask)
    late = inner(await api.stream(f"/v1/run/{live[-1]['data']['runId']}/subscribe"))

    begins = [event["data"] for event in live if event["type"] == "completeBegin"]
    assert begins == [{"iteration": 1, "attempt": 1}, {"iteration": 1, "attempt": 2}]
    assert [e["data"] for e in late if e["type"] == "completeBegin"] == begins[1:]
    assert text_of(live) == text_of(late) == "t1 t2 t3 t4 t5 t6"
    assert (await api.messages(conversation))[1:] == [("bot", "t1 t2 t3 t4 t5 t6")]
    seqs = [event["seq"] for event in live]
    assert seqs == sorted(set(seqs))


async def test_what_postgres_cannot_hold_is_replaced_in_what_a_model_says(api: Api) -> None:
    conversation = await api.conversation()

    events = await api.stream(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=2 nul]"})

    assert text_of(events) == events[-1]["data"]["text"] == (await api.messages(conversation))[1][1]
    assert "\ufffd" in events[-1]["data"]["text"]


async def test_a_caller_who_hangs_up_changes_nothing(api: Api) -> None:
    conversation = await api.conversation()
    ask = {"text": "[model tokens=20 delay=10]"}

    async with api.streaming(f"/v1/conversation/{conversation}/complete", ask) as events:
        seen = [await anext(events) for _ in range(3)]
    (run,) = (await api.get(f"/v1/run/list?conversationId={conversation}")).body["items"]
    rest = await api.stream(f"/v1/run/{run['id']}/subscribe", {"after": seen[-1]["seq"]})

    assert text_of(seen + inner(rest)) == (await api.messages(conversation))[1][1]
    assert (await api.get(f"/v1/run/{run['id']}/fetch")).body["state"] == "succeeded"
