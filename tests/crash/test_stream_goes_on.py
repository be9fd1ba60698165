"""Promise 3: a run is not a request: its listeners come and go, and so does the API."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, some
from tests.house import House, eventually
from tests.http import Api, inner, text_of

pytestmark = pytest.mark.slow


async def test_a_stream_cut_by_the_death_of_its_api_goes_on_elsewhere_from_the_last_seq(
    house: House, api: Api, note: Note
) -> None:
    house.start("api2")
    await house.ready("api2")
    conversation = await api.conversation()
    ask = {"text": "canary [model tokens=150 delay=30]"}
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    path = f"/v1/channel/{told['channelId']}/subscribe"
    async with api.streaming(path) as events, api.streaming(f"/v1/run/{told['runId']}/subscribe") as others:
        first, also = await some(events, 10), await some(others, 12)
        house.kill("api")
        killed = time.monotonic()
        first += await _rest(events)
        also += await _rest(others)

    async with house.api("api2") as second:
        async with second.streaming(path, {"after": first[-1]["seq"]}) as events:
            rest = await some(events, 1)
            note("next event on the other API after the kill, s", round(time.monotonic() - killed, 2))
            house.start("api")
            await house.ready()
            last = await _sse(house, f"/v1/run/{told['runId']}/subscribe", also[-1]["seq"])
            rest += [event async for event in events]
        whole = await second.stream(path)

    assert first + rest == whole
    assert also + last == whole
    assert text_of(inner(whole)) == (await api.messages(conversation))[1][1]


async def test_a_call_whose_api_dies_is_answered_in_its_conversation(
    house: House, api: Api, witness: Witness
) -> None:
    conversation, word = await api.conversation(), ids.new("canary")
    ask = {"text": f"{word} [model tokens=200 delay=25]"}
    call = asyncio.create_task(api.post(f"/v1/conversation/{conversation}/complete", ask))
    await _speaking(house, word)

    house.kill("api")

    with pytest.raises(aiohttp.ClientError):
        await call
    house.start("api")
    await house.ready()
    (run,) = await house.rows("SELECT id FROM run WHERE conversation_id = $1", conversation)
    await witness.ended(run["id"])
    assert [kind for kind, _ in await api.messages(conversation)] == ["user", "bot"]
    assert await witness.attempts(run["id"]) == [1]


async def test_a_client_that_hangs_up_cancels_nothing(house: House, api: Api, witness: Witness) -> None:
    conversations = {"json": await api.conversation(), "stream": await api.conversation()}
    word = ids.new("canary")
    ask = {"text": f"{word} [model tokens=60 delay=25]"}
    waiter = asyncio.create_task(api.post(f"/v1/conversation/{conversations['json']}/complete", ask))
    async with api.streaming(f"/v1/conversation/{conversations['stream']}/complete", ask) as events:
        while (await anext(events))["type"] != "token":
            pass
    await _speaking(house, word, 2)
    waiter.cancel()

    runs = await house.rows("SELECT id FROM run WHERE conversation_id = ANY ($1)", [*conversations.values()])
    for run in runs:
        await witness.ended(run["id"])
    for conversation in conversations.values():
        assert (await api.messages(conversation))[1] == ("bot", " ".join(f"t{n}" for n in range(1, 61)))
    assert [call["finished"] for call in await house.calls(word)] == [True, True]


async def _speaking(house: House, word: str, calls: int = 1) -> None:
    """Returns once the model answers so many calls with this word."""

    async def check() -> None:
        assert len(await house.calls(word)) == calls

    await eventually(check)


async def _rest(events: Any) -> list[dict[str, Any]]:
    """What a dying stream still gives; what was under way when it died counts only if it came whole."""
    seen = []
    try:
        async for event in events:
            seen.append(event)
    except (aiohttp.ClientError, json.JSONDecodeError):
        pass
    return seen


async def _sse(house: House, path: str, last: int) -> list[dict[str, Any]]:
    """A stream of server-sent events from the one after `last` to its end, as an EventSource resumes it."""
    headers = {
        "Authorization": f"Bearer {house.key}",
        "Content-Type": "application/json",
        "Accept": "text/event-stream",
        "Last-Event-ID": str(last),
    }
    async with (
        aiohttp.ClientSession() as session,
        session.post(house.api().url + path, headers=headers) as answer,
    ):
        assert answer.status == 200, await answer.text()
        return [event async for event in _frames(answer)]


async def _frames(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    number = ""
    async for line in answer.content:
        name, _, value = line.decode().strip().partition(": ")
        if name == "id":
            number = value
        elif name == "data":
            event = json.loads(value)
            assert number == str(event["seq"])
            yield event
