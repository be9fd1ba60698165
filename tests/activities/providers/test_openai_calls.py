"""How freely servers of OpenAI's format tell of calls, and what thoughts they want back with them."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from activities.providers.openai_messages import SEEN
from domain.completion import Finish, Prompt, Token, ToolCall, Usage
from tests.activities.providers.dialects import DONE, OPENAI, STOP, Dialect, asks, event
from tests.activities.providers.recorded import Hear, asked, user, whole, with_tools
from tests.model_server import ModelServer


@pytest.fixture(scope="module")
def dialect() -> Dialect:
    return OPENAI


def piece(
    name: str | None = None, arguments: object = None, *, index: int | None = None, id_: str | None = None
) -> dict[str, Any]:
    """A piece of a call, with what is given."""
    parts = {"index": index, "id": id_, "function": {"name": name, "arguments": arguments}}
    return {key: part for key, part in parts.items() if part is not None}


A, B = '{"a": 1}', '{"b": 2}'
BOTH = [("lookup", A), ("send", B)]
TWICE = [("lookup", A), ("lookup", A)]


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        pytest.param(
            [[piece("lookup", A, id_="x")], [piece("send", B, id_="y")]], BOTH, id="no numbers, but ids"
        ),
        pytest.param(
            [[piece("lookup", "", id_="x")], [piece(None, A[:3])], [piece(None, A[3:])]],
            BOTH[:1],
            id="no numbers, the id once",
        ),
        pytest.param(
            [[piece("lookup", A[:3], id_="x")], [piece(None, A[3:], id_="x")], [piece("send", B, id_="y")]],
            BOTH,
            id="no numbers, the id each time",
        ),
        pytest.param(
            [[piece("lookup", A), piece("lookup", A)]], TWICE, id="neither numbers nor ids, in one chunk"
        ),
        pytest.param(
            [[piece("lookup", A)], [piece("lookup", A)]], TWICE, id="neither numbers nor ids, in two chunks"
        ),
        pytest.param(
            [[piece("lookup", "")], [piece("send", "")]],
            [("lookup", "{}"), ("send", "{}")],
            id="neither numbers, ids nor arguments",
        ),
        pytest.param(
            [[piece("lookup", "")], [piece("lookup", A[:3])], [piece("lookup", A[3:])], [piece("send", B)]],
            BOTH,
            id="neither numbers nor ids, the name each time",
        ),
        pytest.param(
            [[piece("lookup", A, index=0, id_="x"), piece("send", B, index=0, id_="y")]],
            BOTH,
            id="all numbered 0, with ids",
        ),
        pytest.param(
            [[piece("lookup", A[:3], index=0, id_="x")], [piece("lookup", A[3:], index=0, id_="y")]],
            BOTH[:1],
            id="another id and the name each time",
        ),
        pytest.param(
            [[piece("lookup", A[:3], index=0, id_="x")], [piece(None, A[3:], index=0, id_="y")]],
            BOTH[:1],
            id="another id each time",
        ),
        pytest.param(
            [[piece("lookup", A[:3], index=0)], [piece(None, A[3:], index=0)], [piece("send", B, index=1)]],
            BOTH,
            id="numbers without ids",
        ),
        pytest.param(
            [[piece("lookup", A[:3], index=1)], [piece("send", B, index=2)], [piece(None, A[3:], index=1)]],
            BOTH,
            id="numbers from 1, mixed",
        ),
        pytest.param(
            [[piece("look", "", index=0)], [piece("up", A, index=0)]], BOTH[:1], id="the name in pieces"
        ),
        pytest.param(
            [[piece("look", "", index=0)], [piece("lookup", A, index=0)]], BOTH[:1], id="the name as it grows"
        ),
        pytest.param(
            [[piece("lookup", None, index=0, id_="")], [piece("", A, index=0, id_="")]],
            BOTH[:1],
            id="empty in the place of missing",
        ),
        pytest.param([[piece("lookup", {"a": 1}, index=0)]], BOTH[:1], id="arguments as an object"),
        pytest.param([[piece("lookup", {}, index=0)]], [("lookup", "{}")], id="an empty object"),
        pytest.param(
            [[{"index": 0, "function": None}], [piece("lookup", A, index=0)]], BOTH[:1], id="no function"
        ),
    ],
)
@pytest.mark.parametrize("reason", ["stop", "tool_calls", "function_call"])
async def test_calls_are_told_apart_however_a_server_marks_them(
    hear: Hear, chunks: list[list[dict[str, Any]]], calls: list[tuple[str, str]], reason: str
) -> None:
    end = event(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])
    _, finish = await hear([*(asks(*pieces) for pieces in chunks), end, DONE])

    assert finish.reason == "calls"
    assert [(call.name, call.arguments) for call in finish.calls] == calls


async def test_calls_and_the_reason_may_come_in_one_chunk(hear: Hear) -> None:
    delta = {"content": "Well. ", "tool_calls": [piece("lookup", A, index=0)]}
    tokens, finish = await hear(
        [event(choices=[{"index": 0, "delta": delta, "finish_reason": "tool_calls"}]), DONE]
    )
    assert tokens == [Token(text="Well. ")]
    assert finish.calls == (ToolCall(name="lookup", arguments=A),)


async def test_a_call_may_be_said_as_it_was_before_there_were_several(hear: Hear) -> None:
    deltas = [{"function_call": {"name": "lookup", "arguments": ""}}, {"function_call": {"arguments": A}}]
    end = event(choices=[{"delta": {}, "finish_reason": "function_call"}])
    _, finish = await hear([*(event(choices=[{"delta": delta}]) for delta in deltas), end, DONE])
    assert finish.calls == (ToolCall(name="lookup", arguments=A),)


async def test_an_end_said_twice_calls_once(hear: Hear) -> None:
    end = event(choices=[{"index": 0, "delta": {}, "finish_reason": "tool_calls"}])
    _, finish = await hear([asks(piece("lookup", A, index=0)), end, end, DONE])
    assert len(finish.calls) == 1


@pytest.mark.parametrize("name", ["mistral-large-latest", "openai:mistralai/Mistral-Small", "devstral-2512"])
async def test_mistrals_models_have_a_word_between_results_and_the_user(
    model: ModelServer, session: aiohttp.ClientSession, name: str
) -> None:
    made = Finish(reason="calls", usage=Usage(), calls=(ToolCall(name="lookup", arguments=A),))
    model.reset()
    provider = OPENAI.provider(session, model.url)
    for spelled in (name, "gpt-5"):
        await whole(
            provider.stream(with_tools(user("hi"), *asked(made), user("[model tokens=1]"), name=spelled))
        )

    assert [SEEN in seen.prompts for seen in model.calls] == [True, False]


# Thoughts.


async def carried(
    hear: Hear,
    model: ModelServer,
    session: aiohttp.ClientSession,
    *deltas: dict[str, Any],
    back: str = "demo",
) -> list[Any]:
    """What the server gets back of an answer of these deltas and a call."""
    _, finish = await hear([*(event(choices=[{"delta": delta}]) for delta in deltas), STOP, DONE])
    model.reset()
    provider = OPENAI.provider(session, model.url)
    await whole(provider.stream(with_tools(user("[model tokens=1]"), *asked(finish), name=back)))
    return model.calls[0].carried


CALLED = {"tool_calls": [piece("lookup", A, index=0)]}


@pytest.mark.parametrize(
    ("deltas", "back"),
    [
        ([], []),
        (
            [{"reasoning_content": "h"}, {"reasoning_content": "m", "content": None}],
            [{"reasoning_content": "hm"}],
        ),
        ([{"reasoning_content": None, "content": "hm"}], []),
        ([{"reasoning_content": ""}], [{"reasoning_content": ""}]),
        ([{"reasoning": "hm"}], [{"reasoning": "hm"}]),
        ([{"reasoning": "hm", "reasoning_content": "hm"}], [{"reasoning_content": "hm"}]),
    ],
)
async def test_a_server_gets_its_thoughts_back_under_the_name_it_gave_them(
    hear: Hear, model: ModelServer, session: aiohttp.ClientSession, deltas: list[Any], back: list[Any]
) -> None:
    assert await carried(hear, model, session, *deltas, CALLED) == back


async def test_details_of_thoughts_come_back_whole_and_in_their_place(
    hear: Hear, model: ModelServer, session: aiohttp.ClientSession
) -> None:
    text = {"type": "reasoning.text", "index": 0, "format": "x"}
    details = [
        {**text, "text": "h"},
        {**text, "text": "m", "signature": None},
        {**text, "signature": "sig"},
        {"type": "reasoning.encrypted", "index": 1, "data": "abc", "id": "one"},
        {"type": "reasoning.encrypted", "data": "def"},
        {"type": "reasoning.encrypted", "data": "ghi"},
    ]
    deltas = [{"reasoning": "h", "reasoning_details": [detail]} for detail in details]

    assert await carried(hear, model, session, *deltas, CALLED) == [
        {
            "reasoning_details": [
                {**text, "signature": "sig", "text": "hm"},
                {"type": "reasoning.encrypted", "index": 1, "id": "one", "data": "abc"},
                {"type": "reasoning.encrypted", "data": "def"},
                {"type": "reasoning.encrypted", "data": "ghi"},
            ]
        }
    ]


async def test_a_signature_comes_back_on_its_call(
    hear: Hear, model: ModelServer, session: aiohttp.ClientSession
) -> None:
    extra = {"google": {"thought_signature": "abc"}}
    calls = [piece("lookup", A, index=0), piece("send", B, index=1) | {"extra_content": extra}]
    assert await carried(hear, model, session, {"tool_calls": calls}) == [extra]


async def test_thoughts_of_another_model_stay_away(
    hear: Hear, model: ModelServer, session: aiohttp.ClientSession
) -> None:
    assert await carried(hear, model, session, {"reasoning_content": "hm"}, CALLED, back="other") == []


async def test_an_answer_without_calls_wants_nothing_back(hear: Hear) -> None:
    _, finish = await hear(
        [event(choices=[{"delta": {"reasoning_content": "hm", "content": "a"}}]), STOP, DONE]
    )
    assert finish == Finish(reason="stop", usage=Usage())


async def test_where_thoughts_go_back_every_message_with_calls_has_some(
    hear: Hear, model: ModelServer, session: aiohttp.ClientSession
) -> None:
    _, finish = await hear([event(choices=[{"delta": {"reasoning_content": "hm", **CALLED}}]), STOP, DONE])
    strangers = asked(Finish(reason="calls", usage=Usage(), calls=finish.calls))
    said = Prompt(role="assistant", text="ok")
    model.reset()

    await whole(
        OPENAI.provider(session, model.url).stream(
            with_tools(user("hi"), *strangers, said, user("[model tokens=1]"), *asked(finish))
        )
    )

    assert model.calls[0].carried == [{"reasoning_content": ""}, {"reasoning_content": "hm"}]
