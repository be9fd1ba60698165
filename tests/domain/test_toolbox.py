"""What a call of a model amounts to."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.completion import ToolCall
from domain.plain import BYTES, DEPTH, ITEMS
from domain.toolbox import Asking, Offer, Toolbox, settled

LOOK = Offer(name="look", description="", parameters={"type": "object"}, kind="caller")


def nested(levels: int) -> Any:
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def asked(arguments: Any) -> Asking:
    return Toolbox([LOOK]).asking(ToolCall(name="look", arguments=json.dumps(arguments)))


@pytest.mark.parametrize("value", [nested(DEPTH - 1), [0] * (ITEMS - 2), "x" * (BYTES - 10)])
def test_arguments_may_be_as_large_as_what_callers_hand_in(value: Any) -> None:
    assert asked({"a": value}).arguments == {"a": value}


@pytest.mark.parametrize("value", [nested(DEPTH), [0] * ITEMS, "x" * BYTES, 2**63])
def test_larger_ones_are_told_to_the_model(value: Any) -> None:
    call = asked({"a": value})

    assert (call.arguments, call.answered, call.failed) == ({}, True, True)
    assert "call it again" in call.result


def test_an_end_that_was_not_made_ends_nothing() -> None:
    end = Asking(name="_success", arguments={}, kind="settle", answered=True, failed=True, result="no")
    wait = Asking(name="look", arguments={}, kind="channel", channel="a channel")

    assert settled([wait, end]) == [wait, end]
