"""Prompts: what a model sees of a conversation."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.completion import Prompt, ToolCall
from domain.conversation import MessageType
from domain.prompts import UNFINISHED, Person, Said, about, clock, prompts


def user(text: str) -> Said:
    return Said("user", text)


def bot(text: str, carry: str | None = None) -> Said:
    return Said("bot", text, carry=carry)


def activity(type_: str, name: str, *, carry: str | None = None, **more: Any) -> Said:
    """`arguments` and `result` are the function's; all else is the activity's."""
    function = {"name": name} | {key: more.pop(key) for key in ("arguments", "result") if key in more}
    return Said("activity", "", {"type": type_, "function": function, **more}, carry)


def request(name: str, **more: Any) -> Said:
    return activity("request", name, **more)


def response(name: str, **more: Any) -> Said:
    return activity("response", name, **more)


def calling(text: str, *calls: tuple[int, str, str], carry: str | None = None) -> Prompt:
    """An assistant's message: (number, name, arguments) of each call."""
    asked = tuple((f"call_{n}", ToolCall(name=name, arguments=arguments)) for n, name, arguments in calls)
    return Prompt(role="assistant", text=text, calls=asked, carry=carry)


def told(number: int, text: str) -> Prompt:
    return Prompt(role="tool", text=text, call_id=f"call_{number}")


HI = Prompt(role="user", text="hi")


def test_the_opening_paragraphs_are_one_system_prompt() -> None:
    assert prompts(("one", None, "", "two"), []) == (Prompt(role="system", text="one\n\ntwo"),)


def test_nothing_to_open_with_is_no_prompt() -> None:
    assert prompts((None, ""), [user("hi")]) == (HI,)


def test_every_kind_of_message_has_its_role_or_is_for_people_only() -> None:
    said = prompts((), [Said(kind, kind) for kind in get_args(MessageType)])

    assert {prompt.text: prompt.role for prompt in said} == {
        "user": "user",
        "bot": "assistant",
        "context": "system",
        "instruction": "system",
        "backstory": "system",
    }


# Calls and what came of them.


def test_a_call_is_followed_by_its_result() -> None:
    said = [user("hi"), request("add", arguments={"a": 1}), response("add", arguments={"a": 1}, result=2)]

    assert prompts((), said) == (HI, calling("", (1, "add", '{"a":1}')), told(1, "2"))


def test_the_text_right_before_a_call_belongs_to_it_and_its_carry_is_the_carry_of_both() -> None:
    said = [bot("Let me see.", "opaque"), request("look"), response("look", result="x"), bot("Done.", "more")]

    assert prompts((), said) == (
        calling("Let me see.", (1, "look", "{}"), carry="opaque"),
        told(1, "x"),
        calling("Done.", carry="more"),
    )


def test_a_text_with_something_between_it_and_a_call_stands_alone() -> None:
    said = [bot("Hello."), user("hi"), request("look"), response("look", result="x")]

    assert prompts((), said) == (calling("Hello."), HI, calling("", (1, "look", "{}")), told(1, "x"))


def test_what_models_do_not_see_is_nothing_in_between() -> None:
    said = [
        bot("Hm."),
        Said("reasoning", "thinking"),
        request("look"),
        Said("checkpoint", ""),
        request("hear"),
    ]

    assert prompts((), said)[0] == calling("Hm.", (1, "look", "{}"), (2, "hear", "{}"))


def test_a_call_without_a_text_brings_its_own_carry() -> None:
    said = [request("a", carry="opaque"), request("b"), response("a", result=""), response("b", result="")]

    assert prompts((), said)[0] == calling("", (1, "a", "{}"), (2, "b", "{}"), carry="opaque")


def test_what_brings_another_carry_is_another_reply() -> None:
    said = [bot("First."), request("a", carry="x"), request("b", carry="y"), request("c", carry="y")]

    assert prompts((), said) == (
        calling("First."),
        calling("", (1, "a", "{}"), carry="x"),
        told(1, UNFINISHED),
        calling("", (2, "b", "{}"), (3, "c", "{}"), carry="y"),
        told(2, UNFINISHED),
        told(3, UNFINISHED),
    )


