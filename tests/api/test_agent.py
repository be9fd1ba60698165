"""The agent's loop: the model asks for calls, hears what came of them, and goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.house import House, eventually
from tests.http import Answer, Api
from tests.tenant import Tenant

JSON = dict[str, Any]


def function(name: str, **more: Any) -> JSON:
    schema = {"type": "object", "properties": {"n": {"type": "integer"}}}
    return {"name": name, "description": f"does {name}", "parameters": schema} | more


def asking(text: str, *functions: JSON, **more: Any) -> JSON:
    """The body of a stateless completion."""
    return {"messages": [{"type": "user", "text": text}], "functions": [*functions]} | more


def activities(items: list[JSON]) -> list[tuple[str, str, Any]]:
    """Of each activity message: its type, its function's name, its arguments or its result."""
    told = []
    for item in items:
        if item["type"] == "activity":
            act = item["meta"]["activity"]
            shown = act["function"]["result" if act["type"] == "response" else "arguments"]
            told.append((act["type"], act["function"]["name"], shown))
    return told


async def stored(api: Api, conversation: str) -> list[JSON]:
    listed = await api.get(f"/v1/conversation/{conversation}/message/list?order=asc")
    return list(listed.body["items"])


async def steps(api: Api, run: str) -> list[JSON]:
    return list((await api.get(f"/v1/run/{run}/fetch")).body["steps"])


@pytest.mark.parametrize("data", [{"temperature": 21}, 0, False, "", None, []])
async def test_a_function_with_data_is_answered_at_once(api: Api, data: Any) -> None:
    look = function("look", result={"data": data})

    events = await api.stream("/v1/conversation/complete", asking("[model calls=1 tokens=3]", look))

    assert activities([e["data"] for e in events if e["type"] == "message"]) == [
        ("request", "look", {"n": 1}),
        ("response", "look", data),
    ]
    assert [e["data"]["iteration"] for e in events if e["type"] == "completeBegin"] == [1, 2]
    assert events[-1]["data"]["end"] == {"reason": "stop"}
    assert events[-1]["data"]["text"] != ""


async def test_usage_is_of_all_rounds(api: Api) -> None:
    look = function("look", result={"data": 1})

    events = await api.stream("/v1/conversation/complete", asking("[model calls=2 rounds=3]", look))

    used = [e["data"] for e in events if e["type"] == "usage"]
    assert len(used) == 4
    tokens = sum(one["inputTokensUsed"] + one["outputTokensUsed"] for one in used)
    assert events[-1]["data"]["usage"] == {"token": tokens}


async def test_a_function_without_a_result_is_the_callers_and_the_run_ends(api: Api) -> None:
    asked = asking("[model calls=1 tokens=2]", function("mine"))

    answer = await api.ok("/v1/conversation/complete", asked)

    assert answer["end"] == {"reason": "activity"}
    (request,) = answer["messages"]
    assert activities([request]) == [("request", "mine", {"n": 1})]
    called = {"name": "mine", "arguments": {"n": 1}, "result": {"found": "it"}}
    response = {
        "type": "activity",
        "text": "",
        "meta": {"activity": {"type": "response", "function": called}},
    }
    again = await api.ok(
        "/v1/conversation/complete", asked | {"messages": [*asked["messages"], request, response]}
    )
    assert again["end"] == {"reason": "stop"}


async def test_a_turn_goes_on_with_the_response_to_its_callers_function(api: Api) -> None:
    conversation = await api.conversation()
    turn = f"/v1/conversation/{conversation}"
    mine = function("mine")

    first = await api.ok(f"{turn}/complete", {"text": "[model calls=1 tokens=2]", "functions": [mine]})
    (request,) = first["messages"]
    act = request["meta"]["activity"]
    response = {"activity": act | {"type": "response", "function": act["function"] | {"result": 7}}}
    await api.ok(f"{turn}/message/create", {"type": "activity", "text": "", "meta": response})
    second = await api.ok(f"{turn}/receive", {"functions": [mine]})

    assert (first["end"], second["end"]) == ({"reason": "activity"}, {"reason": "stop"})
    assert [one["type"] for one in await stored(api, conversation)] == ["user", "activity", "activity", "bot"]


