"""Activity messages: a call of a tool and what came of it, as they stand in a conversation."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ValidationError

from domain.base import Frozen


class Called(Frozen):
    """`meta.activity.function`."""

    name: str
    arguments: Any = None
    """An object; callers may also send it as JSON text."""
    result: Any = None


class Activity(Frozen):
    """`meta.activity` of a message of type activity (contract §3.2; `id` and `failed` are ours)."""

    type: Literal["request", "response", "trigger"]
    function: Called
    id: str | None = None
    """Pairs a request with its response, where this server made them: the run and the ordinal of its step.
    Those of callers are paired by name and arguments."""
    failed: bool = False
    """The result says what went wrong."""

    def meta(self) -> dict[str, Any]:
        return {"activity": self.model_dump(exclude_unset=True)}


def read(raw: Any) -> Activity | None:
    """An activity from `meta.activity`, as it came; None for what is none."""
    try:
        return Activity.model_validate(raw, strict=True)
    except ValidationError:
        return None


def problem(meta: dict[str, Any] | None) -> str | None:
    """What keeps the meta of an activity message from being one; None where nothing does."""
    raw = (meta or {}).get("activity")
    if raw is None:
        return "an activity message needs meta.activity: {type, function: {name, arguments, result}}"
    try:
        arguments = Activity.model_validate(raw, strict=True).function.arguments
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        where = ".".join(("meta.activity", *(str(part)[:200] for part in first["loc"])))
        return f"{where}: {first['msg']}"
    if not isinstance(arguments, dict | str | None):
        return "meta.activity.function.arguments: send an object, or one as JSON text"
    return None
