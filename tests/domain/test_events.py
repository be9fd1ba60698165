"""Events: rendered once, as ASCII on one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events
from domain.account import Caller
from domain.completion import Usage
from domain.run import CANCELED, Answer, Ending, failed, interrupted

CALLER = Caller(account_id="acct_1", key_id="key_1")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXTS, st.booleans())
def test_a_token_is_ascii_json_on_one_line_and_comes_back_as_it_was(text: str, reasoning: bool) -> None:
    event = events.token(text, reasoning=reasoning)

    assert event.data.isascii()
    assert "\n" not in event.data
    assert json.loads(event.data) == {"token": text}
    assert event.type == ("reasoningToken" if reasoning else "token")


@given(st.dictionaries(TEXTS, TEXTS | st.integers() | st.none()))
def test_what_is_published_is_ascii_json_on_one_line(message: dict[str, object]) -> None:
    event = events.published(message)

    assert event.data.isascii()
    assert "\n" not in event.data
    assert json.loads(event.data) == message


def test_what_is_no_json_is_never_rendered() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        events.rendered({"x": float("nan")})


def answer() -> Answer:
    return Answer(text="hi", reason="stop", usage=Usage(input_tokens=3, output_tokens=2), model="m")


def test_a_turn_ends_with_its_message_its_usage_and_its_result() -> None:
    told = events.answered("run_1", "msg_1", answer(), (1, 2))

    assert [event.type for event in told] == ["message", "usage", "completeEnd", "receiveResult", "result"]
    message, usage, end, received, result = (json.loads(event.data) for event in told)
    assert message == {"type": "bot", "text": "hi", "id": "msg_1"}
    assert usage == {"model": "m", "inputTokensUsed": 3, "outputTokensUsed": 2}
    assert end == {"iteration": 1, "attempt": 2}
    assert received == result
    assert result == {
        "id": "msg_1",
        "text": "hi",
        "usage": {"token": 5},
        "end": {"reason": "stop"},
        "runId": "run_1",
    }


def test_a_stateless_answer_has_no_message_id() -> None:
    told = events.answered("run_1", None, answer(), (1, 1))

    assert "id" not in json.loads(told[0].data)
    assert "id" not in json.loads(told[-1].data)


@pytest.mark.parametrize(("ending", "reason"), [(CANCELED, "canceled"), (interrupted(CALLER), "interrupted")])
def test_a_run_that_was_stopped_says_why_and_what_it_had_said(ending: Ending, reason: str) -> None:
    told = events.stopped("run_1", "msg_1", "so far", ending)

    assert [event.type for event in told] == ["abort", "result"]
    assert json.loads(told[0].data) == {"reason": reason}
    result = json.loads(told[1].data)
    assert (result["text"], result["end"], result["id"]) == ("so far", {"reason": "abort"}, "msg_1")


def test_a_turn_that_was_stopped_before_it_said_anything_has_an_empty_message_id() -> None:
    assert json.loads(events.stopped("run_1", "", "", CANCELED)[-1].data)["id"] == ""


def test_a_run_that_failed_ends_with_an_error_and_no_result() -> None:
    (error,) = events.stopped("run_1", None, "", failed("MODEL_BROKEN", "It broke."))

    assert error.type == "error"
    assert json.loads(error.data) == {"message": "It broke.", "code": "MODEL_BROKEN", "runId": "run_1"}


def test_what_ends_a_channel_is_known_to_every_client() -> None:
    assert events.TERMINAL | events.TOKENS <= events.TYPED
    assert len(events.TYPED) == 11
