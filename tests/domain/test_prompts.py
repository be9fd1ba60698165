"""Prompts: what a model sees of a conversation."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import get_args

from domain.completion import Prompt
from domain.conversation import MessageType
from domain.prompts import Person, about, clock, prompts


def test_the_opening_paragraphs_are_one_system_prompt() -> None:
    assert prompts(("one", None, "", "two"), []) == (Prompt(role="system", text="one\n\ntwo"),)


def test_nothing_to_open_with_is_no_prompt() -> None:
    assert prompts((None, ""), [("user", "hi")]) == (Prompt(role="user", text="hi"),)


def test_every_kind_of_message_has_its_role_or_is_for_people_only() -> None:
    said = prompts((), [(kind, kind) for kind in get_args(MessageType)])

    assert {prompt.text: prompt.role for prompt in said} == {
        "user": "user",
        "bot": "assistant",
        "context": "system",
        "instruction": "system",
        "backstory": "system",
    }


def test_a_person_is_told_by_name_nick_and_preferences() -> None:
    told = about(Person(name="Ada", nick="A", preferences="short answers"))

    assert told is not None
    assert told.splitlines()[1:] == ["Name: Ada", "Called: A", "Preferences: short answers"]


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
