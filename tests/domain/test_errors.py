"""Errors: one drawn tree of codes, each with a sentence that says what to do."""

from __future__ import annotations

import re

from domain import errors
from domain.errors import BY_CODE, HoldfastError, sentence


def tree(cls: type[HoldfastError] = HoldfastError) -> list[type[HoldfastError]]:
    return [cls, *(leaf for sub in cls.__subclasses__() for leaf in tree(sub))]


def drawn() -> dict[str, str]:
    """Class to code, as the module's docstring draws them."""
    lines = (errors.__doc__ or "").splitlines()
    found = (re.match(r"[\s│├└─]*(\w+) +([A-Z_]{4,})(?: |$)", line) for line in lines)
    return {match[1]: match[2] for match in found if match}


def test_the_tree_is_drawn_as_it_is() -> None:
    ours = [cls for cls in tree() if cls.__module__ == errors.__name__]
    abstract = {"Refused", "ModelError", "Ended"}

    assert {cls.__name__: cls.code for cls in ours if cls.__name__ not in abstract} == drawn()


def test_every_error_says_a_sentence() -> None:
    for cls in tree():
        assert cls().message.endswith("."), cls
        assert cls().message[0].isupper(), cls


def test_a_code_becomes_its_error_and_its_sentence_again() -> None:
    for code, cls in BY_CODE.items():
        assert cls.code == code
        assert sentence(code) == cls().message
    assert sentence("A_CODE_OF_LATER") == errors.Ended().message


def test_an_error_carries_the_words_of_who_threw_it() -> None:
    error = errors.Conflict("Busy.", retry_after=2, run_id="run_1")

    assert (str(error), error.message, error.retry_after, error.run_id) == ("Busy.", "Busy.", 2, "run_1")
