"""Runs of agents for the record: one of every way the loop can go."""

from __future__ import annotations

from typing import Any

from domain import ids
from tests.api.test_abilities import ability, get
from tests.api.test_agent import asking, on, published, waiting
from tests.api.test_long_runs import lengthen
from tests.house import House
from tests.http import Api
from tests.tool_server import ToolServer

JSON = dict[str, Any]


async def agents(house: House, api: Api) -> dict[str, str]:
    """The runs by the names of their histories, each over."""
    return {
        "turn-tools": await _tools(api),
        "turn-published": await _waited(api, {"result": "canary"}),
        "turn-aborted": await _waited(api, {"abort": True}),
        "completion-delayed": await _delayed(api),
        "turn-continued": await _continued(house, api),
    }


async def _tools(api: Api) -> str:
    """Two rounds of calls, two at once."""
    async with ToolServer() as tools:
        look = ability("look", get(tools.url + "/echo/recorded?n={n: integer}"))
        run = await _dispatched(
            api,
            {
                "text": "canary [model calls=2 rounds=2 tokens=2]",
                "extensions": {"skillsets": [{"name": "s", "abilities": [look]}]},
            },
        )
        await _ended(api, run)
    return run


async def _waited(api: Api, message: JSON) -> str:
    channel = ids.channel()
    run = await _dispatched(
        api, {"text": "canary [model calls=1 tokens=2]", "functions": [on("look", channel)]}
    )
    await waiting(api, run)
    await published(api, channel, message)
    await _ended(api, run)
    return run


async def _delayed(api: Api) -> str:
    body = asking("canary [model calls=1 tool=_delay args=seconds:1 tokens=2]")
    settled = body | {"extensions": {"features": [{"name": "settle"}]}}
    run = str((await api.ok("/v1/conversation/dispatch", settled))["runId"])
    await _ended(api, run)
    return run


async def _continued(house: House, api: Api) -> str:
    """A history that grew long in the first of two waits."""
    channel = ids.channel()
    run = await _dispatched(
        api, {"text": "canary [model calls=1 rounds=2 tokens=2]", "functions": [on("look", channel)]}
    )
    await lengthen(house, (await waiting(api, run))["workflowId"])
    for result in ("one", "two"):
        await published(api, channel, {"result": result})
    await _ended(api, run)
    return run


async def _dispatched(api: Api, body: JSON) -> str:
    conversation = await api.conversation()
    return str((await api.ok(f"/v1/conversation/{conversation}/dispatch", body))["runId"])


async def _ended(api: Api, run: str) -> None:
    await api.stream(f"/v1/run/{run}/subscribe")
