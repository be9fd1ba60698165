"""Events: rendered once, as ASCII on one line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain import events
from domain.account import Caller
from domain.completion import Usage
from domain.conversation import NewMessage
from domain.events import Result
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


def result(message_id: str | None = "msg_1", text: str = "hi", reason: str = "stop") -> Result:
    return Result("run_1", message_id, text, 5, reason)


def test_a_result_is_said_twice_for_the_two_halves_of_a_turn() -> None:
    received, ended = events.over(result())

    assert (received.type, ended.type) == ("receiveResult", "result")
    assert received.data == ended.data
    assert json.loads(ended.data) == {
        "id": "msg_1",
        "text": "hi",
        "usage": {"token": 5},
        "end": {"reason": "stop"},
        "runId": "run_1",
    }


def test_a_message_is_told_with_its_id_where_it_is_kept() -> None:
    message = NewMessage(type="bot", text="hi")

    assert json.loads(events.kept(message, "msg_1").data) == {"type": "bot", "text": "hi", "id": "msg_1"}
    assert "id" not in json.loads(events.kept(message, None).data)


def test_the_tokens_of_every_call_of_a_model_are_told() -> None:
    answer = Answer(text="hi", reason="stop", usage=Usage(input_tokens=3, output_tokens=2), model="m")

    assert json.loads(events.used(answer).data) == {
        "model": "m",
        "inputTokensUsed": 3,
        "outputTokensUsed": 2,
    }


def test_a_stateless_answer_has_no_message_id() -> None:
    assert "id" not in result(None).body()


@pytest.mark.parametrize(("ending", "reason"), [(CANCELED, "canceled"), (interrupted(CALLER), "interrupted")])
def test_a_run_that_was_stopped_says_why_and_what_it_had_said(ending: Ending, reason: str) -> None:
    told = events.stopped(result(text="so far", reason="abort"), ending)

    assert [event.type for event in told] == ["abort", "result"]
    assert json.loads(told[0].data) == {"reason": reason}
    last = json.loads(told[1].data)
    assert (last["text"], last["end"], last["id"]) == ("so far", {"reason": "abort"}, "msg_1")


def test_a_run_that_failed_ends_with_an_error_and_no_result() -> None:
    (error,) = events.stopped(result(None), failed("MODEL_BROKEN", "It broke."))

    assert error.type == "error"
    assert json.loads(error.data) == {"message": "It broke.", "code": "MODEL_BROKEN", "runId": "run_1"}


def test_what_ends_a_channel_is_known_to_every_client() -> None:
    assert events.TERMINAL | events.TOKENS <= events.TYPED
    assert len(events.TYPED) == 11