async def test_what_was_called_and_answered_stands_in_the_conversation(api: Api) -> None:
    conversation = await api.conversation()
    look = function("look", result={"data": {"k": "ü"}})

    events = await api.stream(
        f"/v1/conversation/{conversation}/complete",
        {"text": "[model calls=2 say=2 tokens=2]", "functions": [look]},
    )

    messages = await stored(api, conversation)
    assert [one["type"] for one in messages] == ["user", "bot", *["activity"] * 4, "bot"]
    assert activities(messages) == [
        ("request", "look", {"n": 1}),
        ("request", "look", {"n": 2}),
        ("response", "look", {"k": "ü"}),
        ("response", "look", {"k": "ü"}),
    ]
    told = [e["data"]["id"] for e in events if e["type"] == "message"]
    assert told == [one["id"] for one in messages[1:]]
    assert events[-1]["data"]["id"] == messages[-1]["id"]
    next_turn = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "and now?"})
    assert next_turn["end"] == {"reason": "stop"}


async def test_a_run_shows_every_step(api: Api) -> None:
    conversation = await api.conversation()
    look = function("look", result={"data": 1})
    answer = await api.ok(
        f"/v1/conversation/{conversation}/complete", {"text": "[model calls=2]", "functions": [look]}
    )

    shown = await steps(api, answer["runId"])

    assert [(one["ordinal"], one["kind"], one["iteration"], one["state"]) for one in shown] == [
        (1, "model", 1, "done"),
        (2, "call", 1, "done"),
        (3, "call", 1, "done"),
        (4, "model", 2, "done"),
    ]
    ids = {one["id"] for one in await stored(api, conversation)}
    assert {shown[1]["requestId"], shown[1]["responseId"], shown[2]["requestId"]} <= ids
    assert shown[1]["name"] == "look"
    assert shown[1]["tool"] == "data"


@pytest.mark.parametrize(("limits", "rounds"), [({"iterations": 2}, 2), ({"calls": 3}, 2)])
async def test_a_limit_ends_the_run_between_two_rounds(api: Api, limits: JSON, rounds: int) -> None:
    look = function("look", result={"data": 1})

    events = await api.stream(
        "/v1/conversation/complete", asking("[model calls=2 rounds=9 say=1]", look, limits=limits)
    )

    assert events[-1]["data"]["end"] == {"reason": "iteration"}
    assert len([e for e in events if e["type"] == "completeBegin"]) == rounds


@pytest.mark.parametrize("script", ["tool=nobody", "args=broken", "args=list"])
async def test_what_cannot_be_called_is_told_to_the_model(api: Api, script: str) -> None:
    look = function("look", result={"data": 1})

    events = await api.stream("/v1/conversation/complete", asking(f"[model calls=1 {script}]", look))

    (response,) = [
        e["data"]["meta"]["activity"]
        for e in events
        if e["type"] == "message" and e["data"].get("meta", {}).get("activity", {}).get("type") == "response"
    ]
    assert response["failed"] is True
    assert events[-1]["data"]["end"] == {"reason": "stop"}


async def test_calls_over_the_limit_say_so(api: Api) -> None:
    asked = asking("[model calls=3]", function("look", result={"data": 1}), limits={"calls": 1})

    answer = await api.ok("/v1/conversation/complete", asked)

    calls = [step for step in await steps(api, answer["runId"]) if step["kind"] == "call"]
    assert [(step["state"], step.get("errorCode")) for step in calls] == [
        ("done", None),
        ("failed", "CALLS_LIMIT"),
        ("failed", "CALLS_LIMIT"),
    ]


