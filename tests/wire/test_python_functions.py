"""The official Python client with an agent: functions it answers by channel or with its next request."""

from __future__ import annotations

from contextlib import aclosing
from typing import Any

import pytest
from chatbotkit import ChatBotKit, types
from chatbotkit.agent import execute

from tests.api.test_abilities import get
from tests.api.test_agent import activities
from tests.house import House, eventually
from tests.http import Api
from tests.tool_server import ToolServer
from tests.wire.test_python_client import heard, kinds, listened

JSON = dict[str, Any]
Kit = ChatBotKit
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
USER = {"type": "user", "text": "[model calls=1 tokens=2]"}
EVERYTHING = ("api", "worker", "temporal", "model")
WAITS = "waitForChannelMessageBegin"


def function(channel: str | None = None) -> JSON:
    result = {"result": {"channel": channel}} if channel else {}
    return {"name": "look", "description": "looks", "parameters": SCHEMA} | result


def kit_of(house: House) -> Kit:
    return ChatBotKit(token=house.key, base_url=house.api().url)


@pytest.fixture
async def kit(house: House) -> Any:
    client = kit_of(house)
    yield client
    await client.aclose()


async def answered(kit: Kit, ask: JSON, message: JSON) -> list[JSON]:
    """All events of a completion whose functions are answered, by the client's own publish, with a message.

    Read as its agent package does: its typed events know no channel.
    """
    events = []
    path: str = "/api/v1/conversation/complete"
    completion: Any = kit.client_fetch(path, record=ask, stream_parse=lambda data: data)
    async for event in completion.stream():
        events.append(event)
        if event["type"] == WAITS:
            await kit.channel.publish(event["data"]["channel"], {"message": message})
    return events


def results(items: list[Any]) -> list[Any]:
    """What the activity messages of a stream say that calls came to."""
    told = [item.data.to_dict() for item in items if item.type.value == "message"]
    acts = [one["meta"]["activity"] for one in told if one["type"] == "activity"]
    return [act["function"]["result"] for act in acts if act["type"] == "response"]


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
    kit: Kit, channel: str, message: JSON, result: Any
) -> None:
    ask = types.ConversationCompleteRequest.from_dict({"messages": [USER], "functions": [function(channel)]})

    events = await answered(kit, ask.to_dict(), message)

    (end,) = [event["data"] for event in events if event["type"] == "waitForChannelMessageEnd"]
    assert "message" not in end
    told = activities([event["data"] for event in events if event["type"] == "message"])
    assert told == [("request", "look", {"n": 1}), ("response", "look", result)]
    assert (events[-1]["data"]["text"], events[-1]["data"]["end"]) == ("t1 t2", {"reason": "stop"})


async def test_its_typed_stream_goes_on_through_a_wait(kit: Kit, channel: str) -> None:
    ask = types.ConversationCompleteRequest.from_dict({"messages": [USER], "functions": [function(channel)]})

    seen = []
    async with aclosing(heard(kit.conversation.complete(None, ask).stream())) as stream:
        async for item in stream:
            seen.append(item)
            if item.type.value == WAITS:
                await kit.channel.publish(channel, {"message": {"result": {"sum": 3}}})

    assert results(seen) == [{"sum": 3}]
    assert seen[-1].type.value == "result"


async def test_it_hears_of_a_function_on_the_channel_of_a_dispatch(kit: Kit, channel: str) -> None:
    ask = types.ConversationDispatchRequest.from_dict({"messages": [USER], "functions": [function(channel)]})
    told = await kit.conversation.dispatch(None, ask)

    seen = []
    async with aclosing(heard(kit.channel.subscribe(told.channel_id).stream())) as stream:
        async for item in stream:
            seen.append(item.data)
            if item.data["type"] == WAITS:
                await kit.channel.publish(item.data["data"]["channel"], {"message": {"result": 1}})

    assert [one["type"] for one in seen][-1] == "result"
    assert seen[-1]["data"]["text"] == "t1 t2"


async def test_it_answers_its_own_function_with_its_next_request(kit: Kit) -> None:
    ask: JSON = {"messages": [USER], "functions": [function()]}
    first = await listened(kit.conversation.complete(None, ask).stream())
    request = [item.data.to_dict() for item in first if item.type.value == "message"][-1]
    called = request["meta"]["activity"]["function"]

    done = {"activity": {"type": "response", "function": called | {"result": called["arguments"]["n"] + 1}}}
    response = {"type": "activity", "text": "", "meta": done}
    second = await listened(
        kit.conversation.complete(None, ask | {"messages": [USER, request, response]}).stream()
    )

    assert first[-1].data.end.reason.value == "activity"
    assert (called["name"], called["arguments"]) == ("look", {"n": 1})
    assert second[-1].data.end.reason.value == "stop"


