"""Both wire formats: a whole answer or a model error, whatever the network and the server make of it."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Sequence
from contextlib import aclosing, suppress

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.providers.http import new_session
from activities.providers.sse import EVENT_BYTES
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken, ModelError
from tests.activities.providers.dialects import USAGE, Dialect
from tests.activities.providers.recorded import (
    HEAD,
    Ask,
    Hear,
    Play,
    Recorded,
    call,
    eventually,
    joined,
    pieces,
    read_request,
    whole,
)
from tests.model_server import ModelServer

SAID = [
    Token(text="hm, 🌍?", reasoning=True),
    Token(text=" ja", reasoning=True),
    Token(text="héllo 🌍"),
    Token(text=" wörld €"),
    Token(text="!"),
]
WORDS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=20)
ANSWERS = st.lists(st.builds(Token, text=WORDS, reasoning=st.booleans()), max_size=8)
CUTS = st.lists(st.integers(1, 3000), unique=True, max_size=40).map(sorted) | st.just(range(1, 3000))
CHANCES = st.randoms(use_true_random=False)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda value: st.lists(value, max_size=3) | st.dictionaries(st.text(max_size=8), value, max_size=3),
    max_leaves=6,
)


# What the network makes of it.


@settings(max_examples=60)
@given(said=ANSWERS, at=CUTS, chance=CHANCES)
async def test_an_answer_is_the_same_however_the_network_cuts_it(
    dialect: Dialect, hear: Hear, said: list[Token], at: Sequence[int], chance: random.Random
) -> None:
    events = dialect.answer(said)
    noise = b"".join(dialect.nothing) + b": keep-alive\nevent: message\nid: 7\nretry: 5\n"
    events.insert(chance.randrange(len(events)), noise)
    line_end = chance.choice([b"\n", b"\r\n", b"\r"])
    bom = chance.choice([b"", b"\xef\xbb\xbf"])

    tokens, finish = await hear(pieces(bom + b"".join(events).replace(b"\n", line_end), at))

    assert tokens == said
    assert finish == Finish(reason="stop", usage=USAGE)


@settings(max_examples=60)
@given(said=ANSWERS, end=st.integers(0, 4000))
async def test_an_answer_cut_anywhere_is_whole_or_broken_and_never_half(
    dialect: Dialect, hear: Hear, said: list[Token], end: int
) -> None:
    events = dialect.answer(said)
    body = b"".join(events)
    cut = end % (len(body) + 1)

    if cut >= dialect.whole_at(events):
        assert (await hear([body[:cut]]))[0] == said
    else:
        with pytest.raises(ModelBroken):
            await hear([body[:cut]])


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("after", [0, 1, 10, 20, 21])
async def test_a_connection_lost_within_an_answer_is_a_model_error(ask: Ask, after: int, reset: bool) -> None:
    with pytest.raises(ModelError) as caught:
        await ask(f"[model tokens=20 {'reset' if reset else 'cut'}={after}]")
    assert caught.value.retryable


# What the server makes of it.


@settings(max_examples=100)
@given(said=ANSWERS, chance=CHANCES)
async def test_events_in_another_order_are_an_answer_with_all_its_text_or_broken(
    dialect: Dialect, hear: Hear, said: list[Token], chance: random.Random
) -> None:
    events = dialect.answer(said)
    if chance.random() < 0.5:
        chance.shuffle(events)
    else:
        at = chance.randrange(len(events) - 1)
        events[at : at + 2] = reversed(events[at : at + 2])
    try:
        tokens, _ = await hear(events)
    except ModelBroken:
        return
    assert [token.text for token in tokens] == dialect.texts(events)


async def test_an_answer_that_lacks_a_part_of_its_frame_is_broken(dialect: Dialect, hear: Hear) -> None:
    events = dialect.answer(SAID)
    for at in dialect.frame(events):
        with pytest.raises(ModelBroken):
            await hear(events[:at] + events[at + 1 :])


async def test_an_end_said_twice_is_one_end(dialect: Dialect, hear: Hear) -> None:
    *events, before, last = dialect.answer(SAID)
    once = (SAID, Finish(reason="stop", usage=USAGE))

    assert await hear([*events, before, last, last]) == once
    assert await hear([*events, before, before, last]) == once
    assert await hear([*events, before, last, before, last]) == once


async def test_what_follows_the_end_marker_is_not_read(dialect: Dialect, hear: Hear) -> None:
    events = dialect.answer(SAID)

    assert await hear([*events, *events]) == (SAID, Finish(reason="stop", usage=USAGE))
    assert await hear([*events, b"data: {\n\n"]) == (SAID, Finish(reason="stop", usage=USAGE))


async def test_text_after_the_reason_for_the_end_is_broken(dialect: Dialect, play: Play) -> None:
    events = dialect.answer(SAID)
    with pytest.raises(ModelBroken):
        await play(b"".join(events[: -dialect.trailing]) + dialect.body([Token(text="b")]))


@settings(max_examples=60)
@given(noise=st.binary(max_size=300), at=st.integers(0, 4000))
async def test_noise_in_an_answer_is_a_model_error_or_an_answer_that_ended(
    dialect: Dialect, hear: Hear, noise: bytes, at: int
) -> None:
    body = dialect.body(SAID)
    with suppress(ModelError):
        await hear([body[: at % len(body)] + noise + body[at % len(body) :]])


@settings(max_examples=150)
@given(value=VALUES, chance=CHANCES)
async def test_a_value_of_any_kind_at_any_place_is_a_model_error_or_an_answer_that_ended(
    dialect: Dialect, hear: Hear, value: object, chance: random.Random
) -> None:
    events = dialect.answer(SAID)
    at = chance.choice([at for at, raw in enumerate(events) if b"{" in raw])
    head, data = events[at].split(b"data: ")
    events[at] = head + b"data: " + json.dumps(replaced(json.loads(data), value, chance)).encode() + b"\n\n"
    with suppress(ModelError):
        tokens, _ = await hear(events)
        assert all(type(token.text) is str for token in tokens)


def replaced(where: object, value: object, chance: random.Random) -> object:
    """The same with one thing in it replaced by the value, or all of it."""
    if chance.random() < 0.2 or not where or not isinstance(where, dict | list):
        return value
    if isinstance(where, list):
        at = chance.randrange(len(where))
        return [*where[:at], replaced(where[at], value, chance), *where[at + 1 :]]
    key = chance.choice(list(where))
    return {**where, key: replaced(where[key], value, chance)}


@pytest.mark.parametrize("data", [b"null", b"[]", b'"text"', b"1", b"{", b"[DONE", b"\xff", b"[" * 10_000])
async def test_an_event_that_is_no_json_object_is_broken(dialect: Dialect, hear: Hear, data: bytes) -> None:
    with pytest.raises(ModelBroken):
        await hear([dialect.unclosed(), b"data: " + data + b"\n\n", dialect.body(SAID)])


async def test_an_event_of_the_wrong_shape_is_broken(dialect: Dialect, hear: Hear) -> None:
    for data in dialect.misshapen:
        with pytest.raises(ModelBroken):
            await hear([dialect.unclosed(), b"data: " + data + b"\n\n", dialect.body(SAID)])


async def test_an_event_that_says_nothing_is_passed_over(dialect: Dialect, hear: Hear) -> None:
    for nothing in dialect.nothing:
        events = [piece for event in dialect.answer(SAID) for piece in (nothing, event)]
        assert await hear(events) == (SAID, Finish(reason="stop", usage=USAGE))


async def test_an_error_within_the_stream_is_named(dialect: Dialect, hear: Hear) -> None:
    for kind, named in dialect.errors.items():
        with pytest.raises(ModelError, match="it fell over") as caught:
            await hear([dialect.unclosed(), dialect.error(kind, "it fell over")])
        assert type(caught.value) is named, kind


async def test_an_error_after_some_tokens_is_no_answer(ask: Ask) -> None:
    with pytest.raises(ModelError, match="it fell over"):
        await ask("[model tokens=5 failed=3]")


async def test_an_event_without_end_is_broken(play: Play) -> None:
    with pytest.raises(ModelBroken, match="larger than"):
        await play(b"data: " + b"x" * (EVENT_BYTES + 1))


# What a whole answer is.


async def test_an_answer_is_its_tokens_in_order_and_one_finish(ask: Ask) -> None:
    tokens, finish = await ask("[model tokens=1000]")
    assert joined(tokens) == " ".join(f"t{n}" for n in range(1, 1001))
    assert len(tokens) == 1000
    assert finish == Finish(reason="stop", usage=Usage(input_tokens=2, output_tokens=1000))


async def test_an_answer_may_be_empty(dialect: Dialect, hear: Hear, ask: Ask) -> None:
    assert await hear(dialect.answer([])) == ([], Finish(reason="stop", usage=USAGE))
    assert (await ask("[model tokens=0]"))[0] == []


async def test_reasoning_comes_as_tokens_marked_so(ask: Ask) -> None:
    tokens, _ = await ask("[model reasoning=2 tokens=1]")
    assert tokens == [Token(text="r1", reasoning=True), Token(text=" r2", reasoning=True), Token(text="t1")]


async def test_the_reason_for_the_end_is_told(dialect: Dialect, hear: Hear) -> None:
    for said, means in dialect.reasons.items():
        assert (await hear(dialect.answer(SAID, said)))[1].reason == means, said


async def test_an_end_for_a_reason_nobody_offered_is_broken(dialect: Dialect, hear: Hear) -> None:
    with pytest.raises(ModelBroken, match="not offered"):
        await hear(dialect.answer(SAID, "of_tomorrow"))


async def test_what_postgres_cannot_keep_is_replaced(ask: Ask) -> None:
    tokens, _ = await ask("[model tokens=2 nul]")
    assert joined(tokens) == "\ufffd\ufffdt1\ufffd\ufffd t2"


async def test_characters_cut_by_the_network_stay_whole(ask: Ask) -> None:
    tokens, _ = await ask("[model tokens=3 split]")
    assert [token.text for token in tokens] == ["é€😀t1", "é€😀 t2", "é€😀 t3"]


# Limits and connections.


async def test_an_endless_answer_is_cut_at_its_bytes(
    dialect: Dialect, model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    provider = dialect.provider(session, model.url, most=100_000)
    tokens, finish = await whole(provider.stream(call("[model endless]")))
    assert len(joined(tokens)) == 100_000
    assert finish.reason == "length"
    await eventually(lambda: model.calls[0].closed_by_client)


@pytest.mark.parametrize(("most", "kept"), [(6, "é€a"), (5, "é€"), (4, "é"), (3, "é"), (2, "é"), (1, "")])
async def test_the_cut_never_splits_a_character(
    dialect: Dialect, recorded: Recorded, session: aiohttp.ClientSession, most: int, kept: str
) -> None:
    provider = dialect.provider(session, recorded.url, most=most)
    for reasoning in (False, True):
        recorded.pieces = [HEAD, dialect.body([Token(text="é€ab", reasoning=reasoning)])]
        tokens, finish = await whole(provider.stream(call("hi")))
        assert (joined(tokens), finish.reason) == (kept, "length")


async def test_an_answer_of_just_the_allowed_size_is_whole(
    dialect: Dialect, recorded: Recorded, session: aiohttp.ClientSession
) -> None:
    recorded.pieces = [HEAD, dialect.body([Token(text="é€")])]
    tokens, finish = await whole(dialect.provider(session, recorded.url, most=5).stream(call("hi")))
    assert joined(tokens) == "é€"
    assert finish == Finish(reason="stop", usage=USAGE)


async def test_a_caller_that_stops_early_closes_the_connection(
    dialect: Dialect, model: ModelServer, session: aiohttp.ClientSession
) -> None:
    model.reset()
    provider = dialect.provider(session, model.url, idle=60)
    async with aclosing(provider.stream(call("[model tokens=9 stall=5]"))) as stream:
        assert await anext(stream) == Token(text="t1")
    await eventually(lambda: model.calls[0].closed_by_client)


@pytest.mark.parametrize("directive", ["stall=5 tokens=9", "first=60000"])
async def test_a_cancelled_caller_closes_the_connection(
    dialect: Dialect, model: ModelServer, session: aiohttp.ClientSession, directive: str
) -> None:
    model.reset()
    provider = dialect.provider(session, model.url, idle=60)
    asking = asyncio.create_task(whole(provider.stream(call(f"[model {directive}]"))))
    await eventually(lambda: len(model.calls) == 1)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await eventually(lambda: model.calls[0].closed_by_client)


async def test_a_whole_answer_leaves_its_connection_to_the_next_call(
    dialect: Dialect, model: ModelServer
) -> None:
    opened: list[object] = []

    async def note(*_: object) -> None:
        opened.append(_)

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(note)
    async with aiohttp.ClientSession(trace_configs=[trace]) as session:
        provider = dialect.provider(session, model.url)
        for _ in range(3):
            await whole(provider.stream(call("[model tokens=50]")))
    assert len(opened) == 1


async def test_the_end_of_the_body_is_waited_for_a_moment_so_that_the_connection_serves_again(
    dialect: Dialect,
) -> None:
    connections = 0

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await read_request(reader)
                body = dialect.body(SAID)
                writer.write(HEAD.replace(b"Connection: close", b"Transfer-Encoding: chunked"))
                writer.write(b"%x\r\n%s\r\n" % (len(body), body))
                await writer.drain()
                await asyncio.sleep(0.01)
                writer.write(b"0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server, new_session() as session:
        provider = dialect.provider(session, f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for _ in range(3):
            assert (await whole(provider.stream(call("hi"))))[0] == SAID

    assert connections == 1


async def test_a_proxy_in_the_environment_is_not_used(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert joined((await ask("[model tokens=1]"))[0]) == "t1"