def test_calls_in_a_row_are_parallel_and_their_results_come_in_the_order_of_the_calls() -> None:
    said = [
        request("a", arguments={"n": 1}),
        request("a", arguments={"n": 2}),
        response("a", arguments={"n": 2}, result="two"),
        response("a", arguments='{ "n": 1 }', result="one"),
    ]

    assert prompts((), said) == (
        calling("", (1, "a", '{"n":1}'), (2, "a", '{"n":2}')),
        told(1, "one"),
        told(2, "two"),
    )


def test_calls_one_after_the_other_are_not_parallel() -> None:
    said = [request("a"), response("a", result=1), request("b"), response("b", result=2)]

    assert prompts((), said) == (
        calling("", (1, "a", "{}")),
        told(1, "1"),
        calling("", (2, "b", "{}")),
        told(2, "2"),
    )


def test_a_result_is_told_at_once_though_its_response_came_late() -> None:
    said = [request("a", id="run_1/2"), user("hi"), bot("Wait."), response("a", id="run_1/2", result="late")]

    assert prompts((), said) == (calling("", (1, "a", "{}")), told(1, "late"), HI, calling("Wait."))


def test_a_call_without_a_response_is_said_not_to_be_finished() -> None:
    assert prompts((), [request("a"), user("hi")]) == (calling("", (1, "a", "{}")), told(1, UNFINISHED), HI)


def test_a_response_without_a_request_gets_one() -> None:
    assert prompts((), [response("a", arguments={"n": 1}, result="x"), user("hi")]) == (
        calling("", (1, "a", '{"n":1}')),
        told(1, "x"),
        HI,
    )


@pytest.mark.parametrize(
    ("result", "text"),
    [
        ("as it is\n", "as it is\n"),
        ("", ""),
        ({"a": [1, "é"]}, '{"a":[1,"é"]}'),
        (0, "0"),
        (False, "false"),
        (None, "null"),
    ],
)
def test_results_are_texts_or_compact_json(result: Any, text: str) -> None:
    assert prompts((), [request("a"), response("a", result=result)])[1] == told(1, text)


def test_a_failed_result_says_that_it_is_an_error() -> None:
    said = [request("a"), response("a", result="no such city", failed=True)]

    assert prompts((), said)[1] == told(1, "Error: no such city")


def test_arguments_stay_as_the_model_wrote_them() -> None:
    written = ('{"broken":', "", "  ", '{ "a": 1 }')
    said = [request("a", arguments=arguments) for arguments in written]

    (reply, *_) = prompts((), said)

    assert [call.arguments for _, call in reply.calls] == ['{"broken":', "{}", "{}", '{ "a": 1 }']


def test_a_name_that_no_provider_takes_is_written_in_letters_it_takes() -> None:
    said = [request(name) for name in ("búsqueda web", "", "$x", "n" * 65, "kept_As-is9")]

    (reply, *_) = prompts((), said)

    assert [call.name for _, call in reply.calls] == ["b_squeda_web", "_", "_x", "n" * 64, "kept_As-is9"]


def test_a_trigger_is_told_by_the_user() -> None:
    said = [activity("trigger", "alarm", arguments={"at": "six"}), activity("trigger", "bell")]

    assert [(prompt.role, json.loads(prompt.text)) for prompt in prompts((), said)] == [
        ("user", {"name": "alarm", "arguments": {"at": "six"}}),
        ("user", {"name": "bell", "arguments": {}}),
    ]


@pytest.mark.parametrize(
    "raw", [None, {}, [], "request", 1, {"type": "request"}, {"type": "x", "function": {}}]
)
def test_an_activity_that_cannot_be_read_is_not_shown(raw: Any) -> None:
    assert prompts((), [Said("activity", "text", raw), user("hi")]) == (HI,)


def test_an_activity_counts_on_activity_messages_only() -> None:
    assert prompts((), [user("hi")._replace(activity=request("a").activity)]) == (HI,)


