"""The toy model that comes with the server: what a newcomer sees of tools."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web

from activities.providers.openai import OpenAI
from deploy import demo_model
from domain.completion import ToolCall
from tests.activities.providers.recorded import asked, joined, user, whole, with_tools


@pytest.fixture
async def toy() -> AsyncIterator[OpenAI]:
    runner = web.AppRunner(demo_model.app())
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with aiohttp.ClientSession() as session:
        yield OpenAI(session, f"http://127.0.0.1:{runner.addresses[0][1]}/v1", "", 5, 100_000)
    await runner.cleanup()


TEXT = 'Please\ncall lookup {"city": "Rome"}\ncall send\ncall nobody {}\n[demo delay=0]'


async def test_the_toy_calls_what_the_message_names_and_says_what_came_back(toy: OpenAI) -> None:
    tokens, finish = await whole(toy.stream(with_tools(user(TEXT))))
    assert tokens == []
    assert finish.calls == (
        ToolCall(name="lookup", arguments='{"city": "Rome"}'),
        ToolCall(name="send", arguments="{}"),
    )

    tokens, finish = await whole(toy.stream(with_tools(user(TEXT), *asked(finish))))
    assert joined(tokens) == "The tools answered: call_1 of lookup call_2 of send"
    assert finish.reason == "stop"


async def test_the_toy_calls_what_it_must_and_nothing_that_was_not_offered(toy: OpenAI) -> None:
    _, forced = await whole(toy.stream(with_tools(user("hi [demo delay=0]"), must_call="send")))
    assert [call.name for call in forced.calls] == ["send"]

    call = with_tools(user("call lookup {}\n[demo delay=0]")).model_copy(update={"tools": ()})
    _, finish = await whole(toy.stream(call))
    assert (finish.reason, finish.calls) == ("stop", ())
