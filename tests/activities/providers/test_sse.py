"""An event stream is the same however the network cuts it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.providers.sse import Events
from domain.errors import ModelBroken
from tests.activities.providers.recorded import pieces


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
