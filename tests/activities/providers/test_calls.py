"""Calls of tools, in both wire formats: asked for whole or not at all, and taken back by every server."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from contextlib import suppress

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.providers import Provider
from activities.providers.calls import MOST, NAME_LONGEST
from domain.completion import Finish, ModelCall, Prompt, Token, ToolCall
from domain.errors import ModelBroken, ModelError, ModelRefused
from domain.model import parse
from tests.activities.providers.dialects import USAGE, Dialect
from tests.activities.providers.recorded import (
    HEAD,
    Hear,
    Recorded,
    asked,
    call,
    joined,
    pieces,
    user,
    whole,
    with_tools,
)
from tests.activities.providers.test_conformance import CHANCES, VALUES, replaced
from tests.model_server import ModelServer

SAID = [Token(text="hm, 🌍?", reasoning=True), Token(text="Let me look. ")]
CALLS = (
    ToolCall(name="lookup", arguments='{"city": "Zürich 🌍"}'),
    ToolCall(name="lookup", arguments='{"city": "Rome"}'),
    ToolCall(name="send", arguments="{}"),
)
NAMES = st.text("abcXYZ019_-", min_size=1, max_size=64)
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
ARGUMENTS = st.dictionaries(WORDS, st.integers() | WORDS, max_size=3)
ASKED = st.lists(
    st.builds(
        ToolCall, name=NAMES, arguments=ARGUMENTS.map(lambda found: json.dumps(found, ensure_ascii=False))
    ),
    max_size=4,
)
ANSWERS = st.lists(st.builds(Token, text=WORDS, reasoning=st.booleans()), max_size=4)
CUTS = st.lists(st.integers(1, 4000), unique=True, max_size=40).map(sorted) | st.just(range(1, 4000))


@pytest.fixture
def provider(dialect: Dialect, model: ModelServer, session: aiohttp.ClientSession) -> Provider:
    model.reset()
    return dialect.provider(session, model.url)


# How they come.


async def test_calls_come_with_the_end_in_the_models_order(provider: Provider) -> None:
    tokens, finish = await whole(provider.stream(with_tools(user("[model calls=3 say=2]"))))

    assert joined(tokens) == "t1 t2"
    assert finish.reason == "calls"
    assert finish.calls == (
        ToolCall(name="lookup", arguments='{"n": 1}'),
        ToolCall(name="send", arguments='{"n": 2}'),
        ToolCall(name="lookup", arguments='{"n": 3}'),
    )


async def test_a_turn_of_three_rounds_ends_with_its_answer(provider: Provider, model: ModelServer) -> None:
    prompts: tuple[Prompt, ...] = (user("[model calls=2 rounds=3 say=1 tokens=4]"),)
    for at in range(3):
        tokens, finish = await whole(provider.stream(with_tools(*prompts)))
        prompts += asked(finish, joined(tokens), first=2 * at + 1)
    tokens, finish = await whole(provider.stream(with_tools(*prompts)))

    assert (joined(tokens), finish.reason, finish.calls) == ("t1 t2 t3 t4", "stop", ())
    *_, last = model.calls
    assert last.tools == ["lookup", "send"]
    assert [(name, arguments) for _, name, arguments in last.asked] == [
        (("lookup", "send")[at % 2], {"n": at + 1}) for at in range(6)
    ]
    assert [text for _, text in last.results] == [
        f"call_{at + 1} of {('lookup', 'send')[at % 2]}" for at in range(6)
    ]
    assert [id_ for id_, _ in last.results] == [id_ for id_, _, _ in last.asked]


@settings(max_examples=60)
@given(said=ANSWERS, calls=ASKED, at=CUTS)
async def test_calls_are_the_same_however_the_network_cuts_them(
    dialect: Dialect, hear: Hear, said: list[Token], calls: list[ToolCall], at: Sequence[int]
) -> None:
    tokens, finish = await hear(pieces(b"".join(dialect.answer(said, calls=calls)), at))

    assert tokens == said
    assert (finish.reason, finish.calls) == ("calls" if calls else "stop", tuple(calls))


@settings(max_examples=60)
@given(end=st.integers(0, 20_000))
async def test_an_answer_with_calls_that_is_cut_anywhere_is_whole_or_broken(
    dialect: Dialect, hear: Hear, end: int
) -> None:
    events = dialect.answer(SAID, calls=CALLS)
    body = b"".join(events)
    cut = end % (len(body) + 1)

    if cut >= dialect.whole_at(events):
        assert (await hear([body[:cut]]))[1].calls == CALLS
    else:
        with pytest.raises(ModelBroken):
            await hear([body[:cut]])


@pytest.mark.parametrize("after", range(1, 9))
@pytest.mark.parametrize("fault", ["cut", "reset", "end", "garbage", "failed"])
async def test_a_fault_among_the_calls_is_a_model_error_and_the_next_attempt_is_whole(
    provider: Provider, fault: str, after: int
) -> None:
    text = f"[model calls=2 rounds=2 round=2 times=1 {fault}={after} args=city:Constantinople]"
    _, first = await whole(provider.stream(with_tools(user(text))))
    prompts = (user(text), *asked(first))

    with pytest.raises(ModelError) as caught:
        await whole(provider.stream(with_tools(*prompts)))
    _, second = await whole(provider.stream(with_tools(*prompts)))

    assert caught.value.retryable
    assert [made.arguments for made in second.calls] == ['{"city": "Constantinople"}'] * 2


async def test_an_answer_without_calls_that_says_it_calls_is_broken(dialect: Dialect, hear: Hear) -> None:
    reason = "tool_calls" if dialect.trailing == 2 else "tool_use"
    with pytest.raises(ModelBroken, match="named none"):
        await hear(dialect.answer(SAID, reason))


# What of them is none.


async def test_calls_of_an_answer_that_was_cut_or_declined_are_none(dialect: Dialect, hear: Hear) -> None:
    for reason, means in dialect.reasons.items():
        if means == "length" or reason in ("content_filter", "refusal"):
            _, finish = await hear(dialect.answer(SAID, reason, CALLS))
            assert (finish.reason, finish.calls) == (means, ()), reason


async def test_calls_count_towards_the_bytes_of_an_answer_and_half_a_call_is_none(
    dialect: Dialect, recorded: Recorded, session: aiohttp.ClientSession
) -> None:
    size = sum(len(token.text.encode()) for token in SAID)
    size += sum(len((made.name + made.arguments).encode()) for made in CALLS)
    recorded.pieces = [HEAD, b"".join(dialect.answer(SAID, calls=CALLS))]
    for most in (size, size - 1, size - 20, 30):
        _, finish = await whole(dialect.provider(session, recorded.url, most=most).stream(call("hi")))
        assert (finish.reason, finish.calls) == (("calls", CALLS) if most == size else ("length", ()))


async def test_an_answer_may_have_128_calls_and_no_more(dialect: Dialect, hear: Hear) -> None:
    _, finish = await hear(dialect.answer([], calls=CALLS[:1] * MOST))
    assert len(finish.calls) == MOST
    with pytest.raises(ModelBroken, match="more than 128"):
        await hear(dialect.answer([], calls=CALLS[:1] * (MOST + 1)))


@pytest.mark.parametrize("name", ["", " \n", "x" * (NAME_LONGEST + 1)])
async def test_a_call_without_a_usable_name_is_broken(dialect: Dialect, hear: Hear, name: str) -> None:
    with pytest.raises(ModelBroken, match="usable name"):
        await hear(dialect.answer(SAID, calls=[ToolCall(name=name, arguments="{}")]))


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("", "{}"),
        (" \n", "{}"),
        ("null", "{}"),
        ('{"a": ', '{"a": '),
        ("[1]", "[1]"),
        ('{"a":"\0"}', '{"a":"\ufffd"}'),
        (r'{"a": "\u0000\ud83d", "b": ["\udc00"]}', '{"a": "\ufffd\ufffd", "b": ["\ufffd"]}'),
        (r'{"a": "\ud83c\udf0d"}', '{"a": "🌍"}'),
        (r'{"a": "\\u0000"}', r'{"a": "\\u0000"}'),
        (r'{"a": "\u0000', r'{"a": "\u0000'),
        (r'{"\ud800": ' + "[" * 20_000, r'{"\ud800": ' + "[" * 20_000),
    ],
)
async def test_arguments_are_as_the_model_wrote_them_but_for_what_postgres_cannot_keep(
    dialect: Dialect, hear: Hear, said: str, kept: str
) -> None:
    _, finish = await hear(dialect.answer([], calls=[ToolCall(name="lookup", arguments=said)]))
    assert finish.calls == (ToolCall(name="lookup", arguments=kept),)


async def test_a_name_is_cleaned_too(dialect: Dialect, hear: Hear) -> None:
    _, finish = await hear(dialect.answer([], calls=[ToolCall(name=" look\0up ", arguments="{}")]))
    assert finish.calls[0].name == "look\ufffdup"


async def test_lone_surrogates_in_a_call_are_replaced(dialect: Dialect, hear: Hear) -> None:
    made = [ToolCall(name="lookNup", arguments='{"a": "N"}')]
    events = [
        raw.replace(b"lookNup", rb"look\ud83dup").replace(b'"N"', rb'"\ud83d"')
        for raw in dialect.answer([], calls=made)
    ]
    _, finish = await hear(events)
    assert finish.calls == (ToolCall(name="look\ufffdup", arguments='{"a": "\ufffd"}'),)


# How they go back.


@pytest.mark.parametrize(
    "directive", ["args=broken", "args=list", "args=none", "args=nul", "tool=no.such:tool"]
)
async def test_calls_that_make_no_sense_go_back_in_a_shape_that_servers_take(
    provider: Provider, model: ModelServer, directive: str
) -> None:
    text = f"[model calls=2 tokens=1 {directive}]"
    _, finish = await whole(provider.stream(with_tools(user(text))))
    await whole(provider.stream(with_tools(user(text), *asked(finish))))

    (_, name, arguments), _ = model.calls[-1].asked
    assert name == ("no_such_tool" if "tool=" in directive else "lookup")
    if directive in ("args=broken", "args=list"):
        assert arguments == {"invalid": finish.calls[0].arguments}


@pytest.mark.parametrize("arguments", ['{"a": NaN}', '{"a": [-Infinity]}', '{"a": {"b": 1e999}}'])
async def test_arguments_that_are_no_json_go_back_as_the_text_they_are(
    provider: Provider, model: ModelServer, arguments: str
) -> None:
    made = Finish(reason="calls", usage=USAGE, calls=(ToolCall(name="lookup", arguments=arguments),))
    await whole(provider.stream(with_tools(user("[model tokens=1]"), *asked(made))))

    (_, _, sent), *_ = model.calls[-1].asked
    assert sent == {"invalid": arguments}


async def test_calls_of_several_runs_may_bear_the_same_ids(provider: Provider, model: ModelServer) -> None:
    made = Finish(reason="calls", usage=USAGE, calls=CALLS)
    past = (user("one"), *asked(made, "ok"), Prompt(role="assistant", text="done"), user("two"), *asked(made))

    await whole(provider.stream(with_tools(*past)))

    (seen,) = model.calls
    assert len({id_ for id_, _, _ in seen.asked}) == 6
    assert [id_ for id_, _ in seen.results] == [id_ for id_, _, _ in seen.asked]


async def test_a_result_may_be_empty_and_a_message_may_follow_results(
    provider: Provider, model: ModelServer
) -> None:
    made, *results = asked(Finish(reason="calls", usage=USAGE, calls=CALLS))
    empty = [result.model_copy(update={"text": ""}) for result in results]

    tokens, _ = await whole(provider.stream(with_tools(user("hi"), made, *empty, user("[model tokens=1]"))))

    assert joined(tokens) == "t1"
    assert [text for _, text in model.calls[0].results] == ["", "", ""]


async def test_a_history_with_calls_needs_no_tools(provider: Provider, model: ModelServer) -> None:
    past = (user("[model calls=9 tokens=2]"), *asked(Finish(reason="calls", usage=USAGE, calls=CALLS)))

    tokens, finish = await whole(provider.stream(ModelCall(model=parse("demo"), prompts=past)))

    assert (joined(tokens), finish.reason) == ("t1 t2", "stop")
    assert model.calls[0].must in ("", "none")


async def test_without_tools_nothing_of_them_is_sent(provider: Provider, model: ModelServer) -> None:
    await whole(provider.stream(call("hi")))
    assert not {"tools", "tool_choice"} & {*model.calls[0].parameters}


async def test_a_tool_that_must_be_called_is(provider: Provider, model: ModelServer) -> None:
    _, finish = await whole(provider.stream(with_tools(user("hi"), must_call="send")))

    assert model.calls[0].must == "send"
    assert finish.calls == (ToolCall(name="send", arguments="{}"),)


@pytest.mark.parametrize(
    "told", ["nonsense", "[]", "{}", '{"by": "openai", "model": "demo", "content": [1]}']
)
async def test_what_another_provider_wanted_back_is_left_out(
    provider: Provider, model: ModelServer, told: str
) -> None:
    others = [
        json.dumps({"by": by, "model": name, "content": {"message": {"reasoning": "hm"}, "blocks": []}})
        for by in ("openai", "anthropic")
        for name in ("other", "demo/")
    ]
    for carry in (told, *others):
        model.reset()
        made = Finish(reason="calls", usage=USAGE, calls=CALLS, carry=carry)
        await whole(provider.stream(with_tools(user("[model tokens=1]"), *asked(made))))
        assert model.calls[0].carried == []


# What makers' servers refuse.


@pytest.mark.parametrize("spoiled", ["unanswered", "half", "nobody's", "late", "nothing called"])
async def test_a_history_whose_calls_and_results_do_not_pair_is_refused(
    provider: Provider, spoiled: str
) -> None:
    made, *results = asked(Finish(reason="calls", usage=USAGE, calls=CALLS))
    histories = {
        "unanswered": (made, user("go on")),
        "half": (made, *results[:-1]),
        "nobody's": (made, *results, Prompt(role="tool", text="?", call_id="call_99")),
        "late": (made, *results[1:], Prompt(role="assistant", text="well"), results[0]),
        "nothing called": (results[0],),
    }
    with pytest.raises(ModelRefused, match="model server"):
        await whole(provider.stream(with_tools(user("hi"), *histories[spoiled])))


# What no server should send.


@settings(max_examples=150)
@given(value=VALUES, chance=CHANCES)
async def test_a_value_of_any_kind_among_the_calls_is_a_model_error_or_calls(
    dialect: Dialect, hear: Hear, value: object, chance: random.Random
) -> None:
    events = dialect.answer(SAID, calls=CALLS)
    at = chance.choice([at for at, raw in enumerate(events) if b"call" in raw or b"json" in raw])
    head, data = events[at].split(b"data: ")
    events[at] = head + b"data: " + json.dumps(replaced(json.loads(data), value, chance)).encode() + b"\n\n"
    with suppress(ModelError):
        _, finish = await hear(events)
        assert all(0 < len(made.name) <= NAME_LONGEST for made in finish.calls)


@settings(max_examples=60)
@given(chance=CHANCES)
async def test_events_of_calls_in_another_order_are_calls_or_broken(
    dialect: Dialect, hear: Hear, chance: random.Random
) -> None:
    events = dialect.answer(SAID, calls=CALLS)
    at = chance.randrange(len(events) - 1)
    events[at : at + 2] = reversed(events[at : at + 2])
    with suppress(ModelBroken):
        _, finish = await hear(events)
        assert [made.name for made in finish.calls] == [made.name for made in CALLS]