async def test_it_stores_the_answer_of_its_own_function_and_goes_on(kit: Kit, api: Api) -> None:
    conversation = (await kit.conversation.create({})).id
    ask = types.ConversationMessageCompleteRequest.from_dict(
        {"text": USER["text"], "functions": [function()]}
    )
    first = await listened(kit.conversation.complete(conversation, ask).stream())
    act = [item.data.to_dict() for item in first if item.type.value == "message"][-1]["meta"]["activity"]

    done = {"activity": act | {"type": "response", "function": act["function"] | {"result": 2}}}
    await api.ok(
        f"/v1/conversation/{conversation}/message/create", {"type": "activity", "text": "", "meta": done}
    )
    received = await kit.conversation.receive(conversation, {"functions": [function()]})

    assert first[-1].data.end.reason.value == "activity"
    assert received.text == "t1 t2"
    assert [kind for kind, _ in await api.messages(conversation)] == ["user", "activity", "activity", "bot"]


@pytest.mark.parametrize("remote", [False, True], ids=["with messages of its own", "on a conversation"])
async def test_its_agent_package_runs_its_loop_with_tools_of_its_own(kit: Kit, remote: bool) -> None:
    asked: list[Any] = []
    text = "[model calls=1 rounds=3 tool=look,look,exit args=code:0 tokens=2]"

    def look(arguments: Any) -> JSON:
        asked.append(arguments)
        if len(asked) == 2:
            raise ValueError("nothing to see")
        return {"seen": 1}

    tools = {"look": {"description": "looks", "handler": look}}
    messages = [{"type": "user", "text": text}]
    where: JSON = {"messages": messages}
    if remote:
        where = {"conversation_id": (await kit.conversation.create({"messages": messages})).id}

    events = [event async for event in execute(client=kit, tools=tools, max_iterations=5, **where)]

    assert asked == [{"code": 0}] * 2
    named = [
        (event["type"], event["data"]["name"]) for event in events if event["type"].startswith("toolCall")
    ]
    assert [name for kind, name in named if kind == "toolCallEnd"] == ["look", "exit"]
    assert [name for kind, name in named if kind == "toolCallError"] == ["look"]
    told = [event["data"] for event in events if event["type"] == "message"]
    results = [shown for kind, _, shown in activities(told) if kind == "response"]
    assert results[:2] == [{"data": {"seen": 1}}, "nothing to see"]
    assert events[-1] == {"type": "exit", "data": {"code": 0}}


async def test_it_brings_a_skillset_of_the_moment(kit: Kit, tools: ToolServer) -> None:
    look = {"name": "look", "description": "looks", "instruction": get(tools.url + "/text=sunny/python")}
    ask = types.ConversationCompleteRequest.from_dict(
        {
            "messages": [{"type": "user", "text": "[model calls=1 args=none tokens=2]"}],
            "extensions": {"backstory": "b", "skillsets": [{"name": "s", "abilities": [look]}]},
            "limits": {"iterations": 3, "calls": 2},
        }
    )

    items = await listened(kit.conversation.complete(None, ask).stream())

    assert results(items) == [{"status": 200, "body": "sunny"}]
    assert tools.calls["python"].executed == 1
    assert {*kinds(items)} <= {
        "completeBegin",
        "token",
        "message",
        "usage",
        "completeEnd",
        "result",
    }


@pytest.mark.slow
async def test_its_functions_are_answered_after_everything_was_restarted(build: Any, channel: str) -> None:
    house = await build()
    kit = kit_of(house)
    conversation = (await kit.conversation.create({})).id
    turn = {"text": USER["text"], "functions": [function(channel)]}
    async with aclosing(heard(kit.conversation.complete(conversation, turn).stream())) as stream:
        async for item in stream:
            if item.type.value == WAITS:
                break
    background = {"messages": [USER], "functions": [function(f"{channel}-2")]}
    dispatched = await kit.conversation.dispatch(None, background)
    async with aclosing(heard(kit.channel.subscribe(dispatched.channel_id).stream())) as stream:
        async for item in stream:
            if item.data["type"] == WAITS:
                break

    await restart(house)
    for where in (channel, f"{channel}-2"):
        await kit.channel.publish(where, {"message": {"result": "still here"}})
    rest = await listened(kit.channel.subscribe(dispatched.channel_id).stream())

    assert rest[-1].data["data"]["text"] == "t1 t2"
    assert await eventually(lambda: said(house, conversation)) == ["user", "activity", "activity", "bot"]
    await kit.aclose()


async def restart(house: House) -> None:
    """Everything dies but Postgres, and comes back."""
    for name in EVERYTHING:
        house.kill(name)
    for name in reversed(EVERYTHING):
        house.start(name)
    await house.ready()


async def said(house: House, conversation: str) -> list[str]:
    """The types of a conversation's messages, once its agent has answered."""
    async with house.api() as api:
        found = [kind for kind, _ in await api.messages(conversation)]
    assert found[-1] == "bot"
    return found
