"""What is Anthropic's own: its requests, and how its messages are put together."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from activities.providers.anthropic import VERSION, Anthropic
from activities.providers.anthropic_turns import GOING_ON, OPENING
from domain.completion import ModelCall, Prompt, Role, Token, Usage
from domain.errors import ModelBroken, ModelRefused
from domain.model import parse
from tests import claude
from tests.activities.providers.dialects import ANTHROPIC, Dialect
from tests.activities.providers.recorded import IDLE, KEY, Ask, Hear, Play, call, joined, whole
from tests.model_server import Call, ModelServer

OURS = {"model", "stream", "max_tokens"}


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    return ANTHROPIC


async def seen(
    model: ModelServer,
    session: aiohttp.ClientSession,
    *prompts: tuple[Role, str],
    name: str = "claude-sonnet-5-5",
) -> Call:
    """The call as it reaches the server."""
    model.reset()
    said = tuple(Prompt(role=role, text=text) for role, text in prompts or (("user", "hi"),))
    provider = Anthropic(session, model.url, KEY, IDLE, 1_000_000)
    await whole(provider.stream(ModelCall(model=parse(name), prompts=said)))
    (call,) = model.calls
    return call


async def parameters(model: ModelServer, session: aiohttp.ClientSession, name: str) -> dict[str, Any]:
    call = await seen(model, session, name=name)
    return {key: value for key, value in call.parameters.items() if key not in OURS}


# Requests.


async def test_the_request_carries_the_key_the_version_and_the_parameters_in_the_providers_spelling(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    name = "claude-haiku-4-5/temperature=0.5/topP=1/topK=4/stop=5/maxTokens=9"
    more = "/reasoningEffort=low/serviceTier=auto"
    call = await seen(model, session, ("system", "Be brief."), ("user", "[model tokens=1]"), name=name + more)

    assert call.prompts == ["Be brief.", "[model tokens=1]"]
    assert (call.authorization, call.version) == (KEY, VERSION)
    assert call.parameters == {
        "model": "claude-haiku-4-5",
        "stream": True,
        "temperature": 0.5,
        "top_p": 1,
        "top_k": 4,
        "stop_sequences": ["5"],
        "max_tokens": 9,
        "output_config": {"effort": "low"},
        "service_tier": "auto",
    }


async def test_without_a_key_none_is_sent_and_a_base_url_may_end_in_a_slash(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    await whole(Anthropic(session, model.url + "/", "", IDLE, 100).stream(call("[model tokens=1]")))
    assert model.calls[0].authorization == ""


@pytest.mark.parametrize(
    ("name", "most"),
    [
        ("claude-sonnet-5-5", 128_000),
        ("claude-haiku-4-5", 64_000),
        ("claude-haiku-4-5-20251001", 32_000),
        ("claude-of-tomorrow", 32_000),
        ("claude-of-tomorrow/thinkingBudget=2048", 34_048),
        ("anthropic:qwen3", 4_096),
        ("anthropic:qwen3/thinkingBudget=8000", 12_096),
        ("claude-sonnet-5-5/maxTokens=7", 7),
        ("claude-sonnet-5-5/max_tokens=7/thinking=adaptive", 7),
    ],
)
async def test_a_model_may_say_all_it_can_unless_the_caller_says_less(
    model: ModelServer, session: aiohttp.ClientSession, name: str, most: int
) -> None:
    assert (await seen(model, session, name=name)).parameters["max_tokens"] == most


@pytest.mark.parametrize(
    ("name", "thinking"),
    [
        ("claude-opus-5-5", None),
        ("claude-opus-5-5/thinking=adaptive", {"type": "adaptive", "display": "summarized"}),
        ("claude-haiku-5-5/thinking=disabled", {"type": "disabled"}),
        ("claude-haiku-4-5/thinkingBudget=2048", {"type": "enabled", "budget_tokens": 2048}),
        (
            "claude-haiku-4-5/thinking=enabled/thinking_budget=2048",
            {"type": "enabled", "budget_tokens": 2048},
        ),
    ],
)
async def test_thinking_is_asked_for_by_its_kind_or_its_budget(
    model: ModelServer, session: aiohttp.ClientSession, name: str, thinking: object
) -> None:
    assert (await parameters(model, session, name)).get("thinking") == thinking


async def test_all_instructions_are_the_system_prompt_in_their_order(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    call = await seen(
        model,
        session,
        ("system", "Be brief."),
        ("user", "one"),
        ("assistant", "two"),
        ("system", "Speak French."),
        ("user", "three"),
        ("user", "four"),
        ("system", "Now Dutch."),
    )

    assert call.prompts == ["Be brief.\n\nSpeak French.\n\nNow Dutch.", "one", "two", "three", "four"]


@pytest.mark.parametrize(
    ("prompts", "turns"),
    [
        ([], [OPENING]),
        ([("system", "Greet.")], ["Greet.", OPENING]),
        ([("assistant", "Hello!")], [OPENING, "Hello!", GOING_ON]),
        ([("assistant", "Hello!"), ("user", "hi")], [OPENING, "Hello!", "hi"]),
        ([("assistant", "Hello!"), ("assistant", "Hm.")], [OPENING, "Hello!", GOING_ON, "Hm.", GOING_ON]),
        ([("user", "hi"), ("assistant", "Hello!")], ["hi", "Hello!", GOING_ON]),
        ([("user", "hi"), ("assistant", " \n"), ("user", "")], ["hi"]),
        ([("system", "\n"), ("user", "hi")], ["hi"]),
    ],
)
async def test_the_user_has_the_first_word_and_the_last_and_blank_ones_are_left_out(
    model: ModelServer, session: aiohttp.ClientSession, prompts: list[tuple[Role, str]], turns: list[str]
) -> None:
    provider = Anthropic(session, model.url, KEY, IDLE, 1_000_000)
    said = tuple(Prompt(role=role, text=text) for role, text in prompts)
    model.reset()
    await whole(provider.stream(ModelCall(model=parse("claude-sonnet-5-5"), prompts=said)))

    assert model.calls[0].prompts == turns


async def test_what_the_server_does_not_take_is_told_in_its_words(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    with pytest.raises(ModelRefused, match="model server: the body must be JSON"):
        await seen(model, session, name="claude-sonnet-5-5/maxTokens=lots")


# Answers.


async def test_input_tokens_are_all_that_were_read_from_a_cache_or_not(hear: Hear) -> None:
    begin = claude.begin(
        "claude",
        input_tokens=3,
        cache_creation_input_tokens=20,
        cache_read_input_tokens=100,
        output_tokens=1,
    )
    said = [claude.opened(0, "text"), claude.delta(0, "text", "a"), claude.closed(0)]
    _, told_at_the_start = await hear(
        [begin, *said, claude.changed("end_turn", output_tokens=7), claude.STOPPED]
    )
    counts: dict[str, Any] = {
        "input_tokens": 5,
        "cache_creation_input_tokens": None,
        "cache_read_input_tokens": 200,
        "output_tokens": 8,
    }
    changed = claude.changed("end_turn", **counts)
    _, told_again_at_the_end = await hear([begin, *said, changed, claude.STOPPED])

    assert told_at_the_start.usage == Usage(input_tokens=123, output_tokens=7)
    assert told_again_at_the_end.usage == Usage(input_tokens=225, output_tokens=8)


async def test_an_answer_that_broke_off_has_cost_what_was_told_of_it(hear: Hear) -> None:
    with pytest.raises(ModelBroken) as broken:
        await hear([claude.begin("claude", input_tokens=3, cache_read_input_tokens=100, output_tokens=1)])

    assert broken.value.usage == Usage(input_tokens=103, output_tokens=1)


@pytest.mark.parametrize("usage", [{"input_tokens": -1, "output_tokens": 2.5}, {"input_tokens": "3"}, {}])
async def test_usage_that_makes_no_sense_counts_nothing(hear: Hear, usage: dict[str, Any]) -> None:
    _, finish = await hear([claude.begin("claude", **usage), claude.changed("end_turn"), claude.STOPPED])
    assert finish.usage == Usage()


async def test_a_count_is_never_larger_than_what_is_kept(hear: Hear) -> None:
    begin = claude.begin("claude", input_tokens=2**31 - 1, cache_read_input_tokens=2**40)
    _, finish = await hear([begin, claude.changed("end_turn"), claude.STOPPED])
    assert finish.usage.input_tokens == 2**31 - 1


async def test_a_block_may_begin_with_text_and_other_kinds_of_blocks_say_nothing(hear: Hear) -> None:
    started = {"type": "text", "text": "Well", "citations": None}
    hidden = {"type": "redacted_thinking", "data": "abc"}
    tokens, _ = await hear(
        [
            claude.begin("claude"),
            claude.event(
                "content_block_start", index=0, content_block={"type": "thinking", "thinking": "hm"}
            ),
            claude.event(
                "content_block_delta", index=0, delta={"type": "signature_delta", "signature": "abc"}
            ),
            claude.closed(0),
            claude.event("content_block_start", index=1, content_block=hidden),
            claude.closed(1),
            claude.event("content_block_start", index=2, content_block=started),
            claude.event("content_block_delta", index=2, delta={"type": "citations_delta", "citation": {}}),
            claude.delta(2, "text", ", hello"),
            claude.closed(2),
            claude.changed(None),
            claude.changed("end_turn"),
            claude.STOPPED,
        ]
    )
    assert tokens == [Token(text="hm", reasoning=True), Token(text="Well"), Token(text=", hello")]


BEGUN, OPEN, SAID, CLOSED = (
    claude.begin("claude"),
    claude.opened(0, "text"),
    claude.delta(0, "text", "a"),
    claude.closed(0),
)
NUMBERLESS = [event.replace(b'"index": 0', b'"index": null') for event in (OPEN, SAID, CLOSED)]


@pytest.mark.parametrize(
    "events",
    [
        [OPEN, SAID, CLOSED],
        [BEGUN, BEGUN, OPEN, SAID, CLOSED],
        [BEGUN, SAID],
        [BEGUN, OPEN, CLOSED, SAID],
        [BEGUN, OPEN, claude.delta(1, "text", "a"), CLOSED],
        [BEGUN, OPEN, SAID, claude.closed(1)],
        [BEGUN, OPEN, SAID],
        [BEGUN, OPEN, OPEN, SAID, CLOSED],
        [BEGUN, *NUMBERLESS],
    ],
)
async def test_blocks_come_one_after_the_other_within_the_message(hear: Hear, events: list[bytes]) -> None:
    with pytest.raises(ModelBroken, match=r"out of order|without a number"):
        await hear([*events, claude.changed("end_turn"), claude.STOPPED])


async def test_a_message_without_its_stop_is_no_answer(ask: Ask) -> None:
    with pytest.raises(ModelBroken, match="without its end marker"):
        await ask("[model tokens=3 nodone]")


async def test_a_stop_without_a_reason_is_no_answer(play: Play) -> None:
    with pytest.raises(ModelBroken, match="not finished"):
        await play(claude.begin("claude") + claude.changed(None) + claude.STOPPED)


async def test_chunks_of_another_format_are_no_answer(play: Play) -> None:
    with pytest.raises(ModelBroken):
        await play(
            b'data: {"choices": [{"delta": {"content": "a"}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
        )


async def test_the_server_may_decline_in_the_middle(hear: Hear) -> None:
    tokens, finish = await hear(ANTHROPIC.answer([Token(text="It is ")], "refusal"))
    assert (joined(tokens), finish.reason) == ("It is ", "stop")
