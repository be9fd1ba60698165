"""What a call amounts to: who answers it, or what is said of one nobody can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.calls import TOOL_FAILED
from domain.completion import ToolCall
from domain.plain import BYTES, DEPTH, ITEMS
from domain.toolbox import LONGEST_DELAY, SETTLING, Asking, Offer, Toolbox, settled

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


def settling(name: str, **arguments: Any) -> Any:
    return Toolbox(SETTLING).asking(ToolCall(name=name, arguments=json.dumps(arguments)))


@pytest.mark.parametrize("seconds", [True, False, 0, -1, 1.5, "1", None, [1], LONGEST_DELAY + 1])
def test_a_delay_is_a_whole_number_of_seconds(seconds: Any) -> None:
    call = settling("_delay", seconds=seconds)

    assert (call.answered, call.failed, call.code, call.wait_seconds) == (True, True, TOOL_FAILED, None)
    assert call.result.startswith("seconds: a whole number from 1 to ")


def test_a_delay_is_waited_for() -> None:
    call = settling("_delay", seconds=60)

    assert (call.answered, call.failed, call.code, call.wait_seconds) == (False, False, None, 60)


def test_a_tool_that_is_not_there_is_answered_with_those_that_are() -> None:
    call = settling("look")

    assert (call.kind, call.failed, call.code) == ("unknown", True, TOOL_FAILED)
    assert "_success, _failure, _delay" in call.result


def test_a_call_is_kept_under_its_callers_name_unless_that_is_another_tools_too() -> None:
    offers = [LOOK.model_copy(update={"name": name, "kind": "ability"}) for name in ("look up", "look_up")]
    box = Toolbox([*offers, LOOK, LOOK])

    found = [box.asking(ToolCall(name=tool.name, arguments="{}")).name for tool in box.tools()]

    assert [tool.name for tool in box.tools()] == ["look_up", "look_up_2", "look", "look_2"]
    assert found == ["look up", "look_up_2", "look", "look_2"]
