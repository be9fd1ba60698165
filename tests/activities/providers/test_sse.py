"""An event stream is the same however the network cuts it."""

from __future__ import annotations

from contextlib import suppress

import aiohttp
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.providers.openai import OpenAI
from activities.providers.sse import Events
from domain.completion import Finish, Usage
from domain.errors import ModelBroken, ModelError
from tests.activities.providers.recorded import (
    DONE,
    HEAD,
    KEY,
    STOP,
    USAGE,
    Recorded,
    call,
    event,
    text,
    whole,
)

ANSWER = (
    b": a comment\n\n"
    + event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}])
    + text("héllo 🌍")
    + b": keep-alive\nevent: message\nid: 7\nretry: 5\n"
    + text(" wörld €")
    + b'data:{"choices":\ndata: [{"delta":\ndata:{"content":"!"}}]}\n\n'
    + STOP
    + USAGE
    + DONE
)
SAID = ["héllo 🌍", " wörld €", "!"]


def cuts(length: int) -> st.SearchStrategy[list[int]]:
    few = st.lists(st.integers(1, length - 1), unique=True, max_size=40)
    return few.map(sorted) | st.just(list(range(1, length)))


def pieces(body: bytes, at: list[int]) -> list[bytes]:
    ends = [cut for cut in at if cut < len(body)]
    return [body[start:end] for start, end in zip([0, *ends], [*ends, len(body)], strict=True)]


@settings(max_examples=60, deadline=None)
@given(at=cuts(len(ANSWER)), line_end=st.sampled_from([b"\n", b"\r\n", b"\r"]), bom=st.booleans())
async def test_an_answer_is_the_same_however_the_network_cuts_it(
    recorded: Recorded, session: aiohttp.ClientSession, at: list[int], line_end: bytes, bom: bool
) -> None:
    body = (b"\xef\xbb\xbf" if bom else b"") + ANSWER.replace(b"\n", line_end)
    recorded.pieces = [HEAD, *pieces(body, at)]
    provider = OpenAI(session, recorded.base_url, KEY, 5, 1_000_000)
    tokens, finish = await whole(provider.stream(call("hi")))
    assert [token.text for token in tokens] == SAID
    assert finish == Finish(reason="stop", usage=Usage(input_tokens=3, output_tokens=2))


@settings(max_examples=60, deadline=None)
@given(end=st.integers(0, len(ANSWER) - 1))
async def test_an_answer_cut_anywhere_is_whole_or_broken_and_never_half(
    recorded: Recorded, session: aiohttp.ClientSession, end: int
) -> None:
    recorded.pieces = [HEAD, ANSWER[:end]]
    provider = OpenAI(session, recorded.base_url, KEY, 5, 1_000_000)
    if end >= ANSWER.index(STOP) + len(STOP):
        assert [token.text for token in (await whole(provider.stream(call("hi"))))[0]] == SAID
    else:
        with pytest.raises(ModelBroken):
            await whole(provider.stream(call("hi")))


@settings(max_examples=40, deadline=None)
@given(noise=st.binary(max_size=300), at=st.integers(0, len(ANSWER)))
async def test_noise_in_an_answer_is_a_model_error_or_an_answer_that_ended(
    recorded: Recorded, session: aiohttp.ClientSession, noise: bytes, at: int
) -> None:
    recorded.pieces = [HEAD, ANSWER[:at] + noise + ANSWER[at:]]
    provider = OpenAI(session, recorded.base_url, KEY, 5, 1_000_000)
    with suppress(ModelError):
        await whole(provider.stream(call("hi")))


@settings(deadline=None)
@given(
    st.lists(
        st.sampled_from([b"data", b":", b" ", b"a", b"\r", b"\n", b"\r\n", b"data: x\n\n", b"\xc3\xa9"])
    ).map(b"".join),
    st.lists(st.integers(1, 200), unique=True).map(sorted),
)
def test_events_are_the_same_however_the_bytes_are_cut(body: bytes, at: list[int]) -> None:
    events = Events()
    assert [data for piece in pieces(body, at) for data in events.feed(piece)] == Events().feed(body)


@pytest.mark.parametrize(
    ("body", "events"),
    [
        (b"data: a\n\n", [b"a"]),
        (b"data:a\ndata: b\ndata\n\n", [b"a\nb\n"]),
        (b"data:  a\n\n", [b" a"]),
        (b"data: a\r\r", [b"a"]),
        (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
        (b":data: a\n\nevent: x\n\nid: 1\n\n", []),
        (b"datax: a\n\n data: b\n\n", []),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [b"a"]),
        (b"data: a\n", []),
        (b"data: a", []),
    ],
)
def test_events_are_read_as_the_standard_says(body: bytes, events: list[bytes]) -> None:
    assert Events().feed(body) == events


def test_an_event_of_many_lines_is_bounded_too() -> None:
    lines = [b"data: " + b"x" * 1000 + b"\n"] * 3000
    with pytest.raises(ModelBroken, match="larger than"):
        list(map(Events().feed, lines))
