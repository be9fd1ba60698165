"""Channels: what is published is kept, and read from any point on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from api.answers import timed_out
from domain.events import TYPED
from tests.api.test_streams import JSONL, SSE, jsonl, sse
from tests.house import House
from tests.http import Api, inner


async def publish(api: Api, channel: str, *messages: Any) -> None:
    for message in messages:
        assert await api.ok(f"/v1/channel/{channel}/publish", {"message": message}) == {"id": channel}


async def first(api: Api, channel: str, count: int, body: Any = None, **headers: str) -> list[Any]:
    """The first so many events of a subscription."""
    async with api.streaming(f"/v1/channel/{channel}/subscribe", body, **headers) as events:
        return [await anext(events) for _ in range(count)]


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_what_was_published_before_anybody_listened_is_kept(
    api: Api, prefix: str, channel: str
) -> None:
    await api.ok(f"{prefix}/channel/{channel}/publish", {"message": {"n": 1, "text": "ü"}})

    (event,) = await first(api, channel, 1)

    assert event == {"type": "message", "data": {"n": 1, "text": "ü"}, "seq": event["seq"]}


async def test_a_subscription_goes_on_from_what_was_to_what_comes(api: Api, channel: str) -> None:
    await publish(api, channel, {"n": 1}, {"n": 2})
    async with api.streaming(f"/v1/channel/{channel}/subscribe") as events:
        seen = [await anext(events) for _ in range(2)]
        await publish(api, channel, {"n": 3})
        seen.append(await anext(events))

    assert inner(seen) == [{"n": 1}, {"n": 2}, {"n": 3}]
    assert [event["seq"] for event in seen] == [1, 2, 3]


async def test_a_subscription_may_come_before_its_channel(house: House, api: Api, channel: str) -> None:
    async with api.streaming(f"/v1/channel/{channel}/subscribe") as events:
        waiting = asyncio.ensure_future(anext(events))
        assert await house.rows("SELECT FROM channel WHERE name = $1", channel) == []
        await publish(api, channel, {"n": 1})
        event = await waiting

    assert event["data"] == {"n": 1}


async def test_a_subscription_that_comes_before_its_dispatch_misses_nothing(api: Api, channel: str) -> None:
    conversation = await api.conversation()
    ask = {"text": "[model tokens=3]", "channelId": channel}

    async with api.streaming(f"/v1/channel/{channel}/subscribe", {"historyLength": 0}) as events:
        await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
        early = [event async for event in events]
    late = await api.stream(f"/v1/channel/{channel}/subscribe")

    assert inner(early)[-1]["type"] == "result"
    assert early == late


async def test_a_subscriber_who_asks_for_all_events_sees_those_clients_do_not_know(
    api: Api, channel: str
) -> None:
    conversation = await api.conversation()
    ask = {"text": "[model tokens=1]", "channelId": channel}
    await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)

    usual = inner(await api.stream(f"/v1/channel/{channel}/subscribe"))
    everything = inner(await api.stream(f"/v1/channel/{channel}/subscribe", **{"X-Holdfast-Events": "all"}))

    assert next(event for event in everything if event not in usual)["type"] == "sendResult"
    assert {event["type"] for event in usual} <= TYPED


@pytest.mark.parametrize("shape", ["jsonl", "sse"])
def test_a_subscription_to_nothing_ends_with_a_timeout_of_the_channels_form(shape: str) -> None:
    line = timed_out(shape)

    (event,) = jsonl(line) if shape == "jsonl" else sse(line)
    assert (event["type"], event["data"]["type"]) == ("message", "error")
    assert event["data"]["data"]["code"] == "TIMEOUT"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [1, 2, 3, 4]),
        ({"historyLength": None}, [1, 2, 3, 4]),
        ({"historyLength": 2}, [3, 4]),
        ({"historyLength": 100}, [1, 2, 3, 4]),
        ({"historyLength": 0}, [4]),
        ({"after": 0}, [1, 2, 3, 4]),
        ({"after": 2}, [3, 4]),
        ({"after": 3, "historyLength": 100}, [4]),
    ],
)
async def test_a_reader_says_where_to_begin(
    api: Api, channel: str, body: dict[str, Any], expected: list[int]
) -> None:
    await publish(api, channel, {"n": 1}, {"n": 2}, {"n": 3})
    async with api.streaming(f"/v1/channel/{channel}/subscribe", body) as events:
        # One that wants what is to come is there already when it comes.
        if body == {"historyLength": 2}:
            expected = [2, *expected]
        await publish(api, channel, {"n": 4})
        seen = [await anext(events) for _ in expected]

    assert [event["data"]["n"] for event in seen] == expected


async def test_a_reader_may_say_so_with_last_event_id(api: Api, channel: str) -> None:
    await publish(api, channel, {"n": 1}, {"n": 2}, {"n": 3})

    seen = await first(api, channel, 1, **{"Last-Event-ID": "2"})
    body_wins = await first(api, channel, 1, {"after": 1}, **{"Last-Event-ID": "2"})

    assert inner(seen) == [{"n": 3}]
    assert inner(body_wins) == [{"n": 2}]


async def test_a_channel_that_ended_is_replayed_and_closed(api: Api, channel: str) -> None:
    conversation = await api.conversation()
    ask = {"text": "[model tokens=3]", "channelId": channel}
    await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    live = await api.stream(f"/v1/channel/{channel}/subscribe")

    again = await api.stream(f"/v1/channel/{channel}/subscribe")
    newest = await api.stream(f"/v1/channel/{channel}/subscribe", {"historyLength": 2})
    after = await api.stream(f"/v1/channel/{channel}/subscribe", {"after": live[2]["seq"]})
    lines = (await api.raw("POST", f"/v1/channel/{channel}/subscribe", b"{}", **JSONL)).body
    frames = (await api.raw("POST", f"/v1/channel/{channel}/subscribe", b"{}", **SSE)).body

    assert live == again == jsonl(lines)
    assert newest == live[-len(newest) :]
    assert 1 <= len(newest) <= 2
    assert after == live[3:]
    assert [event["id"] for event in sse(frames)] == [str(event["seq"]) for event in live]


async def test_who_has_seen_everything_of_an_ended_channel_is_told_its_end_again(
    api: Api, channel: str
) -> None:
    conversation = await api.conversation()
    ask = {"text": "[model tokens=3]", "channelId": channel}
    await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    live = await api.stream(f"/v1/channel/{channel}/subscribe")

    nothing_new = await api.stream(f"/v1/channel/{channel}/subscribe", {"after": live[-1]["seq"]})
    live_only = await api.stream(f"/v1/channel/{channel}/subscribe", {"historyLength": 0})

    for events in (nothing_new, live_only):
        assert inner(events) == [live[-1]["data"]]
        assert events[0]["seq"] > live[-1]["seq"]


async def test_the_channel_of_a_run_is_the_servers(api: Api, channel: str) -> None:
    conversation = await api.conversation()
    ask = {"text": "[model tokens=2]", "channelId": channel}
    await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)

    status, body, _ = await api.post(f"/v1/channel/{channel}/publish", {"message": {}})
    events = await api.stream(f"/v1/channel/{channel}/subscribe")

    assert (status, body["code"]) == (409, "CONFLICT")
    assert {} not in inner(events)


async def test_a_published_channel_cannot_become_a_runs(api: Api, channel: str) -> None:
    conversation = await api.conversation()
    await publish(api, channel, {"n": 1})

    status, body, _ = await api.post(
        f"/v1/conversation/{conversation}/dispatch", {"text": "x", "channelId": channel}
    )

    assert (status, body["code"]) == (409, "CONFLICT")
    assert await api.messages(conversation) == []


async def test_published_objects_look_like_nothing_but_themselves(api: Api, channel: str) -> None:
    looks = [{"type": "result", "data": {}}, {"type": "error"}, {"seq": 99}, {}]
    await publish(api, channel, *looks)

    seen = await first(api, channel, 4)

    assert inner(seen) == looks
    assert [event["seq"] for event in seen] == [1, 2, 3, 4]


async def test_fifty_publishers_at_once_are_read_by_every_reader_in_one_order(api: Api, channel: str) -> None:
    async def read() -> list[Any]:
        return await first(api, channel, 50)

    readers = [asyncio.create_task(read()) for _ in range(5)]
    await asyncio.gather(*(publish(api, channel, {"n": n}) for n in range(50)))
    seen = await asyncio.gather(*readers)

    assert all(events == seen[0] for events in seen)
    assert sorted(event["data"]["n"] for event in seen[0]) == [*range(50)]
    assert [event["seq"] for event in seen[0]] == [*range(1, 51)]


@pytest.mark.slow
async def test_of_what_clients_publish_the_newest_thousand_are_kept(
    house: House, api: Api, channel: str
) -> None:
    await asyncio.gather(*(publish(api, channel, {"n": n}) for n in range(1_005)))

    seen = await first(api, channel, 1_000)

    assert [event["seq"] for event in seen] == [*range(6, 1_006)]


async def test_large_messages_come_whole_in_order_and_a_few_at_a_time(house: House, channel: str) -> None:
    text = "x" * 100_000
    _, key = await house.new_account("loud")
    async with house.api(key=key) as loud:
        await publish(loud, channel, *({"n": n, "text": text} for n in range(12)))

        events = await first(loud, channel, 12)

    (row,) = await house.rows("SELECT id FROM channel WHERE name = $1", channel)
    pages = house.store.feed.follow(row["id"], 0, 10)
    async with asyncio.TaskGroup() as reading:
        feed = reading.create_task(house.store.feed.run())
        sizes: list[int] = []
        while sum(sizes) < 12:
            sizes.append(len(await anext(pages)))
        feed.cancel()
    assert [event["data"]["n"] for event in events] == list(range(12))
    assert sizes == [3, 3, 3, 3]