texts = st.text(max_size=3)
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
few = st.sampled_from(["a", "b"])
activities = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["request", "response", "trigger"]),
        "function": st.fixed_dictionaries(
            {"name": few | texts},
            optional={
                "arguments": st.sampled_from([{}, "{}", {"n": 1}, '{"n":1.0}']) | anything,
                "result": anything,
            },
        ),
    },
    optional={"id": st.none() | few, "failed": st.booleans()},
)
carries = st.none() | few
messages = st.one_of(
    st.builds(
        Said, st.sampled_from(get_args(MessageType)), texts, st.none() | activities | anything, carries
    ),
    st.builds(Said, st.just("activity"), texts, activities, carries),
    st.builds(Said, st.just("bot"), texts, st.none(), carries),
)


@given(st.lists(messages, max_size=12))
def test_whatever_was_said_each_call_is_followed_by_its_results_and_by_nothing_else(said: list[Said]) -> None:
    shown = [*prompts((), said)]
    ids: list[str] = []
    while shown:
        prompt = shown.pop(0)
        assert prompt.role != "tool"
        assert prompt.call_id is None
        for call_id, call in prompt.calls:
            assert prompt.role == "assistant"
            assert call.name
            assert call.arguments
            result = shown.pop(0)
            assert (result.role, result.call_id, result.calls) == ("tool", call_id, ())
            ids.append(call_id)
    assert ids == [f"call_{n + 1}" for n in range(len(ids))]


@given(st.lists(messages, max_size=12))
def test_whatever_was_said_every_text_is_there_in_its_order(said: list[Said]) -> None:
    roles = {"user": "user", "bot": "assistant"}
    kinds = {"user", "bot", "context", "instruction", "backstory"}
    written = [(roles.get(one.type, "system"), one.text) for one in said if one.type in kinds]
    triggers = {
        one.text for one in prompts((), [o for o in said if o.type == "activity"]) if one.role == "user"
    }

    shown = [(p.role, p.text) for p in prompts((), said) if p.role != "tool"]

    # What is shown besides: replies without a text of their own, and triggers.
    besides = [one for one in shown if one == ("assistant", "") or (one[0] == "user" and one[1] in triggers)]
    assert is_within(written, shown)
    assert len(shown) <= len(written) + len(besides)


def is_within(part: list[Any], whole: list[Any]) -> bool:
    """Whether all of it is there, in its order."""
    rest = iter(whole)
    return all(one in rest for one in part)


@given(st.lists(messages, max_size=12))
def test_whatever_was_said_each_activity_that_can_be_read_is_shown_once(said: list[Said]) -> None:
    shown = prompts((), said)
    calls = sum(len(prompt.calls) for prompt in shown)
    of_type = [one.activity["type"] for one in said if one.type == "activity" and prompts((), [one])]
    requests, responses = of_type.count("request"), of_type.count("response")
    unfinished = sum(prompt.role == "tool" and prompt.text == UNFINISHED for prompt in shown)

    assert max(requests, responses) <= calls <= requests + responses
    assert calls == requests + responses - (requests - unfinished)


def test_a_person_is_told_by_name_nick_and_preferences() -> None:
    said = about(Person(name="Ada", nick="A", preferences="short answers"))

    assert said is not None
    assert said.splitlines()[1:] == ["Name: Ada", "Called: A", "Preferences: short answers"]


def test_somebody_unknown_is_not_told_of() -> None:
    assert about(None) is None
    assert about(Person()) is None
    assert about(Person(name="")) is None


def test_the_time_is_told_in_the_users_zone_and_only_to_who_named_one() -> None:
    noon = datetime(2026, 7, 1, 12, 0, tzinfo=UTC)

    assert clock(noon, "Asia/Tokyo") == "The user's local time is Wednesday, 2026-07-01 21:00 (Asia/Tokyo)."
    assert (
        clock(noon, "Europe/London")
        == "The user's local time is Wednesday, 2026-07-01 13:00 (Europe/London)."
    )
    assert clock(noon, None) is None
