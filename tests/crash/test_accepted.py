"""Promise 1: what was accepted is kept, whatever is down; what was not accepted left nothing behind."""

from __future__ import annotations

import asyncio
import itertools
import time
from statistics import median

import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, some
from tests.house import House, eventually
from tests.http import Answer, Api, inner, text_of
from tests.pace import pace

pytestmark = pytest.mark.slow

GIVEN_UP = "the sweeper tries again"


async def test_with_temporal_killed_a_dispatch_is_answered_within_100_ms_and_done_once_it_is_back(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    conversations = [await api.conversation() for _ in range(9)]
    slow = await pace(api)
    house.kill("temporal")

    told, took = [], []
    for conversation in conversations:
        asked = time.perf_counter()
        told.append(
            await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": "canary [model tokens=3]"})
        )
        took.append(time.perf_counter() - asked)
    bare = await api.ok("/v1/conversation/dispatch", {"messages": [{"type": "user", "text": "canary"}]})

    house.start("temporal")
    back = time.perf_counter()
    for answer in (*told, bare):
        await witness.ended(answer["runId"])
    note("dispatch without Temporal, ms", [round(1000 * seconds) for seconds in took])
    note("ten turns done after Temporal's start, s", round(time.perf_counter() - back, 1))
    slow = max(slow, await pace(api))
    assert median(took) < 0.1 * slow, took
    assert max(took) < 1 * slow, took
    for conversation in conversations:
        assert await api.messages(conversation) == [("user", "canary [model tokens=3]"), ("bot", "t1 t2 t3")]


async def test_a_plan_that_was_not_started_is_started_although_other_runs_end_all_the_time(
    house: House, api: Api, witness: Witness
) -> None:
    async def others_end() -> None:
        while True:
            await house.rows("SELECT pg_notify('holdfast_end', ''), pg_sleep(0.1)")

    log = house.home / "log" / "worker.log"
    before = log.read_text().count(GIVEN_UP)

    async def given_up() -> None:
        assert log.read_text().count(GIVEN_UP) > before

    house.kill("temporal")
    ends = asyncio.create_task(others_end())
    told = await api.ok("/v1/conversation/dispatch", {"messages": [{"type": "user", "text": "canary"}]})
    await eventually(given_up)
    house.start("temporal")

    await witness.ended(told["runId"])
    ends.cancel()


async def test_with_postgres_killed_the_answer_is_503_and_nothing_is_half_done(
    house: House, api: Api, witness: Witness
) -> None:
    conversation, name, key = await api.conversation(), ids.channel(), ids.new("key")
    ask = {"text": "canary [model tokens=3]", "channelId": name}
    before = await witness.kept()
    house.kill("postgres")

    refused = await api.post(f"/v1/conversation/{conversation}/dispatch", ask, **{"Idempotency-Key": key})

    assert (refused.status, refused.body["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(refused.headers["Retry-After"]) >= 1
    house.start("postgres")
    await house.ready()
    assert await witness.kept() == before
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask, **{"Idempotency-Key": key})
    await witness.ended(told["runId"])
    assert await api.messages(conversation) == [("user", ask["text"]), ("bot", "t1 t2 t3")]


async def test_calls_during_which_postgres_is_killed_are_each_done_once_when_repeated(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    calls = {ids.channel(): await api.conversation() for _ in range(40)}

    async def dispatch(name: str) -> Answer:
        ask = {"text": "canary [model tokens=3]", "channelId": name}
        return await api.post(f"/v1/conversation/{calls[name]}/dispatch", ask)

    first = [asyncio.create_task(dispatch(name)) for name in calls]
    for answered in itertools.islice(asyncio.as_completed(first), 10):
        await answered
    house.kill("postgres")
    house.start("postgres")
    answers = dict(zip(calls, await asyncio.gather(*first), strict=True))
    await house.ready()

    there = await house.rows("SELECT name FROM channel WHERE name = ANY ($1)", [*calls])
    assert {row["name"] for row in there} == {name for name, told in answers.items() if told.status == 200}
    for name, answer in answers.items():
        assert answer.status in (200, 503), answer
        again = await dispatch(name)
        assert again.status == 200, again
        if answer.status == 200:
            assert again.body == answer.body
        await witness.ended(again.body["runId"])
        assert await api.messages(calls[name]) == [("user", "canary [model tokens=3]"), ("bot", "t1 t2 t3")]
    statuses = [answer.status for answer in answers.values()]
    note("answers around the kill, 200 and 503", (statuses.count(200), statuses.count(503)))


async def test_callers_on_the_line_while_postgres_is_killed_get_their_answers(house: House, api: Api) -> None:
    conversations = [await api.conversation() for _ in range(30)]
    # Their ends lie closely together, and the first of them is when Postgres goes.
    asks = [{"text": f"canary [model tokens={20 + place // 3} delay=20 first=500]"} for place in range(30)]
    lines = [
        asyncio.create_task(api.post(f"/v1/conversation/{conversation}/complete", ask))
        for conversation, ask in zip(conversations, asks, strict=True)
    ]

    await next(asyncio.as_completed(lines))
    house.kill("postgres")
    house.start("postgres")

    for place, answer in enumerate(await asyncio.gather(*lines)):
        said = " ".join(f"t{n}" for n in range(1, 21 + place // 3))
        assert (answer.status, answer.body.get("text")) == (200, said)
        assert (await api.messages(conversations[place]))[1] == ("bot", said)


@pytest.mark.parametrize("back", ["at once", "after the model is done"])
async def test_a_turn_in_whose_middle_postgres_is_killed_ends_in_one_attempt_and_its_listeners_miss_nothing(
    house: House, api: Api, witness: Witness, back: str, note: Note
) -> None:
    conversation, word = await api.conversation(), ids.new("canary")
    ask = {"text": f"{word} [model tokens=80 delay=25]"}
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)

    async def spoken() -> None:
        assert (await house.calls(word))[0]["finished"]

    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        seen = await some(events, 10)
        house.kill("postgres")
        if back == "after the model is done":
            await eventually(spoken)
        house.start("postgres")
        started = time.perf_counter()
        seen += await some(events, 1)
        note("next token after Postgres's start, s", round(time.perf_counter() - started, 2))
        seen += [event async for event in events]

    run = await witness.ended(told["runId"])
    late = await api.stream(f"/v1/run/{told['runId']}/subscribe")
    stored = (await api.messages(conversation))[1][1]
    assert seen == late
    assert text_of(inner(seen)) == stored == " ".join(f"t{n}" for n in range(1, 81))
    assert await witness.attempts(run["id"]) == [1]
    assert len(await house.calls(word)) == 1
