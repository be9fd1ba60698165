"""Promise 5: the same key is the same call, however often and however fast it comes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain import ids
from tests.house import House, eventually
from tests.http import Api, inner, text_of

MANY = 50


async def at_once(api: Api, path: str, body: Any, **headers: str) -> list[Any]:
    return await asyncio.gather(*(api.ok(path, body, **headers) for _ in range(MANY)))


async def test_fifty_completes_with_one_key_are_one_turn(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    path, ask = f"/v1/conversation/{conversation}/complete", {"text": f"{word} [model tokens=20 delay=10]"}

    answers = await at_once(api, path, ask, **{"Idempotency-Key": word})
    later = await api.ok(path, ask, **{"Idempotency-Key": word})

    assert all(answer == answers[0] for answer in [*answers, later])
    messages = await api.messages(conversation)
    assert messages == [("user", ask["text"]), ("bot", answers[0]["text"])]
    runs = await house.rows("SELECT id FROM run WHERE conversation_id = $1", conversation)
    assert [row["id"] for row in runs] == [answers[0]["runId"]]
    assert len(await house.calls(word)) == 1


async def test_one_key_under_both_prefixes_is_one_call(api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    keyed = {"Idempotency-Key": word}

    one = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": word}, **keyed)
    other = await api.ok(f"/api/v1/conversation/{conversation}/complete", {"text": word}, **keyed)

    assert one == other


async def test_fifty_dispatches_on_one_channel_are_one_turn(house: House, api: Api) -> None:
    conversation, channel = await api.conversation(), ids.channel()
    path = f"/v1/conversation/{conversation}/dispatch"
    ask = {"text": f"{channel} [model tokens=5]", "channelId": channel}

    answers = await at_once(api, path, ask)
    told = await api.stream(f"/v1/channel/{channel}/subscribe")
    later = await api.ok(path, ask)

    assert all(answer == answers[0] for answer in [*answers, later])
    assert answers[0]["channelId"] == channel
    assert await api.messages(conversation) == [("user", ask["text"]), ("bot", text_of(inner(told)))]
    assert len(await house.calls(channel)) == 1


@pytest.mark.parametrize("named", ["Idempotency-Key", "channelId"])
async def test_fifty_stateless_dispatches_with_one_name_are_one_run(
    house: House, api: Api, named: str
) -> None:
    channel = ids.channel()
    ask: dict[str, Any] = {"messages": [{"type": "user", "text": f"{channel} [model tokens=5]"}]}
    headers = {}
    if named == "channelId":
        ask["channelId"] = channel
    else:
        headers[named] = channel

    answers = await at_once(api, "/v1/conversation/dispatch", ask, **headers)
    told = await api.stream(f"/v1/channel/{answers[0]['channelId']}/subscribe")
    later = await api.ok("/v1/conversation/dispatch", ask, **headers)
    again = await api.stream(f"/v1/channel/{answers[0]['channelId']}/subscribe")

    assert all(answer == answers[0] for answer in [*answers, later])
    assert again == told
    assert len(await house.calls(channel)) == 1


async def test_a_repeated_stream_is_attached_to_the_one_that_runs(house: House, api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    path, ask = f"/v1/conversation/{conversation}/complete", {"text": f"{word} [model tokens=40 delay=10]"}
    keyed = {"Idempotency-Key": word}

    streams = await asyncio.gather(*(api.stream(path, ask, **keyed) for _ in range(MANY)))
    later = await api.stream(path, ask, **keyed)
    as_json = await api.ok(path, ask, **keyed)

    assert all(stream == streams[0] for stream in [*streams, later])
    assert streams[0][-1]["data"] == as_json
    assert text_of(streams[0]) == as_json["text"]
    assert len(await house.calls(word)) == 1


async def test_a_repeated_stream_goes_on_after_the_last_event_id(api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    path, ask = f"/v1/conversation/{conversation}/complete", {"text": f"{word} [model tokens=40 delay=10]"}

    async with api.streaming(path, ask, **{"Idempotency-Key": word}) as events:
        seen = [await anext(events) for _ in range(10)]
    last = str(seen[-1]["seq"])
    rest = await api.stream(path, ask, **{"Idempotency-Key": word, "Last-Event-ID": last})
    whole = await api.stream(path, ask, **{"Idempotency-Key": word})

    assert seen + rest == whole


@pytest.mark.parametrize("path", ["complete", "dispatch", "receive"])
async def test_the_same_key_with_another_body_is_a_conflict(api: Api, path: str) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    first: dict[str, Any] = {} if path == "receive" else {"text": "[model tokens=1]"}
    other = {**first, "onBusy": "interrupt"}
    url = f"/v1/conversation/{conversation}/{path}"

    await api.ok(url, first, **{"Idempotency-Key": word})
    status, body, _ = await api.post(url, other, **{"Idempotency-Key": word})

    assert (status, body["code"]) == (409, "CONFLICT")


async def test_the_same_body_spelled_differently_is_the_same_call(api: Api) -> None:
    conversation, word = await api.conversation(), ids.new("word")
    url, keyed = f"/v1/conversation/{conversation}/complete", {"Idempotency-Key": word}

    one = await api.ok(url, b'{"text":"[model tokens=1]","onBusy":"enqueue"}', **keyed)
    other = await api.ok(url, b'{ "onBusy": "enqueue",\n "text": "[model tokens=\\u0031]" }', **keyed)

    assert one == other


async def test_a_channel_named_by_two_different_calls_is_a_conflict(api: Api) -> None:
    conversation, other, channel = await api.conversation(), await api.conversation(), ids.channel()
    ask = {"text": "[model tokens=1]", "channelId": channel}
    await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)

    bodies = await asyncio.gather(
        api.post(f"/v1/conversation/{conversation}/dispatch", ask | {"text": "[model tokens=2]"}),
        api.post(f"/v1/conversation/{other}/dispatch", ask),
        api.post(
            "/v1/conversation/dispatch", {"messages": [{"type": "user", "text": "x"}], "channelId": channel}
        ),
    )

    assert [(status, body["code"]) for status, body, _ in bodies] == [(409, "CONFLICT")] * 3
    assert await api.messages(other) == []


async def test_a_key_belongs_to_its_account(house: House, api: Api) -> None:
    word, (_, key) = ids.new("word"), await house.new_account("another")
    ask, keyed = (
        {"messages": [{"type": "user", "text": f"{word} [model tokens=1]"}]},
        {"Idempotency-Key": word},
    )

    async with house.api(key=key) as stranger:
        one = await api.ok("/v1/conversation/dispatch", ask, **keyed)
        other = await stranger.ok("/v1/conversation/dispatch", ask, **keyed)

    assert one["runId"] != other["runId"]


async def test_fifty_stateless_completes_with_one_key_are_one_model_call(house: House, api: Api) -> None:
    word = ids.new("word")
    ask = {"messages": [{"type": "user", "text": f"{word} [model tokens=20 delay=10]"}]}

    answers = await at_once(api, "/v1/conversation/complete", ask, **{"Idempotency-Key": word})
    later = await api.ok("/v1/conversation/complete", ask, **{"Idempotency-Key": word})

    assert all(answer == answers[0] for answer in [*answers, later])
    assert len(await house.calls(word)) == 1


async def test_a_stateless_answer_that_was_delivered_and_let_go_is_a_conflict_that_says_so(
    house: House, api: Api
) -> None:
    word = ids.new("word")
    ask, keyed = (
        {"messages": [{"type": "user", "text": f"{word} [model tokens=2]"}]},
        {"Idempotency-Key": word},
    )
    first = await api.ok("/v1/conversation/complete", ask, **keyed)
    # Five minutes pass: retention takes the words of this one as it would take them then.
    await house.store.upkeep.scrub(first["runId"])

    status, body, headers = await api.post("/v1/conversation/complete", ask, **keyed)
    other, _, _ = await api.post("/v1/conversation/complete", {**ask, "backstory": "b"}, **keyed)

    assert (status, body["code"], body["runId"]) == (409, "CONFLICT", first["runId"])
    assert "not kept" in body["message"]
    assert headers["X-Run-Id"] == first["runId"]
    assert other == 409
    assert len(await house.calls(word)) == 1


async def test_the_answer_of_a_stateless_complete_without_a_key_is_forgotten_at_once(
    house: House, api: Api
) -> None:
    ask = {"messages": [{"type": "user", "text": "[model tokens=2]"}]}
    told = await api.ok("/v1/conversation/complete", ask)

    async def gone() -> None:
        (row,) = await house.rows(
            "SELECT request, (SELECT count(*) FROM event e WHERE e.channel_id = r.channel_id) AS events,"
            " (SELECT count(*) FROM token t WHERE t.channel_id = r.channel_id) AS tokens"
            " FROM run r WHERE id = $1",
            told["runId"],
        )
        assert tuple(row) == (None, 0, 0)

    await eventually(gone)


@pytest.mark.parametrize(
    "path",
    [
        "bot/create",
        "contact/create",
        "conversation/create",
        "conversation/{}/send",
        "conversation/{}/message/create",
    ],
)
async def test_whatever_is_made_with_one_key_is_made_once(api: Api, path: str) -> None:
    url, word = "/v1/" + path.format(await api.conversation()), ids.new("word")
    body: dict[str, Any] = {"name": word} if "/create" in path and "message" not in path else {"text": word}
    if path.endswith("message/create"):
        body["type"] = "user"

    made = await at_once(api, url, body, **{"Idempotency-Key": word})
    other, _, _ = await api.post(
        url, body | {"text" if "text" in body else "name": "other"}, **{"Idempotency-Key": word}
    )

    assert len({answer["id"] for answer in made}) == 1
    assert other == 409


async def test_a_message_published_twice_with_one_key_is_there_once(api: Api) -> None:
    channel = ids.channel()
    for _ in range(2):
        await api.ok(f"/v1/channel/{channel}/publish", {"message": {"n": 1}}, **{"Idempotency-Key": channel})
    await api.ok(f"/v1/channel/{channel}/publish", {"message": {"n": 2}})

    async with api.streaming(f"/v1/channel/{channel}/subscribe") as events:
        seen = [await anext(events) for _ in range(2)]

    assert [event["data"] for event in seen] == [{"n": 1}, {"n": 2}]


async def test_a_second_key_on_a_dispatch_that_its_channel_has_found_stands_for_the_same_run(
    api: Api,
) -> None:
    path, ask = (
        f"/v1/conversation/{await api.conversation()}/dispatch",
        {"text": "canary", "channelId": ids.channel()},
    )

    answers = [await api.ok(path, ask, **{"Idempotency-Key": key}) for key in ("one", "two", "two", "one")]

    assert all(answer == answers[0] for answer in answers)
