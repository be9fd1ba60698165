"""The OpenAI wire format against a real server: whole answers, requests, limits, connections."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import aiohttp
import pytest

from activities.providers import Providers
from activities.providers.openai import OpenAI
from activities.providers.sse import EVENT_BYTES
from domain.completion import Finish, ModelCall, Prompt, Token, Usage
from domain.errors import ModelBroken
from domain.model import parse
from tests.activities.providers.recorded import (
    DONE,
    HEAD,
    IDLE,
    KEY,
    STOP,
    USAGE,
    Ask,
    Play,
    Recorded,
    call,
    event,
    eventually,
    joined,
    text,
    whole,
)
from tests.model_server import ModelServer


async def test_an_answer_is_its_tokens_in_order_and_one_finish(ask: Ask) -> None:
    tokens, finish = await ask("[model tokens=1000]")
    assert joined(tokens) == " ".join(f"t{n}" for n in range(1, 1001))
    assert len(tokens) == 1000
    assert finish == Finish(reason="stop", usage=Usage(input_tokens=2, output_tokens=1000))


async def test_reasoning_comes_as_tokens_marked_so(ask: Ask) -> None:
    tokens, _ = await ask("[model reasoning=2 tokens=1]")
    assert tokens == [Token(text="r1", reasoning=True), Token(text=" r2", reasoning=True), Token(text="t1")]


async def test_the_other_name_of_reasoning_is_understood_and_a_refusal_is_the_answer(play: Play) -> None:
    deltas = [{"reasoning": "hm"}, {"content": None, "refusal": "No."}]
    tokens, _ = await play(b"".join(event(choices=[{"delta": delta}]) for delta in deltas) + STOP + DONE)
    assert tokens == [Token(text="hm", reasoning=True), Token(text="No.")]


@pytest.mark.parametrize(
    ("said", "means"), [("stop", "stop"), ("length", "length"), ("content_filter", "stop")]
)
async def test_the_finish_reason_is_told(ask: Ask, said: str, means: str) -> None:
    _, finish = await ask(f"[model tokens=1 finish={said}]")
    assert finish.reason == means


async def test_an_answer_may_end_without_its_done_marker_and_without_usage(ask: Ask, play: Play) -> None:
    tokens, _ = await ask("[model tokens=3 nodone]")
    assert joined(tokens) == "t1 t2 t3"
    assert await play(text("a") + STOP) == ([Token(text="a")], Finish(reason="stop", usage=Usage()))


async def test_what_postgres_cannot_keep_is_replaced(ask: Ask) -> None:
    tokens, _ = await ask("[model tokens=2 nul]")
    assert joined(tokens) == "\ufffd\ufffdt1\ufffd\ufffd t2"


async def test_characters_cut_by_the_network_stay_whole(ask: Ask) -> None:
    tokens, _ = await ask("[model tokens=3 split]")
    assert [token.text for token in tokens] == ["é€😀t1", "é€😀 t2", "é€😀 t3"]


async def test_the_request_carries_the_prompts_and_the_parameters_in_the_providers_spelling(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    name = (
        "gpt-4o/temperature=0.5/topP=1/presencePenalty=1/frequencyPenalty=-1/seed=7/stop=5/topK=4/maxTokens=9"
    )
    prompts = (Prompt(role="system", text="Be brief."), Prompt(role="user", text="[model tokens=1]"))
    await whole(
        OpenAI(session, model.base_url + "/", KEY, IDLE, 100).stream(
            ModelCall(model=parse(name), prompts=prompts)
        )
    )
    (seen,) = model.calls
    assert seen.prompts == ["Be brief.", "[model tokens=1]"]
    assert seen.authorization == f"Bearer {KEY}"
    assert seen.parameters == {
        "model": "gpt-4o",
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.5,
        "top_p": 1,
        "presence_penalty": 1,
        "frequency_penalty": -1,
        "seed": 7,
        "stop": "5",
        "top_k": 4,
        "max_tokens": 9,
    }


@pytest.mark.parametrize(
    "name", ["gpt-5", "gpt-5-mini", "gpt-5.1", "gpt-4.1-nano", "o1", "o3-pro", "o4-mini"]
)
async def test_newer_openai_models_get_the_newer_name_of_max_tokens(
    model: ModelServer, session: aiohttp.ClientSession, name: str
) -> None:
    assert await parameters(model, session, f"{name}/maxTokens=9/reasoningEffort=low") == {
        "max_completion_tokens": 9,
        "reasoning_effort": "low",
    }


@pytest.mark.parametrize("name", ["gpt-4", "gpt-4o-mini", "gpt-oss-20b", "olmo-2", "o1lama", "meta/Llama-3"])
async def test_other_models_get_the_name_of_max_tokens_that_every_server_knows(
    model: ModelServer, session: aiohttp.ClientSession, name: str
) -> None:
    assert await parameters(model, session, f"{name}/max_tokens=9") == {"max_tokens": 9}


async def parameters(model: ModelServer, session: aiohttp.ClientSession, name: str) -> dict[str, object]:
    model.reset()
    await whole(OpenAI(session, model.base_url, KEY, IDLE, 100).stream(call("[model tokens=1]", name)))
    ours = {"model", "stream", "stream_options"}
    return {key: value for key, value in model.calls[0].parameters.items() if key not in ours}


async def test_without_a_key_there_is_no_authorization(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    await whole(OpenAI(session, model.base_url, "", IDLE, 100).stream(call("[model tokens=1]")))
    assert model.calls[0].authorization == ""


async def test_a_proxy_in_the_environment_is_not_used(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert joined((await ask("[model tokens=1]"))[0]) == "t1"


async def test_a_model_string_picks_its_provider(session: aiohttp.ClientSession) -> None:
    openai = OpenAI(session, "http://127.0.0.1:1", "", IDLE, 100)
    assert Providers(openai=openai).pick(parse("gpt-5")) is openai


async def test_an_endless_answer_is_cut_at_its_bytes(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    provider = OpenAI(session, model.base_url, KEY, IDLE, 100_000)
    tokens, finish = await whole(provider.stream(call("[model endless]")))
    assert len(joined(tokens)) == 100_000
    assert finish == Finish(reason="length", usage=Usage())
    await eventually(lambda: model.calls[0].closed_by_client)


@pytest.mark.parametrize(("most", "kept"), [(6, "é€a"), (5, "é€"), (4, "é"), (3, "é"), (2, "é"), (1, "")])
async def test_the_cut_never_splits_a_character(
    recorded: Recorded, session: aiohttp.ClientSession, most: int, kept: str
) -> None:
    recorded.pieces = [HEAD, text("é€ab").replace(b"null", b'"stop"') + DONE]
    tokens, finish = await whole(OpenAI(session, recorded.base_url, KEY, IDLE, most).stream(call("hi")))
    assert (joined(tokens), finish.reason) == (kept, "length")


async def test_an_answer_of_just_the_allowed_size_is_whole(
    recorded: Recorded, session: aiohttp.ClientSession
) -> None:
    recorded.pieces = [HEAD, text("é€") + STOP + USAGE + DONE]
    tokens, finish = await whole(OpenAI(session, recorded.base_url, KEY, IDLE, 5).stream(call("hi")))
    assert joined(tokens) == "é€"
    assert finish == Finish(reason="stop", usage=Usage(input_tokens=3, output_tokens=2))


async def test_an_endless_event_is_broken(play: Play) -> None:
    with pytest.raises(ModelBroken, match="larger than"):
        await play(b"data: " + b"x" * (EVENT_BYTES + 1))


async def test_a_caller_that_stops_early_closes_the_connection(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    provider = OpenAI(session, model.base_url, KEY, 60, 1_000_000)
    async with aclosing(provider.stream(call("[model tokens=9 stall=5]"))) as stream:
        assert await anext(stream) == Token(text="t1")
    await eventually(lambda: model.calls[0].closed_by_client)


@pytest.mark.parametrize("directive", ["stall=5 tokens=9", "first=60000"])
async def test_a_cancelled_caller_closes_the_connection(
    model: ModelServer, session: aiohttp.ClientSession, directive: str
) -> None:
    model.reset()
    provider = OpenAI(session, model.base_url, KEY, 60, 1_000_000)
    asking = asyncio.create_task(whole(provider.stream(call(f"[model {directive}]"))))
    await eventually(lambda: len(model.calls) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await eventually(lambda: model.calls[0].closed_by_client)


async def test_a_whole_answer_leaves_its_connection_to_the_next_call(model: ModelServer) -> None:
    opened: list[object] = []

    async def note(*_: object) -> None:
        opened.append(_)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        provider = OpenAI(session, model.base_url, KEY, IDLE, 1_000_000)
        for _ in range(3):
            await whole(provider.stream(call("[model tokens=50]")))
    assert len(opened) == 1
