"""Calls of tools survive the death of everything: what succeeded is done once, what waits goes on waiting."""

from __future__ import annotations

from typing import Any

import pytest

from domain import ids
from tests.api.test_abilities import ability, answers, get, post
from tests.api.test_agent import activities, asking, on, published, stored, waiting
from tests.house import House, eventually
from tests.http import Api, inner
from tests.tool_server import ToolServer

pytestmark = pytest.mark.slow

EVERYTHING = ("api", "worker", "temporal", "postgres", "model")


def seen(tools: ToolServer, name: str) -> list[str]:
    """The query of every call that was executed, in order."""
    return [request["query"] for request in tools.calls[name].requests]


async def executed(tools: ToolServer, name: str, count: int) -> None:
    async def check() -> None:
        assert tools.calls[name].executed >= count

    await eventually(check)


async def events_of(api: Api, run: str) -> list[dict[str, Any]]:
    return inner(await api.stream(f"/v1/run/{run}/subscribe"))


async def test_a_worker_that_dies_in_tool_7_of_20_repeats_none_of_the_six(
    house: House, api: Api, tools: ToolServer
) -> None:
    conversation = await api.conversation()
    look = ability("look", get(tools.url + "/slow=150/seventh?n={n: integer}"))
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch",
        {
            "text": "[model calls=1 rounds=20 tokens=2]",
            "extensions": {"skillsets": [{"name": "s", "abilities": [look]}]},
        },
    )
    await executed(tools, "seventh", 6)

    async def in_the_seventh() -> None:
        assert tools.calls["seventh"].seen >= 7

    await eventually(in_the_seventh)
    house.kill("worker")
    house.start("worker")
    events = await events_of(api, told["runId"])

    done = seen(tools, "seventh")
    assert [done.count(f"n={n}") for n in range(1, 7)] == [1] * 6
    assert {f"n={n}" for n in range(1, 21)} == {*done}
    assert len(done) <= 21
    assert max(tools.calls["seventh"].keys.values()) <= 2
    assert len(tools.calls["seventh"].keys) == 20
    assert [act["function"]["arguments"]["n"] for act in answers(events)] == [*range(1, 21)]
    assert events[-1]["data"]["end"] == {"reason": "stop"}


async def test_what_is_done_once_and_cut_off_is_told_as_unknown_and_not_done_again(
    house: House, api: Api, tools: ToolServer
) -> None:
    pay = ability("pay", post(tools.url + "/slow=10000/once"))
    body = asking("[model calls=1 tokens=2]") | {
        "extensions": {"skillsets": [{"name": "s", "abilities": [pay]}]}
    }
    told = await api.ok("/v1/conversation/dispatch", body)
    await executed(tools, "once", 1)

    house.kill("worker")
    house.start("worker")
    events = await events_of(api, told["runId"])

    (act,) = answers(events)
    assert act["function"]["result"].startswith("outcome_unknown")
    assert tools.calls["once"].executed == 1
    assert events[-1]["data"]["end"] == {"reason": "stop"}


async def test_a_wait_for_a_publish_survives_the_death_of_everything(house: House, api: Api) -> None:
    channel, conversation = ids.channel(), await api.conversation()
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch",
        {"text": "[model calls=1 tokens=2]", "functions": [on("look", channel)]},
    )
    await waiting(api, told["runId"])

    for name in EVERYTHING:
        house.kill(name)
    for name in reversed(EVERYTHING):
        house.start(name)
    await house.ready()
    async with house.api() as again:
        await published(again, channel, {"result": "still here"})
        events = await events_of(again, told["runId"])

        assert events[-1]["data"]["end"] == {"reason": "stop"}
        messages = await stored(again, conversation)
    assert activities(messages)[1] == ("response", "look", "still here")
    assert [one["type"] for one in messages] == ["user", "activity", "activity", "bot"]


async def test_a_publish_that_nobody_told_the_plan_of_is_told_by_the_sweeper(house: House, api: Api) -> None:
    channel = ids.channel()
    told = await api.ok("/v1/conversation/dispatch", asking("[model calls=1 tokens=2]", on("look", channel)))
    await waiting(api, told["runId"])

    # The API commits the publish and cannot tell Temporal of it, nor can anybody later: it dies.
    house.kill("temporal")
    await published(api, channel, {"result": 1})
    house.kill("api")
    house.start("temporal")
    house.start("api")
    await house.ready()
    async with house.api() as again:
        events = await events_of(again, told["runId"])

    assert events[-1]["data"]["end"] == {"reason": "stop"}


async def test_a_publish_to_a_run_whose_plan_was_closed_has_it_looked_after(house: House, api: Api) -> None:
    channel = ids.channel()
    told = await api.ok("/v1/conversation/dispatch", asking("[model calls=1 tokens=2]", on("look", channel)))
    parked = await waiting(api, told["runId"])
    client = await house.temporal()
    await client.get_workflow_handle(parked["workflowId"]).terminate()
    # By itself it would be asked after in ten minutes.
    later = "UPDATE run SET next_look_at = now() + interval '10 minutes' WHERE id = $1"
    await house.rows(later, told["runId"])

    await published(api, channel, {"result": 1})

    async def ended() -> None:
        run = (await api.get(f"/v1/run/{told['runId']}/fetch")).body
        assert run["state"] == "failed"
        assert run["error"]["code"] == "PLAN_LOST"

    await eventually(ended)