async def test_the_first_function_is_called_first_and_the_last_ends_the_run(house: House, api: Api) -> None:
    functions = [
        function("begin", result={"data": 1}, call={"start": True}),
        function("close", result={"data": 2}, call={"end": True}),
    ]

    events = await api.stream(
        "/v1/conversation/complete", asking("[model calls=1 rounds=5 tool=begin,close]", *functions)
    )

    names = [name for kind, name, _ in activities([e["data"] for e in events if e["type"] == "message"])]
    assert names == ["begin", "begin", "close", "close"]
    assert events[-1]["data"]["end"] == {"reason": "stop"}


# Channels.


async def published(api: Api, channel: str, message: JSON) -> None:
    await api.ok(f"/v1/channel/{channel}/publish", {"message": message})


def on(name: str, channel: str, **more: Any) -> JSON:
    return function(name, result={"channel": channel} | more)


@pytest.mark.parametrize(
    ("message", "result"),
    [
        ({"result": {"sum": 3}}, {"sum": 3}),
        ({"result": 0}, 0),
        ({"data": 5}, {"data": 5}),
        ({"error": "no such city"}, "no such city"),
    ],
)
async def test_a_function_with_a_channel_waits_for_a_publish(
    api: Api, channel: str, message: JSON, result: Any
) -> None:
    asked = asking("[model calls=1 tokens=2]", on("look", channel))
    seen: list[JSON] = []

    everything = {"X-Holdfast-Events": "all"}
    async with api.streaming("/v1/conversation/complete", asked, **everything) as events:
        async for event in events:
            seen.append(event)
            if event["type"] == "waitForChannelMessageBegin":
                assert event["data"] == {"channel": channel, "function": {"name": "look", "args": {"n": 1}}}
                await published(api, channel, message)

    (end,) = [event["data"] for event in seen if event["type"] == "waitForChannelMessageEnd"]
    assert end == {"channel": channel, "function": {"name": "look", "args": {"n": 1}}, "message": message}
    (_, response) = activities([event["data"] for event in seen if event["type"] == "message"])
    assert response == ("response", "look", result)
    assert seen[-1]["data"]["end"] == {"reason": "stop"}


async def test_the_operations_of_an_agent_are_told_to_who_asks_for_all_events(api: Api) -> None:
    conversation = await api.conversation()
    url = f"/v1/conversation/{conversation}/complete"
    body = {"text": "[model calls=2 tokens=1]", "functions": [function("look", result={"data": 5})]}
    keyed = {"Idempotency-Key": conversation}

    everything = await api.stream(url, body, **keyed, **{"X-Holdfast-Events": "all"})
    usual = await api.stream(url, body, **keyed)

    run = usual[-1]["data"]["runId"]
    actions = [
        {"id": f"{run}/{n}", "kind": "function", "name": "look", "input": {"n": n - 1}} for n in (2, 3)
    ]
    told = [(one["type"], one["data"]) for one in everything if one["type"].startswith("operation")]
    assert told == [
        (type_, {"id": action["id"], "action": action})
        for action in actions
        for type_ in ("operationBegin", "operationEnd")
    ]
    assert not [one for one in usual if one["type"].startswith("operation")]


@pytest.mark.parametrize(("more", "seconds"), [({}, 300), ({"waitSeconds": 2_592_000}, 2_592_000)])
async def test_a_channel_is_waited_on_for_five_minutes_unless_its_function_says_otherwise(
    api: Api, channel: str, more: JSON, seconds: int
) -> None:
    told = await api.ok("/v1/conversation/dispatch", asking("[model calls=1]", on("look", channel, **more)))
    await waiting(api, told["runId"])

    (_, call) = await steps(api, told["runId"])
    await api.ok(f"/v1/run/{told['runId']}/cancel")

    assert call["waitsUntil"] - call["begunAt"] == pytest.approx(1_000 * seconds, abs=1_000)


