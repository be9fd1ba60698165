"""What a call does to a turn whose agent is at work: in the middle of a tool, or waiting for a publish."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain import ids
from tests.api.test_policies import SHORT, listed, steered
from tests.api.test_turns import dispatched, fetched, over
from tests.house import House, eventually
from tests.http import Api
from tests.tool_server import ToolServer

PLACES = pytest.mark.parametrize("place", ["tool", "wait"])
SLOW = 5_000
"""Milliseconds that the tool takes."""


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One whose agents may call tools on this machine."""
    built = House(tmp_path_factory.mktemp("house"), HOLDFAST_OUTBOUND_LOOPBACK="true")
    try:
        await built.open()
        yield built
    finally:
        await built.close()


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    async with ToolServer() as server:
        yield server


class Agent:
    """A conversation whose turn is in a place: its tool is at work, or nobody has published yet."""

    def __init__(self, api: Api, tools: ToolServer, place: str) -> None:
        self.api = api
        self.tools = tools
        self.place = place
        self.word = ids.new("word")
        self.channel = ids.channel()
        self.conversation = ""
        self.run = ""

    @property
    def equipment(self) -> dict[str, Any]:
        if self.place == "wait":
            schema = {"type": "object", "properties": {}}
            look = {"name": "look", "description": "looks", "parameters": schema}
            return {"functions": [look | {"result": {"channel": self.channel}}]}
        url = f"{self.tools.url}/slow={SLOW}/echo/{self.word}"
        ability = {"name": "look", "description": "looks", "instruction": f"```fetch\nGET {url}\n```"}
        return {"extensions": {"skillsets": [{"abilities": [ability]}]}}

    async def begin(self) -> None:
        self.conversation = await self.api.conversation()
        text = f"{self.word} [model calls=1 say=1 args=none]"
        self.run = await dispatched(self.api, self.conversation, text, **self.equipment)
        await eventually(self.at_work)

    async def at_work(self) -> None:
        run = await fetched(self.api, self.run)
        call = [step for step in run["steps"] if step["kind"] == "call"]
        assert [step["state"] for step in call] == ["waiting" if self.place == "wait" else "running"]
        assert self.place == "tool" or run.get("parkedAt")

    async def go_on(self) -> None:
        """The wait is over; a tool comes to its end by itself."""
        if self.place == "wait":
            await self.api.ok(f"/v1/channel/{self.channel}/publish", {"message": {"result": 7}})

    async def complete(self, text: str, **more: Any) -> dict[str, Any]:
        url = f"/v1/conversation/{self.conversation}/complete"
        answer: dict[str, Any] = await self.api.ok(url, {"text": text} | more)
        return answer


@PLACES
async def test_a_steer_is_read_after_what_the_agent_waits_for_and_does_not_end_it(
    house: House, api: Api, tools: ToolServer, place: str
) -> None:
    agent = Agent(api, tools, place)
    await agent.begin()

    run = await steered(api, agent.conversation, f"{agent.word} more {SHORT}")
    await agent.at_work()
    assert (await fetched(api, run))["state"] == "queued"
    await agent.go_on()

    assert await over(api, agent.run, run) == ["succeeded", "merged"]
    messages = await listed(api, agent.conversation)
    assert [message["type"] for message in messages] == ["user", "bot", "activity", "activity", "user", "bot"]
    assert messages[-1]["text"] == "t1 t2"
    call = (await house.calls(agent.word))[-1]
    assert call["prompts"][-1] == f"{agent.word} more {SHORT}"
    assert len(call["results"]) == 1
    if place == "tool":
        assert tools.calls[agent.word].executed == 1


@PLACES
async def test_a_batch_leaves_the_agent_alone_and_is_the_next_turn(
    house: House, api: Api, tools: ToolServer, place: str
) -> None:
    agent = Agent(api, tools, place)
    await agent.begin()

    first = await dispatched(api, agent.conversation, f"{agent.word} one", batchMs=6_000)
    second = await dispatched(api, agent.conversation, f"{agent.word} two {SHORT}")
    await agent.at_work()
    await agent.go_on()

    assert await over(api, agent.run, first, second) == ["succeeded", "succeeded", "merged"]
    kinds = [message["type"] for message in await listed(api, agent.conversation)]
    assert kinds == ["user", "bot", "activity", "activity", "bot", "user", "user", "bot"]
    *_, before, last = await house.calls(agent.word)
    assert not {f"{agent.word} one", f"{agent.word} two {SHORT}"} & {*before["prompts"]}
    assert last["prompts"][-2:] == [f"{agent.word} one", f"{agent.word} two {SHORT}"]


@PLACES
@pytest.mark.parametrize("how", ["cancel", "interrupt", "rollback"])
async def test_a_turn_that_is_ended_in_the_middle_leaves_a_conversation_that_can_go_on(
    house: House, api: Api, tools: ToolServer, place: str, how: str
) -> None:
    agent = Agent(api, tools, place)
    await agent.begin()
    joining = await steered(api, agent.conversation, "more")

    if how == "cancel":
        await api.ok(f"/v1/run/{joining}/cancel")
        await api.ok(f"/v1/run/{agent.run}/cancel")
        answer = await agent.complete(f"{agent.word} and now? {SHORT}")
    else:
        answer = await agent.complete(f"{agent.word} and now? {SHORT}", onBusy=how)
    again = await agent.complete(f"again {SHORT}")

    state = {"cancel": "canceled", "interrupt": "interrupted", "rollback": "rolled_back"}[how]
    assert await over(api, agent.run, joining) == [state] * 2
    assert (answer["end"], again["end"]) == ({"reason": "stop"}, {"reason": "stop"})
    before = {
        "cancel": ["user", "bot", "activity"],
        "interrupt": ["user", "bot", "activity", "user"],
        "rollback": [],
    }[how]
    kinds = [message["type"] for message in await listed(api, agent.conversation)]
    assert kinds == before + ["user", "bot"] * 2
    calls = [step for step in (await fetched(api, agent.run))["steps"] if step["kind"] == "call"]
    assert [(step["state"], step["errorCode"]) for step in calls] == [("failed", "ABANDONED")]
    if place == "wait":
        # What is published now is nobody's of these turns.
        await agent.go_on()
        assert len(await listed(api, agent.conversation)) == len(kinds)


@PLACES
async def test_who_steers_an_agent_gets_its_answer(api: Api, tools: ToolServer, place: str) -> None:
    agent = Agent(api, tools, place)
    await agent.begin()

    answering = asyncio.create_task(agent.complete(f"more {SHORT}", onBusy="steer"))
    streaming = asyncio.create_task(
        api.stream(
            f"/v1/conversation/{agent.conversation}/complete",
            {"text": f"and more {SHORT}", "onBusy": "steer"},
        )
    )
    await two_join(api, agent)
    await agent.go_on()
    answer, events = await answering, await streaming

    assert (answer["runId"], answer["text"]) == (agent.run, "t1 t2")
    assert events[-1]["data"] == answer
    assert events[0]["type"] == "completeBegin"


async def two_join(api: Api, agent: Agent) -> None:
    async def check() -> None:
        found = await api.get(f"/v1/run/list?conversationId={agent.conversation}&state=queued")
        assert len(found.body["items"]) == 2

    await eventually(check)
