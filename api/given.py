"""Messages as callers hand them in."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from api.bodies import Body, Name, Text, deep, plain, short
from domain.activity import problem
from domain.conversation import MessageType, NewMessage
from domain.plain import BYTES

_LONG = frozenset({"arguments", "result"})


class GivenMessage(Body):
    type: MessageType
    text: Text
    """May be empty; what an activity message says is in its meta."""
    meta: dict[str, Any] | None = None
    """Of an activity message, `activity` is `{type, function: {name, arguments, result}}`: a call of a tool,
    or what came of it."""
    name: Name | None = None
    description: Text | None = None

    @field_validator("meta")
    @classmethod
    def _bounded(cls, meta: dict[str, Any] | None, info: ValidationInfo) -> dict[str, Any] | None:
        return _active(meta) if info.data.get("type") == "activity" else short(plain(meta))

    @model_validator(mode="after")
    def _called(self) -> Self:
        wrong = problem(self.meta) if self.type == "activity" else None
        if wrong is not None:
            raise ValueError(wrong)
        return self


def _active(meta: dict[str, Any] | None) -> dict[str, Any] | None:
    """Arguments and result may each be all that a tool takes and gives: they come back as they were told."""
    act = (meta or {}).get("activity")
    function = act.get("function") if isinstance(act, dict) else None
    if meta is None or not isinstance(act, dict) or not isinstance(function, dict):
        return short(plain(meta))
    for part in _LONG & function.keys():
        short(deep(function[part]), most=BYTES)
    rest = {name: value for name, value in function.items() if name not in _LONG}
    short(deep(meta | {"activity": act | {"function": rest}}), most=BYTES)
    return meta


def new_messages(given: tuple[GivenMessage, ...]) -> tuple[NewMessage, ...]:
    return tuple(
        NewMessage(type=m.type, text=m.text, meta=m.meta, name=m.name, description=m.description)
        for m in given
    )