async def test_an_abort_on_a_channel_ends_the_run(api: Api, channel: str) -> None:
    conversation = await api.conversation()
    seen = []

    async with api.streaming(
        f"/v1/conversation/{conversation}/complete",
        {"text": "[model calls=1]", "functions": [on("look", channel)]},
    ) as events:
        async for event in events:
            seen.append(event)
            if event["type"] == "waitForChannelMessageBegin":
                await published(api, channel, {"abort": True})

    assert [event["type"] for event in seen[-2:]] == ["abort", "result"]
    assert seen[-2]["data"] == {"reason": "function", "functionName": "look"}
    assert seen[-1]["data"]["end"] == {"reason": "abort"}
    after = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "go on"})
    assert after["end"] == {"reason": "stop"}


async def test_a_publish_before_its_waiter_is_kept_and_the_oldest_goes_first(api: Api, channel: str) -> None:
    await published(api, channel, {"result": "first"})
    await published(api, channel, {"result": "second"})

    events = await api.stream(
        "/v1/conversation/complete", asking("[model calls=1 rounds=2]", on("look", channel))
    )

    told = activities([event["data"] for event in events if event["type"] == "message"])
    assert [shown for kind, _, shown in told if kind == "response"] == ["first", "second"]


async def test_several_functions_wait_at_once(api: Api, channel: str) -> None:
    channels = {"one": f"{channel}-1", "two": f"{channel}-2"}
    functions = [on(name, where) for name, where in channels.items()]
    seen = []

    async with api.streaming("/v1/conversation/complete", asking("[model calls=2]", *functions)) as events:
        async for event in events:
            seen.append(event)
            waits = [e for e in seen if e["type"] == "waitForChannelMessageBegin"]
            if event["type"] == "waitForChannelMessageBegin" and len(waits) == 2:
                await published(api, channels["two"], {"result": 2})
                await published(api, channels["one"], {"result": 1})

    told = activities([event["data"] for event in seen if event["type"] == "message"])
    assert {(name, shown) for kind, name, shown in told if kind == "response"} == {("one", 1), ("two", 2)}


async def test_a_wait_that_nobody_ends_is_told_to_the_model(api: Api, channel: str) -> None:
    events = await api.stream(
        "/v1/conversation/complete", asking("[model calls=1]", on("look", channel, waitSeconds=1))
    )

    (end,) = [event["data"] for event in events if event["type"] == "waitForChannelMessageEnd"]
    assert "message" not in end
    (_, (kind, _, told)) = activities([event["data"] for event in events if event["type"] == "message"])
    assert (kind, told.split(":")[0]) == ("response", "no_message_received")
    assert events[-1]["data"]["end"] == {"reason": "stop"}


async def test_a_last_function_that_nobody_answered_is_told_to_the_model(
    house: House, api: Api, channel: str
) -> None:
    last = on("look", channel, waitSeconds=1) | {"call": {"end": True}}

    events = await api.stream("/v1/conversation/complete", asking("[model calls=1] unanswered", last))

    assert [event["type"] for event in events].count("completeBegin") == 2
    assert len(await house.calls("unanswered")) == 2
    assert events[-1]["data"]["text"] != ""


async def waiting(api: Api, run: str) -> JSON:
    """A run once it only waits."""

    async def check() -> JSON:
        found: JSON = (await api.get(f"/v1/run/{run}/fetch")).body
        assert found.get("parkedAt")
        return found

    return await eventually(check)


async def test_a_run_that_waits_takes_up_no_place(build: Any, channel: str) -> None:
    house = await build(HOLDFAST_ACTIVE_RUNS="1")
    async with house.api() as api:
        asked = asking("[model calls=1 tokens=2]", on("look", channel))
        parked = await api.ok("/v1/conversation/dispatch", asked)
        await waiting(api, parked["runId"])

        other = await api.ok("/v1/conversation/complete", asking("[model tokens=2]"))
        await published(api, channel, {"result": 1})
        last = await api.stream(f"/v1/run/{parked['runId']}/subscribe")

    assert other["end"] == {"reason": "stop"}
    assert last[-1]["data"]["type"] == "result"


