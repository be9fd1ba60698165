"""A call of an ability made by hand, while its worker dies or it is cancelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.api.test_ability_runs import made
from tests.api.test_budget import fetched
from tests.conftest import Build
from tests.house import House, eventually
from tests.http import Answer, Api
from tests.tool_server import ToolServer

pytestmark = pytest.mark.slow


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    async with ToolServer() as server:
        yield server


@pytest.fixture
async def open_house(build: Build) -> House:
    """One whose abilities may call this machine."""
    return await build(HOLDFAST_OUTBOUND_LOOPBACK="true")


async def called(tools: ToolServer, name: str) -> None:
    async def check() -> None:
        assert tools.calls[name].executed == 1

    await eventually(check)


async def killed_meanwhile(house: House, api: Api, tools: ToolServer, method: str) -> Answer:
    """The answer of a call whose worker dies while the tool's server is silent."""
    instruction = f"```fetch\n{method} {tools.url}/hang/times=1/{method.lower()}?q={{word: string}}\n```"
    execute, _ = await made(api, instruction)
    asking = asyncio.create_task(api.post(execute, {"input": "canary"}))
    await called(tools, method.lower())
    house.kill("worker")
    house.start("worker")
    return await asking


async def test_a_call_that_may_be_repeated_is_made_again_under_its_key_when_its_worker_dies(
    open_house: House, tools: ToolServer
) -> None:
    async with open_house.api() as api:
        answer = await killed_meanwhile(open_house, api, tools, "GET")

    assert answer.status == 200
    assert answer.body["result"]["body"]["query"] == "q=canary"
    assert (tools.calls["get"].executed, len(tools.calls["get"].keys)) == (2, 1)


async def test_a_call_that_must_not_be_repeated_is_not_and_its_caller_is_told(
    open_house: House, tools: ToolServer
) -> None:
    async with open_house.api() as api:
        answer = await killed_meanwhile(open_house, api, tools, "POST")
        run = await fetched(api, answer.body["runId"])

    assert answer.status == 200
    assert answer.body["error"].startswith("outcome_unknown")
    assert run["steps"][0]["errorCode"] == "OUTCOME_UNKNOWN"
    assert tools.calls["post"].executed == 1


async def test_a_call_is_cancelled_at_once_and_its_caller_is_told(
    open_house: House, tools: ToolServer
) -> None:
    async with open_house.api() as api:
        execute, _ = await made(api, f"```fetch\nPOST {tools.url}/hang/slowly\n```")
        asking = asyncio.create_task(api.stream(execute, {}))
        await called(tools, "slowly")
        (listed,) = (await api.get("/v1/run/list?kind=ability&state=running")).body["items"]
        of_no_use = await api.post(f"/v1/run/{listed['id']}/budget", {"tokens": 1})
        await api.ok(f"/v1/run/{listed['id']}/cancel")
        events = await asking
        run = await fetched(api, listed["id"])

    assert of_no_use.status == 409
    assert [event["type"] for event in events] == ["message", "abort", "result"]
    assert events[-1]["data"]["error"].startswith("Stopped")
    assert (run["state"], run["steps"][0]["errorCode"]) == ("canceled", "ABANDONED")
