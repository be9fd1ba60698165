"""Promise: a result that was committed arrives, whoever dies between its commit and its receiver."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.house import House, eventually
from tests.http import Api
from tests.receiver import Receiver
from tests.results import Results, codes

pytestmark = pytest.mark.slow


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


@pytest.fixture
async def results(api: Api) -> Results:
    return Results(api)


async def seen(receiver: Receiver, name: str, times: int = 1) -> None:
    """Returns once the receiver has seen a name so often."""

    async def check() -> None:
        assert receiver.seen[name] >= times

    await eventually(check)


async def test_a_worker_that_dies_in_mid_attempt_leaves_nothing_undelivered(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/hang/times=1/hook")
    await seen(receiver, "hook")

    house.kill("worker")
    house.start("worker")

    delivery = await results.one(run)
    assert codes(delivery) == ["OUTCOME_UNKNOWN", None]
    assert receiver.distinct_ids == {delivery["id"]}


async def test_a_frozen_worker_that_wakes_notes_nothing_of_what_another_has_delivered(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/hang/times=1/hook")
    await seen(receiver, "hook")
    house.freeze("worker")
    house.start("worker2")
    before = await results.one(run)
    assert codes(before) == ["OUTCOME_UNKNOWN", None]

    # Its attempt comes to its own end by now: its time was up long ago.
    house.thaw("worker")
    house.stop("worker2")
    _, another = await results.ask(f"{receiver.url}/another")
    await results.one(another)
    house.stop("worker")

    assert await results.shown(before["id"]) == before


async def test_a_result_that_was_committed_while_temporal_was_down_arrives_when_it_is_back(
    house: House, results: Results, receiver: Receiver
) -> None:
    conversation, run = await results.ask(f"{receiver.url}/hook", "[model tokens=2000 delay=20]")

    async def begun() -> None:
        assert (await results.api.get(f"/v1/run/{run}/fetch")).body["state"] == "running"

    await eventually(begun)
    house.kill("temporal")
    # Complete in Postgres, whoever is down.
    await results.api.ok(f"/v1/run/{run}/cancel", {})
    (waits,) = await results.of(run)
    assert (waits["state"], waits["attempts"]) == ("pending", 0)
    house.kill("worker")
    house.start("temporal")
    house.start("worker")

    assert (await results.one(run, seconds=90))["id"] == waits["id"]
    assert [request.id for request in receiver.requests["hook"]] == [waits["id"]]
    assert conversation


async def test_nothing_is_delivered_of_a_run_whose_worker_died_before_its_commit(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/hook", "[model tokens=200 delay=50]")

    async def speaks() -> list[Any]:
        rows = await house.rows("SELECT seq FROM token JOIN run USING (channel_id) WHERE run.id = $1", run)
        assert len(rows) > 10
        return rows

    await eventually(speaks)
    house.kill("worker")
    assert await results.of(run) == []
    house.start("worker")

    delivery = await results.one(run, seconds=90)

    (row,) = await house.rows("SELECT ended_at, state FROM run WHERE id = $1", run)
    assert row["state"] == "succeeded"
    assert [request.id for request in receiver.requests["hook"]] == [delivery["id"]]


async def test_postgres_that_dies_in_mid_attempt_costs_a_repeat_and_no_more(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/drip=1000/hook")
    await seen(receiver, "hook")

    house.kill("postgres")
    house.start("postgres")
    await house.ready()

    delivery = await results.one(run, seconds=120)
    assert receiver.distinct_ids == {delivery["id"]}
    assert codes(delivery)[-1] is None
