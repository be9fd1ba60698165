"""A turn of a thousand calls over a long conversation comes to its end, and leaves no long history."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from temporalio.client import WorkflowExecution, WorkflowExecutionStatus
from temporalio.service import RPCError

from tests.api.test_abilities import ability, get
from tests.api.test_agent import on, published, stored, waiting
from tests.house import House, eventually
from tests.http import Api
from tests.tenant import Tenant
from tests.tool_server import ToolServer

pytestmark = pytest.mark.slow

JSON = dict[str, Any]
MIB = 1_048_576
WORDS = "some words of a long talk " * 155
"""About a thousand tokens."""


async def long_conversation(api: Api) -> str:
    """Of 200 messages, with about 200,000 tokens."""
    said = [{"type": ("user", "bot")[n % 2], "text": f"{n} {WORDS}"} for n in range(100)]
    conversation = await api.conversation(messages=said)
    for one in said:
        await api.ok(f"/v1/conversation/{conversation}/message/create", one)
    return conversation


async def all_of(api: Api, conversation: str) -> list[JSON]:
    """Every message, page by page."""
    path = f"/v1/conversation/{conversation}/message/list?order=asc"
    found: list[JSON] = []
    while page := (await api.get(path + (f"&cursor={found[-1]['id']}" if found else ""))).body["items"]:
        found += page
    return found


async def executions(house: House, workflow_id: str) -> list[tuple[WorkflowExecutionStatus | None, int]]:
    """Of every execution a plan has gone through, oldest first: how it ended, the bytes of its history."""
    client = await house.temporal()
    found: list[WorkflowExecution] = []

    async def closed() -> None:
        found[:] = [one async for one in client.list_workflows(f"WorkflowId = '{workflow_id}'")]
        assert found
        assert all(one.close_time for one in found)
        # One that went on elsewhere may be listed before the one it went on in.
        assert any(one.status != WorkflowExecutionStatus.CONTINUED_AS_NEW for one in found)

    await eventually(closed)
    told = []
    for one in sorted(found, key=lambda one: one.start_time):
        seen = await client.get_workflow_handle(workflow_id, run_id=one.run_id).describe()
        told.append((seen.status, seen.raw_description.workflow_execution_info.history_size_bytes))
    return told


@pytest.mark.parametrize(("rounds", "calls"), [(50, 20), (200, 1)])
async def test_many_calls_over_a_long_conversation_are_made_once_each(
    house: House, tenant: Tenant, tools: ToolServer, rounds: int, calls: int
) -> None:
    api = tenant.api
    conversation = await long_conversation(api)
    look = ability("look", get(tools.url + f"/echo/{conversation}?n={{n: integer}}"))
    body = {
        "text": f"[model calls={calls} rounds={rounds} tokens=3]",
        "extensions": {"skillsets": [{"name": "s", "abilities": [look]}]},
        "limits": {"iterations": rounds + 1, "calls": rounds * calls},
    }

    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", body)
    events = await api.stream(f"/v1/run/{told['runId']}/subscribe")

    assert events[-1]["data"]["data"]["end"] == {"reason": "stop"}
    many = rounds * calls
    done = Counter(request["query"] for request in tools.calls[conversation].requests)
    assert done == {f"n={n}": 1 for n in range(1, many + 1)}
    messages = await all_of(api, conversation)
    assert Counter(one["type"] for one in messages) == {"user": 101, "bot": 101, "activity": 2 * many}
    acts = [one["meta"]["activity"] for one in messages if one["type"] == "activity"]
    pairs = Counter((act["id"], act["type"]) for act in acts)
    assert pairs == {(act["id"], kind): 1 for act in acts for kind in ("request", "response")}
    assert all(act["function"]["result"]["status"] == 200 for act in acts if act["type"] == "response")
    run = (await api.get(f"/v1/run/{told['runId']}/fetch")).body
    sizes = [size for _, size in await executions(house, run["workflowId"])]
    assert max(sizes) < 2 * MIB


async def test_a_long_history_is_left_behind_between_two_rounds_and_no_publish_is_lost(
    house: House, api: Api, channel: str
) -> None:
    conversation = await api.conversation()
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch",
        {"text": "[model calls=1 rounds=2 tokens=2]", "functions": [on("look", channel)]},
    )
    run = await waiting(api, told["runId"])
    await lengthen(house, run["workflowId"])

    looking = asyncio.create_task(keep_looking(house, run["workflowId"]))
    # The second is there before the execution that will wait for it.
    for result in ("one", "two"):
        await published(api, channel, {"result": result})
    events = await api.stream(f"/v1/run/{told['runId']}/subscribe")
    looks = await looking

    assert looks > 0
    assert events[-1]["data"]["data"]["end"] == {"reason": "stop"}
    messages = await stored(api, conversation)
    assert [one["type"] for one in messages] == ["user", *["activity"] * 4, "bot"]
    results = [one["meta"]["activity"]["function"].get("result") for one in messages[1:5]]
    assert results == [None, "one", None, "two"]
    (first, size), (last, short) = await executions(house, run["workflowId"])
    assert (first, last) == (WorkflowExecutionStatus.CONTINUED_AS_NEW, WorkflowExecutionStatus.COMPLETED)
    assert size > MIB > short


async def keep_looking(house: House, workflow_id: str) -> int:
    """Tells a plan to look, until it is over; returns how often it was told."""
    plan, looks = (await house.temporal()).get_workflow_handle(workflow_id), 0
    with suppress(RPCError):
        while True:
            await plan.signal("look")
            looks += 1
    return looks


async def lengthen(house: House, workflow_id: str) -> None:
    """Makes a history longer than a plan puts up with, by a signal that nobody hears."""
    client = await house.temporal(guarded=False)
    await client.get_workflow_handle(workflow_id).signal("noise", "-" * MIB)
