"""Pairs: which response answers which request."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from domain.activity import Activity, Called
from domain.pairs import answers

DEEP = '{"a":' * 5_000 + "1" + "}" * 5_000


def act(
    type_: Literal["request", "response", "trigger"],
    arguments: Any = None,
    id_: str | None = None,
    name: str = "f",
) -> Activity:
    return Activity(type=type_, function=Called(name=name, arguments=arguments), id=id_)


def test_a_response_answers_the_request_of_its_name_and_arguments() -> None:
    said = [
        act("request", {"a": 1}),
        act("request", {"a": 2}),
        act("response", {"a": 2}),
        act("response", {"a": 1}),
    ]

    assert answers(said) == {0: 3, 1: 2}


def test_one_of_another_name_answers_nothing() -> None:
    assert answers([act("request", {}), act("response", {}, name="g")]) == {}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"a": 1, "b": [2, None]}, '{"b": [2, null], "a": 1}'),
        ('{"a":1}', '{ "a" : 1.0 }'),
        ({"a": 5}, {"a": 5.0}),
        ({}, None),
        ("", "{}"),
        ("null", {}),
        ({"a": "é"}, r'{"a": "\u00e9"}'),
        ("not JSON", "not JSON"),
        (DEEP, DEEP),
        ("1e999", "1e999"),
        ("[1]", [1]),
    ],
)
def test_arguments_are_the_same_however_they_are_written(asked: Any, answered: Any) -> None:
    assert answers([act("request", asked), act("response", answered)]) == {0: 1}


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({"a": None}, {}),
        ("not JSON", "not JSON either"),
        ([], {}),
    ],
)
def test_arguments_that_differ_are_not_the_same(asked: Any, answered: Any) -> None:
    assert answers([act("request", asked), act("response", answered)]) == {}


def test_of_equal_requests_the_first_gets_the_first_response() -> None:
    said = [act("request"), act("request"), act("response"), act("response"), act("response")]

    assert answers(said) == {0: 2, 1: 3}


def test_a_response_before_its_request_answers_nothing() -> None:
    assert answers([act("response"), act("request")]) == {}
    assert answers([act("response"), act("request"), act("response")]) == {1: 2}


def test_ids_pair_whatever_the_arguments_say() -> None:
    said = [act("request", {"a": 1}, "x"), act("request", {"a": 1}, "y"), act("response", None, "y")]

    assert answers(said) == {1: 2}


def test_two_ids_that_differ_never_pair() -> None:
    assert answers([act("request", {}, "x"), act("response", {}, "y")]) == {}


def test_a_request_and_a_response_of_which_one_has_no_id_pair_by_name_and_arguments() -> None:
    assert answers([act("request", {}, "x"), act("response", {})]) == {0: 1}
    assert answers([act("request", {}), act("response", {}, "x")]) == {0: 1}


def test_an_id_goes_before_a_name() -> None:
    said = [act("request"), act("request", None, "x"), act("response", None, "x"), act("response")]

    assert answers(said) == {0: 3, 1: 2}


def test_a_request_without_an_id_takes_the_earlier_of_two_responses() -> None:
    assert answers([act("request"), act("response", None, "x"), act("response")]) == {0: 1}
    assert answers([act("request"), act("response"), act("response", None, "x")]) == {0: 1}


def test_triggers_and_what_is_no_activity_pair_with_nothing() -> None:
    assert answers([None, act("trigger"), act("request"), None, act("response")]) == {2: 4}
    assert answers([act("trigger"), act("response")]) == {}


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_arguments_that_are_no_json_are_the_text_they_are(word: str) -> None:
    written, otherwise = f'{{"a": {word}}}', f'{{"a":{word}}}'

    assert answers([act("request", written), act("response", otherwise)]) == {}
    assert answers([act("request", written), act("response", written)]) == {0: 1}
