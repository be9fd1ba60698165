"""A run that waits for a higher budget outlives everything, and hears of one that came meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.test_budget import LOOK, PLENTY, asking, ended, fetched, short
from tests.house import House, eventually
from tests.http import Api

pytestmark = pytest.mark.slow


async def progress(api: Api, run: str) -> dict[str, Any]:
    told: dict[str, Any] = (await api.get(f"/v1/run/{run}/progress")).body
    return told


async def test_a_budget_that_is_raised_while_nobody_can_be_told_is_heard_of_afterwards(
    house: House, api: Api
) -> None:
    run = (await api.ok("/v1/conversation/dispatch", asking("canary [model calls=1 tokens=3]", 1, LOOK)))[
        "runId"
    ]
    await short(api, run)
    house.kill("worker")
    house.kill("temporal")

    told = await progress(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})
    # With the API goes the signal it still had in mind.
    for name in ("api", "postgres"):
        house.kill(name)
    for name in ("postgres", "temporal", "worker", "api"):
        house.start(name)
    await house.ready()

    assert (told["source"], told["phase"], told["waits"]) == ("store", "budget", 1)
    assert (await ended(api, run))["data"]["end"] == {"reason": "stop"}
    assert (await fetched(api, run))["budget"] == PLENTY


async def test_an_attempt_that_died_with_its_worker_counts_for_the_budget(house: House, api: Api) -> None:
    run = (
        await api.ok(
            "/v1/conversation/dispatch", asking("canary [model tokens=40 delay=25 stall=20 times=1]", 5)
        )
    )["runId"]

    async def spoken() -> None:
        (row,) = await house.rows(
            "SELECT count(*) FROM token WHERE channel_id = (SELECT channel_id FROM run WHERE id = $1)", run
        )
        assert row["count"] == 20

    await eventually(spoken)
    house.kill("worker")
    house.start("worker")

    waiting = await short(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})
    last = await ended(api, run)

    assert (waiting["usage"]["token"], waiting["spent"] >= 5) == (0, True)
    (step,) = waiting["steps"]
    assert (step["state"], step["errorCode"]) == ("failed", "WORKER_LOST")
    done = await fetched(api, run)
    assert done["spent"] == last["data"]["usage"]["token"] + waiting["spent"]
