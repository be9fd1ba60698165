"""What is OpenAI's own: its requests, and the liberties that servers of its format take."""

from __future__ import annotations

import aiohttp
import pytest

from activities.providers.openai import OpenAI
from domain.completion import Finish, ModelCall, Prompt, Token, Usage
from domain.errors import ModelBroken, ModelBusy, ModelError, ModelRefused, ModelUnavailable
from domain.model import parse
from tests.activities.providers.dialects import DONE, OPENAI, STOP, Dialect, event, text
from tests.activities.providers.recorded import HEAD, IDLE, KEY, Ask, Play, Recorded, call, joined, whole
from tests.model_server import ModelServer


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    return OPENAI


async def test_the_other_name_of_reasoning_is_understood_and_a_refusal_is_the_answer(play: Play) -> None:
    deltas = [{"reasoning": "hm"}, {"content": None, "refusal": "No."}]
    tokens, _ = await play(b"".join(event(choices=[{"delta": delta}]) for delta in deltas) + STOP + DONE)
    assert tokens == [Token(text="hm", reasoning=True), Token(text="No.")]


async def test_an_answer_may_end_without_its_done_marker_and_without_usage(ask: Ask, play: Play) -> None:
    tokens, _ = await ask("[model tokens=3 nodone]")
    assert joined(tokens) == "t1 t2 t3"
    assert await play(text("a") + STOP) == ([Token(text="a")], Finish(reason="stop", usage=Usage()))


async def test_data_may_come_in_several_lines(play: Play) -> None:
    lines = b'data:{"choices":\ndata: [{"delta":\ndata:{"content":"!"}}]}\n\n'
    assert (await play(lines + STOP + DONE))[0] == [Token(text="!")]


async def test_what_follows_the_cut_in_the_same_chunk_is_cut_too(
    recorded: Recorded, session: aiohttp.ClientSession
) -> None:
    recorded.pieces = [
        HEAD,
        event(choices=[{"delta": {"reasoning": "é€ab", "content": "and much more"}}]) + STOP + DONE,
    ]
    tokens, finish = await whole(OPENAI.provider(session, recorded.url, most=3).stream(call("hi")))
    assert (joined(tokens), finish.reason) == ("é", "length")


@pytest.mark.parametrize("usage", [["odd"], {"prompt_tokens": "3", "completion_tokens": -1}])
async def test_usage_that_makes_no_sense_counts_nothing(play: Play, usage: object) -> None:
    _, finish = await play(text("a") + event(choices=[], usage=usage) + STOP + DONE)
    assert finish.usage == Usage()


async def test_done_without_a_finish_reason_is_no_answer(play: Play) -> None:
    with pytest.raises(ModelBroken, match="not finished"):
        await play(text("a") + DONE)


@pytest.mark.parametrize(
    ("error", "named"),
    [
        ({"code": 502}, ModelUnavailable),
        ({"code": 429}, ModelBusy),
        ({"code": "429"}, ModelBusy),
        ({"type": "requests", "code": "rate_limit_exceeded"}, ModelBusy),
        ({"code": 400, "type": "BadRequestError"}, ModelRefused),
        ({"code": "context_length_exceeded"}, ModelRefused),
    ],
)
async def test_an_error_within_the_stream_is_named_by_its_code_too(
    play: Play, error: dict[str, object], named: type[ModelError]
) -> None:
    with pytest.raises(ModelError, match="it fell over") as caught:
        await play(text("a") + event(error={**error, "message": "it fell over"}))
    assert type(caught.value) is named


async def test_the_request_carries_the_prompts_and_the_parameters_in_the_providers_spelling(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    name = (
        "gpt-4o/temperature=0.5/topP=1/presencePenalty=1/frequencyPenalty=-1/seed=7/stop=5/topK=4/maxTokens=9"
    )
    prompts = (Prompt(role="system", text="Be brief."), Prompt(role="user", text="[model tokens=1]"))
    await whole(
        OpenAI(session, model.url + "/v1/", KEY, IDLE, 100).stream(
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
    await whole(OpenAI(session, model.url + "/v1", KEY, IDLE, 100).stream(call("[model tokens=1]", name)))
    ours = {"model", "stream", "stream_options"}
    return {key: value for key, value in model.calls[0].parameters.items() if key not in ours}


async def test_without_a_key_there_is_no_authorization(
    model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    await whole(OpenAI(session, model.url + "/v1", "", IDLE, 100).stream(call("[model tokens=1]")))
    assert model.calls[0].authorization == ""
