"""The official Node client with an agent: functions it answers by channel or with its next request."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.api.test_abilities import ability, get
from tests.api.test_agent import activities
from tests.house import House, eventually
from tests.tool_server import ToolServer
from tests.wire.node_client import Node
from tests.wire.test_python_functions import USER, WAITS, function, restart, said

JSON = dict[str, Any]


@pytest.fixture
async def node(house: House) -> AsyncIterator[Node]:
    async with Node(house.api().url, house.key) as client:
        yield client


def told(items: list[JSON]) -> list[tuple[str, str, Any]]:
    return activities([item["data"] for item in items if item["type"] == "message"])


@pytest.mark.parametrize(
    ("message", "result"),
    [
        ({"result": {"sum": 3}}, {"sum": 3}),
        ({"data": {"sum": 3}}, {"data": {"sum": 3}}),
        ({"error": "no"}, "no"),
    ],
    ids=["a result", "as the agent package publishes", "an error"],
)
async def test_it_answers_a_function_on_its_channel(
    node: Node, channel: str, message: JSON, result: Any
) -> None:
    ask = {"messages": [USER], "functions": [function(channel)]}

    items = await node.answering(message, "conversation.complete", None, ask)

    (end,) = [item["data"] for item in items if item["type"] == "waitForChannelMessageEnd"]
    assert "message" not in end
    assert told(items) == [("request", "look", {"n": 1}), ("response", "look", result)]
    assert (items[-1]["data"]["text"], items[-1]["data"]["end"]) == ("t1 t2", {"reason": "stop"})


async def test_it_hears_of_a_function_on_the_channel_of_a_dispatch(node: Node, channel: str) -> None:
    dispatched = await node(
        "conversation.dispatch", None, {"messages": [USER], "functions": [function(channel)]}
    )

    items = await node.answering({"result": 1}, "channel.subscribe", dispatched["channelId"])

    assert [item["data"]["type"] for item in items][-1] == "result"
    assert items[-1]["data"]["data"]["text"] == "t1 t2"


async def test_it_answers_its_own_function_with_its_next_request(node: Node) -> None:
    ask: JSON = {"messages": [USER], "functions": [function()]}
    first = await node("conversation.complete", None, ask)
    (request,) = first["messages"]
    called = request["meta"]["activity"]["function"]

    done = {"activity": {"type": "response", "function": called | {"result": called["arguments"]["n"] + 1}}}
    response = {"type": "activity", "text": "", "meta": done}
    second = await node("conversation.complete", None, ask | {"messages": [USER, request, response]})

    assert first["end"] == {"reason": "activity"}
    assert (called["name"], called["arguments"]) == ("look", {"n": 1})
    assert second["end"] == {"reason": "stop"}


async def test_it_stores_the_answer_of_its_own_function_and_goes_on(node: Node) -> None:
    conversation = (await node("conversation.create", {}))["id"]
    ask = {"text": USER["text"], "functions": [function()]}
    first = await node.stream("conversation.complete", conversation, ask)
    act = [item["data"] for item in first if item["type"] == "message"][-1]["meta"]["activity"]

    done = {"activity": act | {"type": "response", "function": act["function"] | {"result": 2}}}
    await node("conversation.message.create", conversation, {"type": "activity", "text": "", "meta": done})
    received = await node("conversation.receive", conversation, {"functions": [function()]})
    listed = await node("conversation.message.list", conversation, {"order": "asc"})

    assert first[-1]["data"]["end"] == {"reason": "activity"}
    assert received["text"] == "t1 t2"
    assert [item["type"] for item in listed["items"]] == ["user", "activity", "activity", "bot"]


async def test_it_brings_a_skillset_of_the_moment(node: Node, tools: ToolServer) -> None:
    look = ability("look", get(tools.url + "/text=sunny/node"))
    ask = {
        "messages": [{"type": "user", "text": "[model calls=1 args=none tokens=2]"}],
        "extensions": {"backstory": "b", "skillsets": [{"name": "s", "abilities": [look]}]},
        "limits": {"iterations": 3, "calls": 2},
    }

    items = await node.stream("conversation.complete", None, ask)

    assert told(items)[1] == ("response", "look", {"status": 200, "body": "sunny"})
    assert tools.calls["node"].executed == 1


@pytest.mark.slow
async def test_its_functions_are_answered_after_everything_was_restarted(build: Any, channel: str) -> None:
    house = await build()
    async with Node(house.api().url, house.key) as node:
        conversation = (await node("conversation.create", {}))["id"]
        turn = {"text": USER["text"], "functions": [function(channel)]}
        await node.stream_until(WAITS, "conversation.complete", conversation, turn)
        background = {"messages": [USER], "functions": [function(f"{channel}-2")]}
        dispatched = await node("conversation.dispatch", None, background)
        await node.stream_until(WAITS, "channel.subscribe", dispatched["channelId"])

        await restart(house)
        for where in (channel, f"{channel}-2"):
            await node("channel.publish", where, {"message": {"result": "still here"}})
        rest = await node.stream("channel.subscribe", dispatched["channelId"])

    assert rest[-1]["data"]["data"]["text"] == "t1 t2"
    assert await eventually(lambda: said(house, conversation)) == ["user", "activity", "activity", "bot"]
