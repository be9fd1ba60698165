"""An event's id and its order are found in a header or a JSON body, and hostile ones are no ids."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from domain.pointer import Where
from domain.received import Received


def at(pointer: str, body: bytes) -> str | None:
    return Where(pointer=pointer).find(Received(body=body))


def digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


# The document of RFC 6901, section 5, with its pointers and some that lead nowhere.
RFC = json.dumps(
    {
        "foo": ["bar", "baz"],
        "": 0,
        "a/b": 1,
        "c%d": 2,
        "e^f": 3,
        "g|h": 4,
        "i\\j": 5,
        'k"l': 6,
        " ": 7,
        "m~n": 8,
    }
).encode()


@pytest.mark.parametrize(
    ("pointer", "found"),
    [
        ("", None),
        ("/foo", None),
        ("/foo/0", "bar"),
        ("/foo/1", "baz"),
        ("/foo/2", None),
        ("/foo/-", None),
        ("/foo/00", None),
        ("/foo/01", None),
        ("/foo/-1", None),
        ("/foo/+1", None),
        ("/foo/1.0", None),
        ("/foo/\u0661", None),
        ("/foo/999999999999999999999", None),
        ("/foo/0/0", None),
        ("/", "0"),
        ("/a~1b", "1"),
        ("/c%d", "2"),
        ("/e^f", "3"),
        ("/g|h", "4"),
        ("/i\\j", "5"),
        ('/k"l', "6"),
        ("/ ", "7"),
        ("/m~0n", "8"),
        ("/m~01n", None),
        ("/nothing", None),
        ("/nothing/at/all", None),
    ],
)
def test_a_pointer_finds_what_the_rfc_says(pointer: str, found: str | None) -> None:
    assert at(pointer, RFC) == found


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ('"evt_1"', "evt_1"),
        ('" a b "', " a b "),
        ('"é😀"', "é😀"),
        ("7", "7"),
        ("-7", "-7"),
        ("0", "0"),
        ("-0", "0"),
        (str(2**63), str(2**63)),
        ("1" * 255, "1" * 255),
        (f'"{"x" * 255}"', "x" * 255),
        (f'"{"😀" * 255}"', "😀" * 255),
        ("1" * 256, digest("1" * 256)),
        (f'"{"x" * 256}"', digest("x" * 256)),
        (f'"{"é" * 100_000}"', digest("é" * 100_000)),
        (f'"{"x" * 256}\\n"', None),
        ('""', None),
        ('" "', None),
        ("true", None),
        ("false", None),
        ("null", None),
        ("1.0", None),
        ("1e3", None),
        ("1e999", None),
        ("{}", None),
        ("[1]", None),
        ('"a\\nb"', None),
        ('"a\\u0000b"', None),
        ('"a\\u202eb"', None),
        ('"\\ud800"', None),
        ('"a\\u007f"', None),
    ],
)
def test_a_text_or_an_integer_of_printable_characters_is_an_id_and_a_long_one_its_digest(
    value: str, found: str | None
) -> None:
    assert at("/data/id", f'{{"data": {{"id": {value}}}}}'.encode()) == found
    assert at("", value.encode()) == found


def test_a_tilde_and_a_one_are_no_slash() -> None:
    assert at("/a~01", b'{"a~1": "tilde and one", "a/": "slash"}') == "tilde and one"
    assert at("/a~1", b'{"a~1": "tilde and one", "a/": "slash"}') == "slash"


def test_of_two_members_of_one_name_the_last_counts() -> None:
    assert at("/id", b'{"id": "first", "id": "last"}') == "last"
    assert at("/id", b'{"id": "first", "id": null}') is None


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"id=1",
        b"{",
        b'{"id": "1"',
        b'{"id": "1"} x',
        b'{"id": "1", "x": NaN}',
        b'{"id": "1", "x": Infinity}',
        b'{"id": "1", "x": -Infinity}',
        b'{"id": "1", "x": "\xff"}',
        b'{"id": "1", "x": "\xed\xa0\x80"}',
        b'{"id": "1", "x": "\\ud800"}',
        b'{"id": "1", "x": "\x00"}',
        b'{"id": "1",}',
        b"{'id': '1'}",
        b'\xef\xbb\xbf{"id": "1"}',
        '{"id": "1"}'.encode("utf-16"),
        b'{"id": "1", "x": ' + b"1" * 5_000 + b"}",
        b'{"id": "1", "x": ' + b"[" * 201 + b"]" * 201 + b"}",
        b'{"id": "1", "x": ' + b"[" * 1_000_000,
        b'{"id":' * 150_000,
    ],
    ids=lambda body: repr(body[:30]),
)
def test_what_is_no_json_or_nested_too_deeply_has_no_id(body: bytes) -> None:
    assert at("/id", body) is None


@pytest.mark.parametrize(
    "filling",
    [
        b"[]",
        b'{"a":{}}',
        b'"' + b"\\u00e9" * 1_000 + b'"',
        b"1" * 4_000,
        b"1e308",
        b'"' + b"x" * 1_000_000 + b'"',
    ],
    ids=lambda filling: repr(filling[:10]),
)
def test_an_id_is_found_in_a_mebibyte_and_soon(filling: bytes) -> None:
    many = b",".join([filling] * (1_048_000 // (len(filling) + 1)))
    body = b'{"x":[' + many + b'],"id":"evt_1"}'
    began = time.process_time()

    assert at("/id", body) == "evt_1"
    assert time.process_time() - began < 2


@given(st.binary(max_size=200), st.lists(st.text(max_size=5), max_size=4))
@example(b"[" * 200 + b"]" * 200, ["0"] * 60)
def test_no_body_makes_a_pointer_stumble(body: bytes, names: list[str]) -> None:
    pointer = "".join("/" + name.replace("~", "~0").replace("/", "~1") for name in names)

    found = at(pointer, body)

    assert found is None or (found.isprintable() and 0 < len(found) <= 255)


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=10,
)


@given(JSON, st.data())
def test_every_place_of_a_document_is_reached(document: Any, data: st.DataObject) -> None:
    node, pointer = document, ""
    while node and isinstance(node, dict | list):
        if isinstance(node, dict):
            name = data.draw(st.sampled_from(sorted(node)))
            node = node[name]
        else:
            name = str(data.draw(st.integers(0, len(node) - 1)))
            node = node[int(name)]
        pointer += "/" + name.replace("~", "~0").replace("/", "~1")

    expected = str(node) if isinstance(node, str) or type(node) is int else None
    if expected is not None and not (expected.isprintable() and expected.strip()):
        expected = None
    elif expected is not None and len(expected) > 255:
        expected = digest(expected)
    assert at(pointer, json.dumps(document).encode()) == expected


# Headers.


@pytest.mark.parametrize(
    ("values", "found"),
    [
        ([], None),
        (["72d3162e"], "72d3162e"),
        (["1"], "1"),
        (["1", "1"], None),
        (["1", "2"], None),
        ([""], None),
        ([" "], None),
        (["a\tb"], None),
        (["a\0b"], None),
        (["é"], "é"),
        (["\x85"], None),
        (["x" * 255], "x" * 255),
        (["x" * 256], digest("x" * 256)),
        (["é" * 256], digest("é" * 256)),
    ],
)
def test_a_header_that_was_sent_once_is_an_id(values: list[str], found: str | None) -> None:
    received = Received(headers=(("x-other", "no"), *(("x-event-id", value) for value in values)))

    assert Where(header="X-Event-Id").find(received) == found


# Set up.


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"header": None, "pointer": None},
        {"header": "x", "pointer": "/x"},
        {"header": ""},
        {"header": "x y"},
        {"header": "x\n"},
        {"header": "é"},
        {"header": "x" * 129},
        {"pointer": "id"},
        {"pointer": "$.id"},
        {"pointer": "#/id"},
        {"pointer": "/a~"},
        {"pointer": "/a~2b"},
        {"pointer": "/" + "a" * 255},
        {"pointer": 1},
        {"pointer": "/id", "path": "x"},
    ],
)
def test_a_place_is_a_header_or_a_pointer_well_formed(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Where.model_validate(given)


@pytest.mark.parametrize("where", [Where(header="X-Event-Id"), Where(pointer=""), Where(pointer="/a~1b/0")])
def test_a_place_is_stored_and_read_back(where: Where) -> None:
    assert Where.model_validate(where.model_dump(mode="json")) == where
    assert Where.model_validate_json(where.model_dump_json()) == where
