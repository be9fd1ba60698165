"""The guide's matrix: five conversation endpoints on two axes, each doing what its row says."""

from __future__ import annotations

from typing import Any

import pytest

from tests.http import inner, text_of
from tests.tenant import Tenant

SAY = "[model tokens=3]"
STATELESS = {"messages": [{"type": "user", "text": SAY}]}
ANSWER = "t1 t2 t3"


@pytest.fixture
async def conversation(tenant: Tenant) -> str:
    return await tenant.api.conversation()


async def spoken(tenant: Tenant, conversation: str) -> list[tuple[str, str]]:
    return await tenant.api.messages(conversation)


async def test_stateless_completion_answers_request_response(tenant: Tenant) -> None:
    answer = await tenant.api.ok("/v1/conversation/complete", STATELESS)

    assert (answer["text"], answer["end"]) == (ANSWER, {"reason": "stop"})
    assert (await tenant.belongings())["conversation"] == 0


async def test_stateless_completion_streams(tenant: Tenant) -> None:
    events = await tenant.api.stream("/v1/conversation/complete", STATELESS)

    assert text_of(events) == ANSWER
    assert (await tenant.belongings())["conversation"] == 0


async def test_a_stateless_callers_history_is_replayed_by_the_caller(tenant: Tenant) -> None:
    history = [
        {"type": "user", "text": "remember me"},
        {"type": "bot", "text": "I do"},
        {"type": "user", "text": f"still? {tenant.account} {SAY}"},
    ]

    await tenant.api.ok("/v1/conversation/complete", {"messages": history})

    (call,) = await tenant.house.calls(tenant.account)
    assert call["prompts"] == [message["text"] for message in history]


@pytest.mark.parametrize("streamed", [False, True], ids=["request/response", "streaming"])
async def test_send_appends_a_user_message_and_does_not_run_the_agent(
    tenant: Tenant, conversation: str, streamed: bool
) -> None:
    url = f"/v1/conversation/{conversation}/send"

    if streamed:
        (event,) = await tenant.api.stream(url, {"text": SAY})
        told = event["data"]
    else:
        told = await tenant.api.ok(url, {"text": SAY})

    assert await spoken(tenant, conversation) == [("user", SAY)]
    assert told["entities"] == []
    assert (await tenant.belongings())["run"] == 0


@pytest.mark.parametrize("streamed", [False, True], ids=["request/response", "streaming"])
async def test_receive_runs_the_agent_on_what_is_there(
    tenant: Tenant, conversation: str, streamed: bool
) -> None:
    await tenant.api.ok(f"/v1/conversation/{conversation}/send", {"text": SAY})
    url = f"/v1/conversation/{conversation}/receive"

    if streamed:
        told = (await tenant.api.stream(url))[-1]["data"]
    else:
        told = await tenant.api.ok(url)

    assert told["text"] == ANSWER
    assert await spoken(tenant, conversation) == [("user", SAY), ("bot", ANSWER)]


@pytest.mark.parametrize("streamed", [False, True], ids=["request/response", "streaming"])
async def test_complete_is_a_send_and_a_receive_in_one_call(
    tenant: Tenant, conversation: str, streamed: bool
) -> None:
    url = f"/v1/conversation/{conversation}/complete"

    if streamed:
        events = await tenant.api.stream(url, {"text": SAY})
        told = events[-1]["data"]
        assert text_of(events) == ANSWER
    else:
        told = await tenant.api.ok(url, {"text": SAY})

    assert (told["text"], told["end"]) == (ANSWER, {"reason": "stop"})
    assert await spoken(tenant, conversation) == [("user", SAY), ("bot", ANSWER)]


@pytest.mark.parametrize("stateless", [False, True], ids=["stateful", "stateless"])
async def test_dispatch_answers_with_a_channel_at_once_and_streams_there(
    tenant: Tenant, conversation: str, stateless: bool
) -> None:
    where, ask = ("", STATELESS) if stateless else (f"/{conversation}", {"text": SAY})

    told = await tenant.api.ok(f"/v1/conversation{where}/dispatch", ask)
    events = inner(await tenant.api.stream(f"/api/v1/channel/{told['channelId']}/subscribe"))

    assert "text" not in told
    assert text_of(events) == ANSWER
    assert events[-1]["type"] == "result"
    assert await spoken(tenant, conversation) == ([] if stateless else [("user", SAY), ("bot", ANSWER)])


async def test_a_dispatch_that_nobody_subscribes_to_runs_to_its_end(
    tenant: Tenant, conversation: str
) -> None:
    told = await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": SAY})

    # A later turn comes after it: that is how its end is known without its channel.
    await tenant.api.ok(f"/v1/conversation/{conversation}/complete", {"text": SAY})

    assert (await spoken(tenant, conversation))[:2] == [("user", SAY), ("bot", ANSWER)]
    assert (await tenant.api.get(f"/v1/run/{told['runId']}/fetch")).body["state"] == "succeeded"


async def choose(tenant: Tenant, **wants: bool) -> dict[str, Any]:
    """The guide's decision tree, walked."""
    if not wants.get("history"):
        answer: dict[str, Any] = await tenant.api.ok("/v1/conversation/complete", STATELESS)
        return answer
    conversation = await tenant.api.conversation(backstory=f"greet {SAY}")
    url = f"/v1/conversation/{conversation}"
    if not wants.get("reply_in_band"):
        answer = await tenant.api.ok(f"{url}/dispatch", {"text": SAY})
    elif wants.get("speaks_first"):
        answer = await tenant.api.ok(f"{url}/receive")
    elif wants.get("work_between"):
        await tenant.api.ok(f"{url}/send", {"text": SAY})
        assert await spoken(tenant, conversation) == [("user", SAY)]
        answer = await tenant.api.ok(f"{url}/receive")
    else:
        answer = await tenant.api.ok(f"{url}/complete", {"text": SAY})
    return answer


@pytest.mark.parametrize(
    ("wants", "told"),
    [
        ({}, {"text", "usage", "end", "runId"}),
        ({"history": True}, {"channelId", "runId"}),
        ({"history": True, "reply_in_band": True}, {"id", "text", "usage", "end", "runId"}),
        (
            {"history": True, "reply_in_band": True, "work_between": True},
            {"id", "text", "usage", "end", "runId"},
        ),
        (
            {"history": True, "reply_in_band": True, "speaks_first": True},
            {"id", "text", "usage", "end", "runId"},
        ),
    ],
)
async def test_the_decision_tree_leads_to_the_answer_that_was_wanted(
    tenant: Tenant, wants: dict[str, bool], told: set[str]
) -> None:
    assert (await choose(tenant, **wants)).keys() == told
