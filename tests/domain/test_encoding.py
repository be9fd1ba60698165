"""A value can change what is said in its place of a request, and nothing else of it."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadArguments, BadRequest
from domain.fetch import Fetch
from domain.instructions import Prompt, parse
from domain.outgoing import Outgoing

SPECIAL = st.sampled_from(
    [
        *"/.\\?#&=+ '\"{},[]:@;\n\t\x7f",
        "..",
        "%2e",
        "%2F",
        "{a}",
        "\\{",
        "\r\nHost: x",
        "\x7f0\x7f",
        "\x7f=0\x7f",
        "ü",
        "\u2028",
    ]
)
CHARACTERS = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
TEXT = st.one_of(st.text(CHARACTERS), st.lists(SPECIAL | st.text(CHARACTERS, max_size=3)).map("".join))
NUMBER = st.integers(-(2**62), 2**62) | st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | NUMBER | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


def fetch(*lines: str) -> Fetch:
    parsed = parse("\n".join(["```fetch", *lines, "```"]))
    assert isinstance(parsed, Fetch)
    return parsed


PATH = fetch("GET https://a.example/x/{a: string}/y-{a}?z=1")
QUERY = fetch("GET https://a.example/x?a={a: string}&list={list: string[]}&b={b?: string}&c=1{a}2")
HEADER = fetch("GET https://a.example/x", "A: <{a: string}>", "B: b")
OBJECT = fetch(
    "POST https://a.example/",
    "",
    '{"a": {a: string}, "s": "<{a}>", "n": {n: number}, "o": {o: object}, "z": 1}',
)
FORM = fetch(
    "POST https://a.example/", "Content-Type: application/x-www-form-urlencoded", "",
    "a={a: string}&list={list: string[]}&z=1",
)  # fmt: skip


def body(sent: Outgoing) -> str:
    assert sent.body is not None
    return sent.body.decode()


@given(TEXT)
def test_in_a_path_it_stays_one_segment_or_is_refused(value: str) -> None:
    try:
        url = PATH.request({"a": value}, None).url
    except BadArguments:
        assert not value.strip(".") or len(value) > 500
        return

    split = urlsplit(url)
    assert (split.scheme, split.netloc, split.query, split.fragment) == ("https", "a.example", "z=1", "")
    assert [unquote(part) for part in split.path.split("/")] == ["", "x", value, f"y-{value}"]
    assert url.isascii()


@given(TEXT, st.lists(TEXT, max_size=3), st.none() | TEXT)
def test_in_a_query_it_stays_one_pair(value: str, many: list[str], maybe: str | None) -> None:
    url = QUERY.request({"a": value, "list": many, "b": maybe}, None).url

    split = urlsplit(url)
    expected = [("a", value), *(("list", item) for item in many)]
    expected += [] if maybe is None else [("b", maybe)]
    assert parse_qsl(split.query, keep_blank_values=True) == [*expected, ("c", f"1{value}2")]
    assert (split.netloc, split.path, split.fragment) == ("a.example", "/x", "")


@given(TEXT)
def test_in_a_header_it_stays_on_its_line_or_is_refused(value: str) -> None:
    try:
        sent = HEADER.request({"a": value}, None)
    except BadArguments:
        assert not all(" " <= char <= "~" or char == "\t" for char in value) or len(value) > 500
        return

    assert sent.headers == (("A", f"<{value}>"), ("B", "b"))
    assert value.isascii()
    assert not {"\r", "\n", "\x00"} & {*value}


@given(TEXT, NUMBER, st.dictionaries(TEXT, JSON, max_size=3))
def test_in_json_it_stays_the_value_it_is(value: str, number: float, tree: dict[str, Any]) -> None:
    sent = OBJECT.request({"a": value, "n": number, "o": tree}, None)

    assert json.loads(body(sent)) == {"a": value, "s": f"<{value}>", "n": number, "o": tree, "z": 1}


@given(TEXT, st.lists(TEXT, max_size=3))
def test_in_a_form_it_stays_one_pair(value: str, many: list[str]) -> None:
    sent = FORM.request({"a": value, "list": many}, None)

    assert parse_qsl(body(sent), keep_blank_values=True) == [
        ("a", value),
        *(("list", item) for item in many),
        ("z", "1"),
    ]


@given(TEXT)
def test_in_a_prompt_it_is_as_it_is_and_is_not_read_again(value: str) -> None:
    prompt = parse("```prompt\n<{a: string}>{b: string}\n```")

    assert isinstance(prompt, Prompt)
    assert prompt.text({"a": value, "b": "{a}"}) == f"<{value}>{{a}}"


@given(JSON, st.sampled_from([PATH, QUERY, HEADER, OBJECT, FORM]))
def test_whatever_a_model_gives_is_taken_or_refused(value: Any, made: Fetch) -> None:
    names = made.parameters["properties"]

    with suppress(BadArguments):
        assert made.request(dict.fromkeys(names, value), None).url.isascii()


@given(st.text() | st.text(alphabet='{}[]",:=|?ab \\\n`/'))
def test_whatever_is_written_is_read_or_refused(text: str) -> None:
    for written in (
        text,
        f"```prompt\n{text}\n```",
        f"```fetch\nPOST https://a.example/{text}\n\n{text}\n```",
    ):
        with suppress(BadRequest):
            parse(written)


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text", ["{" * 60_000, "\\" * 60_000, '{a: "' * 12_000, "`" * 60_000, "{a: string" * 6_000]
)
def test_nothing_written_takes_long(text: str) -> None:
    for written in (f"```prompt\n{text}\n```", f"```fetch\nPOST https://a.example/\n\n{text}\n```"):
        with suppress(BadRequest):
            parse(written)
