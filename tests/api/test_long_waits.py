"""A wait of a day is a row and a timer: it ends by a publish or by its time, not by being looked at."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import WorkflowHandle
from temporalio.testing import TimeSkipper

from tests.api.test_agent import activities, asking, on, published, stored, waiting
from tests.house import House
from tests.http import Api

DAY = 86_400
Handle = WorkflowHandle[Any, Any]


async def plan_of(house: House, api: Api, run: str) -> Handle:
    found = await waiting(api, run)
    return (await house.temporal()).get_workflow_handle(found["workflowId"])


async def pass_a_day(house: House, plan: Handle, run: str) -> None:
    """By both clocks: in Postgres what was due in a day is due now, and Temporal skips the time."""
    await house.rows("UPDATE call SET deadline = deadline - interval '1 day' WHERE run_id = $1", run)
    skipper = TimeSkipper(await house.temporal())
    await skipper.fast_forward(plan, timedelta(days=1, minutes=1))


async def asleep(api: Api, conversation: str, channel: str) -> str:
    """A run that waits a day for a publish."""
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch",
        {"text": "[model calls=1 tokens=2]", "functions": [on("look", channel, waitSeconds=DAY)]},
    )
    return str(told["runId"])


async def ended(api: Api, run: str) -> dict[str, Any]:
    """What the last event of a dispatched run carries."""
    events = await api.stream(f"/v1/run/{run}/subscribe")
    last: dict[str, Any] = events[-1]["data"]["data"]
    return last


async def test_a_wait_of_a_day_that_nobody_ends_is_over_after_a_day(
    house: House, api: Api, channel: str
) -> None:
    conversation = await api.conversation()
    run = await asleep(api, conversation, channel)
    plan = await plan_of(house, api, run)

    await pass_a_day(house, plan, run)
    last = await ended(api, run)

    (_, (kind, _, told)) = activities(await stored(api, conversation))
    assert (kind, told.split(":")[0]) == ("response", "no_message_received")
    assert last["end"] == {"reason": "stop"}


async def test_a_delay_of_a_day_is_over_after_a_day(house: House, api: Api) -> None:
    body = asking(f"[model calls=1 tool=_delay args=seconds:{DAY} tokens=2]")
    told = await api.ok(
        "/v1/conversation/dispatch", body | {"extensions": {"features": [{"name": "settle"}]}}
    )
    plan = await plan_of(house, api, told["runId"])

    await pass_a_day(house, plan, told["runId"])
    last = await ended(api, told["runId"])

    assert last["end"] == {"reason": "stop"}


async def test_a_plan_that_wakes_up_before_the_time_goes_on_waiting(
    house: House, api: Api, channel: str
) -> None:
    conversation = await api.conversation()
    run = await asleep(api, conversation, channel)
    plan = await plan_of(house, api, run)

    # Only Temporal's clock: in Postgres, whose word counts, it is not the time yet.
    await TimeSkipper(await house.temporal()).fast_forward(plan, timedelta(days=1, minutes=1))
    still = await waiting(api, run)
    await published(api, channel, {"result": "in time"})
    last = await ended(api, run)

    assert still["state"] == "running"
    assert activities(await stored(api, conversation))[1] == ("response", "look", "in time")
    assert last["end"] == {"reason": "stop"}


@pytest.mark.slow
async def test_a_wait_that_was_looked_at_a_thousand_times_still_takes_its_publish(
    house: House, api: Api, channel: str
) -> None:
    conversation = await api.conversation()
    run = await asleep(api, conversation, channel)
    plan = await plan_of(house, api, run)

    for _ in range(1_000):
        await plan.signal("look")
    await published(api, channel, {"result": "at last"})
    last = await ended(api, run)

    assert activities(await stored(api, conversation))[1] == ("response", "look", "at last")
    assert last["end"] == {"reason": "stop"}
    size = (await plan.describe()).raw_description.workflow_execution_info.history_size_bytes
    assert size < 1_048_576
