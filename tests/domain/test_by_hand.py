"""The input of a call by hand: a JSON object, or the value of the only parameter."""

from __future__ import annotations

from typing import Any

import pytest

from domain.by_hand import asking
from domain.errors import BadRequest

NONE = "```prompt\nHello.\n```"
WORD = "```prompt\nHello {word: string}.\n```"
NUMBER = "```prompt\n{n: integer} hellos.\n```"
WORDS = "```prompt\nHello {words: string[]}.\n```"
TWO = "```prompt\n{n: integer = 2} hellos to {word: string}.\n```"


@pytest.mark.parametrize(
    ("instruction", "given", "arguments"),
    [
        (NONE, None, {}),
        (NONE, "", {}),
        (NONE, "{}", {}),
        (WORD, '{"word": "you"}', {"word": "you"}),
        (WORD, "you there", {"word": "you there"}),
        (WORD, "5", {"word": "5"}),
        (WORD, '["you"]', {"word": '["you"]'}),
        (NUMBER, "5", {"n": 5}),
        (NUMBER, " 5 ", {"n": 5}),
        (WORDS, '["you", "me"]', {"words": ["you", "me"]}),
        (TWO, '{"word": "you"}', {"word": "you"}),
        (TWO, '{"word": "you", "n": 3}', {"word": "you", "n": 3}),
    ],
)
def test_input_is_the_arguments_or_the_value_of_the_only_parameter(
    instruction: str, given: str | None, arguments: dict[str, Any]
) -> None:
    call = asking("abl_1", "hello", instruction, given)

    assert call.arguments == arguments
    assert (call.name, call.kind, call.source, call.effect) == ("hello", "ability", "abl_1", "idempotent")


@pytest.mark.parametrize(
    ("instruction", "given", "named"),
    [
        (NONE, "you", "no parameters"),
        (NONE, '{"word": 1}', "no parameters"),
        (WORD, None, "`word`"),
        (WORD, "  ", "`word`"),
        (WORD, '{"other": "x"}', "`other`"),
        (WORD, '{"word": 7}', "`word`"),
        (NUMBER, "many", "`n`"),
        (TWO, "you", "`n`"),
        (TWO, '{"n": 3}', "`word`"),
        (TWO, '{"n": NaN, "word": "x"}', "JSON object"),
        (TWO, "[" * 100_000, "JSON object"),
    ],
)
def test_arguments_that_do_not_fit_are_refused_with_the_parameters_there_are(
    instruction: str, given: str | None, named: str
) -> None:
    with pytest.raises(BadRequest, match=r"^input: ") as refused:
        asking("abl_1", "hello", instruction, given)

    assert named in refused.value.message


def test_a_refusal_says_of_every_parameter_what_it_must_be() -> None:
    with pytest.raises(BadRequest) as refused:
        asking("abl_1", "hello", TWO, "you")

    assert '`n` ({"type": "integer", "default": 2})' in refused.value.message
    assert '`word` ({"type": "string"}, required)' in refused.value.message
