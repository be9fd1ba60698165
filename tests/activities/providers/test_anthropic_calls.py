"""What is Anthropic's own about calls: its turns, thinking that comes back, tools that cannot be forced."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from activities.providers import Provider
from activities.providers.anthropic_turns import GOING_ON
from activities.providers.anthropic_turns import asked as request
from domain.completion import Finish, ModelCall, Prompt, Token, ToolCall
from domain.model import parse
from tests import claude
from tests.activities.providers.dialects import ANTHROPIC, USAGE, Dialect
from tests.activities.providers.recorded import HEAD, Hear, Recorded, asked, joined, user, whole, with_tools
from tests.model_server import ModelServer

NAME = "claude-opus-5-5"
BUDGET = "claude-haiku-4-5/thinkingBudget=2048"
MADE = Finish(reason="calls", usage=USAGE, calls=(ToolCall(name="lookup", arguments='{"n": 1}'),))


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    return ANTHROPIC


@pytest.fixture
def provider(dialect: Dialect, model: ModelServer, session: aiohttp.ClientSession) -> Provider:
    model.reset()
    return dialect.provider(session, model.url)


async def said(provider: Provider, *prompts: Prompt, name: str = NAME) -> tuple[Prompt, ...]:
    """The prompts, the model's next message and the results of its calls."""
    tokens, finish = await whole(provider.stream(with_tools(*prompts, name=name)))
    text = joined([token for token in tokens if not token.reasoning])
    return (*prompts, *asked(finish, text))


async def test_thinking_comes_back_unchanged_in_every_round(provider: Provider, model: ModelServer) -> None:
    prompts: tuple[Prompt, ...] = (
        Prompt(role="system", text="Be brief."),
        user("[model calls=2 rounds=3 reasoning=2 say=2 tokens=1]"),
    )
    for _ in range(4):
        prompts = await said(provider, *prompts)

    assert prompts[-1].text == "t1"
    hidden = {"type": "redacted_thinking", "data": "not for readers"}
    thinking = [(block["type"], block.get("thinking")) for block in model.calls[-1].carried]
    assert thinking == [("thinking", "r1 r2"), (hidden["type"], None)] * 3
    assert model.calls[-1].carried[1] == hidden


@pytest.mark.parametrize("change", ["system", "tools", "earlier", "model", "text", "calls"])
async def test_thinking_stays_away_where_what_came_before_it_was_changed(
    provider: Provider, model: ModelServer, change: str
) -> None:
    system, ask = Prompt(role="system", text="Be brief."), user("[model calls=1 reasoning=1 say=2 tokens=1]")
    _, _, made, *results = await said(provider, system, ask)
    call = with_tools(system, ask, made, *results, name="claude-fable-5-1" if change == "model" else NAME)
    prompts: dict[str, tuple[Prompt, ...]] = {
        "system": (Prompt(role="system", text="Speak French."), ask, made, *results),
        "earlier": (system, user("Hello!"), Prompt(role="assistant", text="Hi!"), ask, made, *results),
        "text": (system, ask, made.model_copy(update={"text": "t1"}), *results),
        "calls": (system, ask, made.model_copy(update={"calls": made.calls * 2}), *results, *results),
    }
    changed = {"prompts": prompts.get(change, call.prompts)}
    if change == "calls":
        twice = tuple((f"call_{at}", asked_) for at, (_, asked_) in enumerate(made.calls * 2))
        answers = [Prompt(role="tool", text="ok", call_id=id_) for id_, _ in twice]
        changed["prompts"] = (system, ask, made.model_copy(update={"calls": twice}), *answers)
    tools = {"tools": call.tools[:1]} if change == "tools" else {}

    await whole(provider.stream(call.model_copy(update={**changed, **tools})))

    assert len(model.calls) == 2
    assert model.calls[1].carried == []


async def test_blocks_come_back_in_their_order_without_the_blank_ones(
    recorded: Recorded, session: aiohttp.ClientSession
) -> None:
    thought = {"type": "thinking", "thinking": "", "signature": "abc"}
    recorded.pieces = [
        HEAD,
        claude.begin("claude"),
        claude.event("content_block_start", index=0, content_block=thought),
        claude.closed(0),
        claude.opened(1, "text"),
        claude.delta(1, "text", "\n\n"),
        claude.closed(1),
        claude.hidden(2, "xyz"),
        claude.opened(3, "text"),
        claude.delta(3, "text", "Look: "),
        claude.closed(3),
        claude.hidden(4, "zyx"),
        claude.called(5, "lookup"),
        claude.closed(5),
        claude.changed("tool_use"),
        claude.STOPPED,
    ]
    provider = ANTHROPIC.provider(session, recorded.url)
    tokens, finish = await whole(provider.stream(with_tools(user("hi"), name=NAME)))

    body = request(with_tools(user("hi"), *asked(finish, joined(tokens)), name=NAME)).body

    assert body["messages"] == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "content": [
                thought,
                {"type": "redacted_thinking", "data": "xyz"},
                {"type": "text", "text": "Look: "},
                {"type": "redacted_thinking", "data": "zyx"},
                {"type": "tool_use", "id": "call00001", "name": "lookup", "input": {}},
            ],
        },
        {
            "role": "user",
            "content": [{"type": "tool_result", "tool_use_id": "call00001", "content": "call_1 of lookup"}],
        },
    ]


