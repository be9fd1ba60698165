"""How large an answer of a tool may be, and what a stateless caller is told so that it can be handed back."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.api.test_abilities import ability, get
from tests.api.test_agent import activities, asking, function, on, published, steps, waiting
from tests.house import House
from tests.http import Api
from tests.tool_server import ToolServer

JSON = dict[str, Any]
WORDS = ("type", "text", "meta")


def nested(levels: int) -> Any:
    """An array in an array in …, so many of them."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def told(events: list[JSON]) -> list[JSON]:
    """The messages of a stream, as they can be handed back."""
    shown = [event["data"] for event in events if event["type"] == "message"]
    return [{name: one[name] for name in WORDS if name in one} for one in shown]


@pytest.mark.parametrize(
    "result", [nested(31), [0] * 9_990, "x" * 500_000], ids=["levels", "values", "bytes"]
)
async def test_a_publish_may_answer_as_much_as_data_may_and_be_handed_back(
    api: Api, channel: str, result: Any
) -> None:
    body = asking("[model calls=1 tokens=2]", on("look", channel))
    dispatched = await api.ok("/v1/conversation/dispatch", body)
    await waiting(api, dispatched["runId"])

    await published(api, channel, {"result": result})

    events = [line["data"] for line in await api.stream(f"/v1/run/{dispatched['runId']}/subscribe")]
    messages = told(events)
    assert activities(messages)[-1] == ("response", "look", result)
    again = {"messages": [*body["messages"], *messages, {"type": "user", "text": "and now?"}]}
    assert (await api.ok("/v1/conversation/complete", again))["end"] == {"reason": "stop"}


@pytest.mark.parametrize(
    ("message", "wrong"),
    [
        ({"result": nested(32)}, "deeper than 32 levels"),
        ({"result": [0] * 10_000}, "more than 10000 values"),
        ({"result": "x" * 1_000_000}, "larger than 1000000 bytes"),
    ],
)
async def test_a_publish_that_is_too_large_is_told_what_to_do(
    api: Api, channel: str, message: JSON, wrong: str
) -> None:
    refused = await api.post(f"/v1/channel/{channel}/publish", {"message": message})

    assert refused.status == 400
    assert wrong in refused.body["message"]
    assert "publish less of it, or where to find it" in refused.body["message"]


@pytest.mark.parametrize(("levels", "kind"), [(31, list), (32, str), (60, str)])
async def test_what_a_tool_answers_is_json_as_far_as_it_can_be_handed_back(
    api: Api, tools: ToolServer, levels: int, kind: type
) -> None:
    url = f"{tools.url}/type=application,json/text={quote('[' * levels + ']' * levels)}/deep"
    body = asking("[model calls=1 args=none]") | {
        "extensions": {"skillsets": [{"name": "s", "abilities": [ability("look", get(url))]}]}
    }

    messages = told(await api.stream("/v1/conversation/complete", body))

    (_, _, result) = activities(messages)[-1]
    assert isinstance(result["body"], kind)
    again = {"messages": [*body["messages"], *messages, {"type": "user", "text": "and now?"}]}
    assert (await api.ok("/v1/conversation/complete", again))["end"] == {"reason": "stop"}


async def test_data_as_deep_as_it_may_be_can_be_handed_back(api: Api) -> None:
    body = asking("[model calls=1]", function("look", result={"data": nested(32)}))

    messages = told(await api.stream("/v1/conversation/complete", body))

    again = {"messages": [*body["messages"], *messages, {"type": "user", "text": "and now?"}]}
    assert (await api.ok("/v1/conversation/complete", again))["end"] == {"reason": "stop"}


async def test_a_call_of_no_tool_with_arguments_that_are_none_can_be_handed_back(api: Api) -> None:
    body = asking("[model calls=1 tool=nobody args=list]", function("look"))

    messages = told(await api.stream("/v1/conversation/complete", body))

    again = {"messages": [*body["messages"], *messages, {"type": "user", "text": "and now?"}]}
    assert (await api.ok("/v1/conversation/complete", again))["end"] == {"reason": "stop"}


async def test_a_stateless_caller_is_told_all_that_led_to_its_own_function(house: House, api: Api) -> None:
    look = function("look", result={"data": {"found": 42}})
    body = asking("[model calls=1 rounds=2 say=3 tool=look,mine]", look, function("mine"))

    answer = await api.ok("/v1/conversation/complete", body)

    messages = answer["messages"]
    assert [one["type"] for one in messages] == ["bot", "activity", "activity", "bot", "activity"]
    assert activities(messages) == [
        ("request", "look", {"n": 1}),
        ("response", "look", {"found": 42}),
        ("request", "mine", {"n": 2}),
    ]
    act = messages[-1]["meta"]["activity"]
    response = {"type": "response", "function": act["function"] | {"result": 7}, "id": act["id"]}
    more = [*messages, {"type": "activity", "text": "", "meta": {"activity": response}}]
    given = [*body["messages"], *more, {"type": "user", "text": "canary of what was found"}]
    await api.ok("/v1/conversation/complete", asking("", look) | {"messages": given})
    (call,) = await house.calls("canary of what was found")
    assert "42" in str(call)


async def test_the_callers_requests_come_last(api: Api) -> None:
    look = function("look", result={"data": 1})
    body = asking("[model calls=2 tool=mine,look]", look, function("mine"))

    answer = await api.ok("/v1/conversation/complete", body)

    told = [(kind, name) for kind, name, _ in activities(answer["messages"])]
    assert told == [("request", "look"), ("response", "look"), ("request", "mine")]


async def test_of_a_turn_only_what_is_to_be_answered_is_told(api: Api) -> None:
    conversation = await api.conversation()
    body = {
        "text": "[model calls=1 rounds=2 say=3 tool=look,mine]",
        "functions": [function("look", result={"data": 1}), function("mine")],
    }

    answer = await api.ok(f"/v1/conversation/{conversation}/complete", body)

    assert activities(answer["messages"]) == [("request", "mine", {"n": 2})]


async def test_what_was_handed_to_the_caller_is_done_without_a_response(api: Api) -> None:
    answer = await api.ok("/v1/conversation/complete", asking("[model calls=1]", function("mine")))

    (_, call) = await steps(api, answer["runId"])

    assert (call["tool"], call["state"]) == ("caller", "done")
    assert "endedAt" in call
    assert "responseId" not in call
