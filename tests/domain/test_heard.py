"""How far a listener has heard a task, as the text that every line carries."""

from __future__ import annotations

import re

import pytest

from domain.heard import FORM, Heard


@pytest.mark.parametrize(
    ("heard", "text"),
    [
        (Heard(), "0"),
        (Heard(1_042), "1042"),
        (Heard(1_042, {1_042: 3, 1_040: 17}), "1042-1040.17-1042.3"),
        (Heard(10**18 - 1, {1: 10**18 - 1}), "999999999999999999-1.999999999999999999"),
    ],
)
def test_it_is_read_as_it_was_written(heard: Heard, text: str) -> None:
    assert str(heard) == text
    assert Heard.read(text) == heard
    assert re.fullmatch(FORM, text)


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1-", "1-2", "1-2.", "1-.2", "1.2", "1 ", "1" * 19, "1-2.3,"]
)
def test_anything_else_has_not_its_form(text: str) -> None:
    assert re.fullmatch(FORM, text) is None
