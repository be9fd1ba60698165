"""What a call amounts to: who answers it, or what is said of one nobody can."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain.calls import TOOL_FAILED
from domain.completion import ToolCall
from domain.toolbox import LONGEST_DELAY, SETTLING, Toolbox


def asked(name: str, **arguments: Any) -> Any:
    return Toolbox(SETTLING).asking(ToolCall(name=name, arguments=json.dumps(arguments)))


@pytest.mark.parametrize("seconds", [True, False, 0, -1, 1.5, "1", None, [1], LONGEST_DELAY + 1])
def test_a_delay_is_a_whole_number_of_seconds(seconds: Any) -> None:
    call = asked("_delay", seconds=seconds)

    assert (call.answered, call.failed, call.code, call.wait_seconds) == (True, True, TOOL_FAILED, None)
    assert call.result.startswith("seconds: a whole number from 1 to ")


def test_a_delay_is_waited_for() -> None:
    call = asked("_delay", seconds=60)

    assert (call.answered, call.failed, call.code, call.wait_seconds) == (False, False, None, 60)


def test_a_tool_that_is_not_there_is_answered_with_those_that_are() -> None:
    call = asked("look")

    assert (call.kind, call.failed, call.code) == ("unknown", True, TOOL_FAILED)
    assert "_success, _failure, _delay" in call.result
