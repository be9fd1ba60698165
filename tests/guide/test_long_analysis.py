"""The guide's long-running, multi-step analysis: dispatched, followed from anywhere, approved by a human."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain import ids
from tests.api.test_abilities import ability, answers, get, post
from tests.api.test_agent import activities, on, stored, waiting
from tests.house import House, eventually
from tests.http import Api, inner, text_of
from tests.tool_server import ToolServer

pytestmark = pytest.mark.slow

JSON = dict[str, Any]
CALLED = ["documents", "measure", "documents", "approve"]
ANSWER = " ".join(f"t{n}" for n in range(1, 21))


async def analyst(api: Api, tools: ToolServer) -> str:
    """A conversation with a bot that can read documents and measure them."""
    skillset = (await api.ok("/v1/skillset/create", {"name": "analysis"}))["id"]
    for skill in (
        ability("documents", get(tools.url + "/slow=4000/documents?n={n: integer}")),
        ability("measure", post(tools.url + "/echo/measure")),
    ):
        await api.ok(f"/v1/skillset/{skillset}/ability/create", skill)
    bot = await api.ok("/v1/bot/create", {"backstory": "You analyse.", "skillsetId": skillset})
    return await api.conversation(botId=bot["id"], contactId={"fingerprint": ids.new("customer")})


async def until(events: AsyncIterator[JSON], type_: str, count: int = 1) -> list[JSON]:
    """What comes up to the event of this type, or to the second one, and so on."""
    seen = []
    async for event in events:
        seen.append(event)
        count -= event["data"]["type"] == type_
        if count == 0:
            return seen
    raise AssertionError([event["data"]["type"] for event in seen])


async def read_again(tools: ToolServer) -> None:
    async def check() -> None:
        assert tools.calls["documents"].seen >= 2

    await eventually(check)


async def dispatched(api: Api, conversation: str, approval: str) -> JSON:
    """An analysis of four rounds, the last of which asks a human."""
    told: JSON = await api.ok(
        f"/v1/conversation/{conversation}/dispatch",
        {
            "text": "[model calls=1 rounds=4 tool=documents,measure,documents,approve say=2 tokens=20]",
            "functions": [on("approve", approval, waitSeconds=86_400)],
            "limits": {"iterations": 10, "calls": 10},
        },
    )
    return told


def heard_all(heard: list[JSON], said: list[JSON]) -> None:
    """A listener heard what stands in the conversation, each thing once and in its order."""
    assert activities([one["data"] for one in inner(heard) if one["type"] == "message"]) == activities(said)
    assert text_of(inner(heard)) == said[-1]["text"]
    assert [event["seq"] for event in heard] == sorted({event["seq"] for event in heard})
    assert heard[-1]["data"]["data"]["end"] == {"reason": "stop"}


async def test_an_analysis_goes_on_without_its_client_and_its_worker_and_waits_for_a_human(
    build: Any, tools: ToolServer
) -> None:
    house: House = await build()
    approval = ids.channel()
    async with house.api() as api:
        conversation = await analyst(api, tools)
        told = await dispatched(api, conversation, approval)
        channel = f"/v1/channel/{told['channelId']}/subscribe"

        # The one who asked listens for a while, then goes home; the worker dies in the third step.
        async with api.streaming(channel) as events:
            seen = await until(events, "completeBegin", 2)
        await read_again(tools)
        house.kill("worker")
        house.start("worker")

        # Somebody else finds it at work, hears everything from the beginning, and asks the human.
        async with api.streaming(channel) as events:
            late = await until(events, "waitForChannelMessageBegin")
        run = await waiting(api, told["runId"])
        await api.ok(f"/v1/channel/{approval}/publish", {"message": {"result": {"approved": True}}})
        late += await api.stream(channel, {"after": late[-1]["seq"]})
        # The one who asked goes on where it had stopped.
        seen += await api.stream(channel, {"after": seen[-1]["seq"]})
        said = await stored(api, conversation)

    heard_all(late, said)
    heard_all(seen, said)
    assert [act["function"]["name"] for act in answers(inner(seen))] == CALLED
    assert [one["type"] for one in said] == ["user", *["bot", "activity", "activity"] * 4, "bot"]
    assert (said[-1]["text"], activities(said)[-1]) == (ANSWER, ("response", "approve", {"approved": True}))
    assert {step["state"] for step in run["steps"]} == {"done", "waiting"}
    # What was cut off is read again under its key; what had succeeded is not.
    assert ([*tools.calls["documents"].keys.values()], tools.calls["measure"].executed) == ([1, 2], 1)
