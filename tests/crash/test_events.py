"""Promise 12: an event that was answered with 200 has one run, which comes to its end, whatever is down."""

from __future__ import annotations

import asyncio
import itertools
import time
from statistics import median
from typing import Any

import aiohttp
import pytest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness
from tests.house import House, eventually
from tests.http import Answer, Api
from tests.pace import pace
from tests.triggers import source

pytestmark = pytest.mark.slow

NAMED = {"eventId": {"pointer": "/id"}}
QUICK = "canary [model tokens=3]"


async def runs_of(house: House, trigger: str) -> dict[str, str]:
    """The run of each event, by what its source calls it."""
    rows = await house.rows("SELECT provider_id, run_id FROM trigger_event WHERE trigger_id = $1", trigger)
    assert len({row["provider_id"] for row in rows}) == len(rows)
    return {row["provider_id"]: row["run_id"] for row in rows}


async def test_with_temporal_killed_events_are_taken_and_worked_on_once_it_is_back(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    trigger, took, told = await source(house, api, QUICK, **NAMED), [], []
    slow = await pace(api)
    house.kill("temporal")

    for n in range(30):
        asked = time.perf_counter()
        told.append(await trigger.ok({"id": n, "text": "canary"}))
        took.append(time.perf_counter() - asked)

    house.start("temporal")
    for one in told:
        await witness.ended(one["runId"])
    assert median(took) < 0.1 * max(slow, await pace(api)), took
    note("events without Temporal, ms", [round(1000 * seconds) for seconds in took])


async def test_with_postgres_killed_an_event_is_to_come_again_and_nothing_is_half_done(
    house: House, api: Api, witness: Witness
) -> None:
    trigger = await source(house, api, QUICK, **NAMED)
    house.kill("postgres")

    refused = await trigger.send({"id": 1})

    assert (refused.status, refused.body["code"]) == (503, "SERVICE_UNAVAILABLE")
    assert int(refused.headers["Retry-After"]) >= 1
    house.start("postgres")
    await house.ready()
    assert await runs_of(house, trigger.id) == {}
    told = await trigger.ok({"id": 1})
    assert told["duplicate"] is False
    await witness.ended(told["runId"])


@pytest.mark.parametrize("part", ["postgres", "api"])
async def test_events_during_which_something_is_killed_have_one_run_each_when_they_are_repeated(
    house: House, api: Api, witness: Witness, part: str, note: Note
) -> None:
    trigger = await source(house, api, QUICK, **NAMED)

    async def send(n: int) -> Answer | None:
        try:
            return await trigger.send({"id": f"e{n}"})
        except aiohttp.ClientError:
            return None

    first = [asyncio.create_task(send(n)) for n in range(40)]
    for answered in itertools.islice(asyncio.as_completed(first), 10):
        await answered
    house.kill(part)
    house.start(part)
    answers = await asyncio.gather(*first)
    await house.ready()

    again = [await trigger.ok({"id": f"e{n}"}) for n in range(40)]
    for earlier, later in zip(answers, again, strict=True):
        if earlier is not None and earlier.status == 200:
            assert later == earlier.body | {"duplicate": True}
        await witness.ended(later["runId"])
    found = await runs_of(house, trigger.id)
    assert found == {f"e{n}": one["runId"] for n, one in enumerate(again)}
    query = "SELECT count(*) FROM run WHERE trigger_id = $1"
    assert (await house.rows(query, trigger.id))[0]["count"] == 40
    taken = [answer for answer in answers if answer is not None and answer.status == 200]
    note(f"events around the kill of {part}, answered and not", (len(taken), 40 - len(taken)))


async def test_an_event_whose_worker_is_killed_is_worked_on_to_its_end_and_told_once(
    house: House, api: Api, witness: Witness
) -> None:
    word = ids.new("canary")
    trigger = await source(house, api, f"{word} [model tokens=200 delay=50]")
    told = await trigger.ok({"text": "canary"})

    async def speaks() -> None:
        assert len(await witness.words_of(told["runId"])) > 3

    await eventually(speaks)
    house.kill("worker")
    house.start("worker")
    run = await witness.ended(told["runId"])

    messages: list[Any] = await house.rows(
        "SELECT type FROM message WHERE conversation_id = $1 ORDER BY seq", run["conversation_id"]
    )
    assert [row["type"] for row in messages] == ["instruction", *["activity"] * 4, "bot"]
    assert await witness.attempts(run["id"]) == [2]


async def test_neither_temporal_nor_a_log_holds_what_came_with_an_event(
    house: House, api: Api, witness: Witness
) -> None:
    word = ids.new("canary")
    trigger = await source(house, api, "[model tokens=3]", orderingKey={"pointer": "/text"})

    told = await trigger.ok({"text": word}, f"?session={word}&contact.email={word}@example.com")
    await witness.ended(told["runId"])

    assert word not in await witness.history(told["runId"])
    assert witness.logs_with(word) == []