async def test_without_a_key_the_same_body_is_a_repeat_until_somebody_waits_again(
    tenant: Tenant, channel: str
) -> None:
    for _ in range(3):
        await published(tenant.api, channel, {"result": "same"})
    await published(tenant.api, channel, {"result": "other"})

    assert (await tenant.belongings())["event"] == 2


async def test_with_keys_each_publish_is_its_own(tenant: Tenant, channel: str) -> None:
    for key in ("one", "two", "two"):
        await tenant.api.ok(
            f"/v1/channel/{channel}/publish", {"message": {"same": 1}}, **{"Idempotency-Key": key}
        )

    assert (await tenant.belongings())["event"] == 2


async def test_what_a_run_did_not_take_goes_with_it(tenant: Tenant, channel: str) -> None:
    asked = asking("[model calls=1 tokens=2]", on("look", channel))
    for result in ("taken", "left"):
        await published(tenant.api, channel, {"result": result})

    await tenant.api.ok("/v1/conversation/complete", asked)
    later = await tenant.api.ok("/v1/conversation/dispatch", asked)
    run = await waiting(tenant.api, later["runId"])

    assert run["state"] == "running"


async def test_a_dispatchs_channel_answers_no_function(api: Api) -> None:
    dispatched = await api.ok("/v1/conversation/dispatch", asking("[model tokens=2]"))

    refused: Answer = await api.post(
        "/v1/conversation/complete", asking("hi", on("look", dispatched["channelId"]))
    )

    assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
    assert refused.body["message"].endswith("name another one.")


async def test_a_cancelled_call_leaves_a_conversation_that_can_go_on(api: Api, channel: str) -> None:
    conversation = await api.conversation()
    turn = f"/v1/conversation/{conversation}"
    parked = await api.ok(f"{turn}/dispatch", {"text": "[model calls=2]", "functions": [on("look", channel)]})
    await waiting(api, parked["runId"])

    await api.ok(f"/v1/run/{parked['runId']}/cancel")
    after = await api.ok(f"{turn}/complete", {"text": "what happened?"})

    assert after["end"] == {"reason": "stop"}
    assert json.dumps(await stored(api, conversation)).count('"request"') == 2


async def test_an_agent_ends_its_own_background_run(api: Api) -> None:
    asked = asking("[model calls=1 tool=_failure args=summary:gone]")
    body = asked | {"extensions": {"features": [{"name": "settle"}]}}

    dispatched = await api.ok("/v1/conversation/dispatch", body)
    events = await api.stream(f"/v1/run/{dispatched['runId']}/subscribe")

    last = events[-1]["data"]
    assert last["data"]["text"] == "gone"
    assert last["data"]["outcome"] == "failure"
    assert (await api.get(f"/v1/run/{dispatched['runId']}/fetch")).body["outcome"] == "failure"


async def test_an_agent_delays_its_own_background_run(api: Api) -> None:
    asked = asking("[model calls=1 tool=_delay args=seconds:4 tokens=2]")
    body = asked | {"extensions": {"features": [{"name": "settle"}]}}

    dispatched = await api.ok("/v1/conversation/dispatch", body)
    await waiting(api, dispatched["runId"])
    events = await api.stream(f"/v1/run/{dispatched['runId']}/subscribe")

    assert events[-1]["data"]["data"]["end"] == {"reason": "stop"}


async def test_an_answer_that_was_cut_is_gone_on_with_as_often_as_the_caller_allows(api: Api) -> None:
    conversation = await api.conversation()
    turn = f"/v1/conversation/{conversation}/complete"

    cut = await api.ok(turn, {"text": "[model tokens=2 finish=length]"})
    # What it is told to go on with names no script, so it comes to its end.
    whole = await api.ok(turn, {"text": "[model tokens=3 finish=length]", "limits": {"continuations": 2}})

    assert (cut["end"], whole["end"]) == ({"reason": "length"}, {"reason": "stop"})
    pieces = [one["text"] for one in (await stored(api, conversation))[3:]]
    assert len(pieces) == 2
    assert whole["text"] == "".join(pieces)