async def test_an_answer_without_thinking_wants_nothing_back(hear: Hear) -> None:
    _, finish = await hear(ANTHROPIC.answer([Token(text="a")], calls=MADE.calls))
    assert finish.carry is None


@pytest.mark.parametrize(
    ("prompts", "kept"),
    [
        ((user("hi"),), True),
        ((user("hi"), *asked(MADE)), False),
        ((user("hi"), *asked(MADE), user("[model tokens=1]")), False),
        ((user("hi"), *asked(MADE), Prompt(role="assistant", text="ok"), user("so?")), True),
    ],
)
async def test_a_turn_that_began_without_thinking_goes_on_without_where_thinking_has_a_budget(
    provider: Provider, model: ModelServer, prompts: tuple[Prompt, ...], kept: bool
) -> None:
    await whole(provider.stream(with_tools(*prompts, name=BUDGET)))
    assert ("thinking" in model.calls[0].parameters) == kept


async def test_a_turn_that_began_with_thinking_goes_on_with_it(
    provider: Provider, model: ModelServer
) -> None:
    ask = user("[model calls=1 rounds=2 reasoning=1 tokens=1]")
    prompts: tuple[Prompt, ...] = (ask,)
    for _ in range(3):
        prompts = await said(provider, *prompts, name=BUDGET)
    assert all("thinking" in seen.parameters for seen in model.calls)


@pytest.mark.parametrize(
    ("name", "thinks"),
    [(BUDGET, False), ("claude-opus-4-6/thinking=adaptive", True), ("anthropic:qwen3", False)],
)
async def test_a_forced_tool_goes_before_a_thinking_budget(
    provider: Provider, model: ModelServer, name: str, thinks: bool
) -> None:
    _, finish = await whole(provider.stream(with_tools(user("hi"), name=name, must_call="send")))

    assert model.calls[0].parameters["tool_choice"] == {"type": "tool", "name": "send"}
    assert ("thinking" in model.calls[0].parameters) == thinks
    assert [made.name for made in finish.calls] == ["send"]


@pytest.mark.parametrize("name", ["claude-opus-5-5", "claude-sonnet-5-5", "claude-fable-5-2"])
async def test_models_that_cannot_be_forced_are_asked_and_offered_nothing_else(
    provider: Provider, model: ModelServer, name: str
) -> None:
    system = Prompt(role="system", text="Be brief.")
    await whole(provider.stream(with_tools(system, user("hi"), name=name, must_call="send")))

    (seen,) = model.calls
    assert (seen.tools, "tool_choice" in seen.parameters) == (["send"], False)
    assert seen.prompts[0] == "Be brief.\n\nCall the tool `send` now, before anything else."


async def test_tools_of_the_past_are_shown_and_may_not_be_called(
    provider: Provider, model: ModelServer
) -> None:
    past = (user("hi"), *asked(MADE))
    await whole(provider.stream(ModelCall(model=parse(NAME), prompts=past)))

    assert (model.calls[0].tools, model.calls[0].must) == (["lookup"], "none")


async def test_results_and_messages_are_one_turn_and_turns_alternate(
    provider: Provider, model: ModelServer
) -> None:
    spoken = Prompt(role="assistant", text="ok")
    await whole(
        provider.stream(
            with_tools(user("one"), user("two"), *asked(MADE), user("three"), spoken, spoken, name=NAME)
        )
    )
    assert model.calls[0].prompts == [
        "one",
        "two",
        "call_1 of lookup",
        "three",
        "ok",
        GOING_ON,
        "ok",
        GOING_ON,
    ]


async def test_arguments_may_come_all_at_once_and_other_tools_run_elsewhere(hear: Hear) -> None:
    block: dict[str, Any] = {"type": "tool_use", "id": "x", "name": "lookup", "input": {"n": 1}}
    elsewhere = {"type": "server_tool_use", "id": "y", "name": "web_search", "input": {}}
    _, finish = await hear(
        [
            claude.begin("claude"),
            claude.event("content_block_start", index=0, content_block=elsewhere),
            claude.argued(0, '{"query"'),
            claude.closed(0),
            claude.event("content_block_start", index=1, content_block=block),
            claude.closed(1),
            claude.changed("end_turn"),
            claude.STOPPED,
        ]
    )
    assert finish.calls == (ToolCall(name="lookup", arguments='{"n": 1}'),)
