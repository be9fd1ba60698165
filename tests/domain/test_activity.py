"""Activities: what callers may send as one."""

from __future__ import annotations

from typing import Any

import pytest

from domain.activity import Activity, problem, read

RIGHT: list[dict[str, Any]] = [
    {"type": "request", "function": {"name": "f"}},
    {"type": "request", "function": {"name": "f", "arguments": {"a": [1]}}, "id": "run_1/2"},
    {"type": "response", "function": {"name": "f", "arguments": '{"a":', "result": 0}, "failed": True},
    {"type": "trigger", "function": {"name": "f", "arguments": None}},
]
WRONG: list[tuple[Any, str]] = [
    (None, "meta.activity"),
    ([], "meta.activity"),
    ("request", "meta.activity"),
    ({}, "meta.activity.type"),
    ({"type": "call", "function": {"name": "f"}}, "meta.activity.type"),
    ({"type": "request"}, "meta.activity.function"),
    ({"type": "request", "function": "f"}, "meta.activity.function"),
    ({"type": "request", "function": {}}, "meta.activity.function.name"),
    ({"type": "request", "function": {"name": 1}}, "meta.activity.function.name"),
    ({"type": "request", "function": {"name": "f", "args": {}}}, "meta.activity.function.args"),
    ({"type": "request", "function": {"name": "f"}, "id": 1}, "meta.activity.id"),
    ({"type": "request", "function": {"name": "f"}, "failed": "yes"}, "meta.activity.failed"),
]


@pytest.mark.parametrize("raw", RIGHT)
def test_an_activity_is_read_as_it_was_written(raw: dict[str, Any]) -> None:
    found = read(raw)

    assert problem({"activity": raw, "mine": 1}) is None
    assert isinstance(found, Activity)
    assert found.meta() == {"activity": raw}


@pytest.mark.parametrize(("raw", "named"), WRONG)
def test_what_is_none_is_not_read_and_said_to_be_wrong_by_the_name_of_its_field(raw: Any, named: str) -> None:
    assert read(raw) is None
    assert named in (problem({"activity": raw}) or "")


@pytest.mark.parametrize("arguments", [[], 1, True])
def test_arguments_are_an_object_or_json_text(arguments: Any) -> None:
    raw = {"type": "request", "function": {"name": "f", "arguments": arguments}}

    assert "arguments" in (problem({"activity": raw}) or "")


def test_an_activity_message_without_meta_lacks_its_activity() -> None:
    assert "meta.activity" in (problem(None) or "")
    assert "meta.activity" in (problem({}) or "")
