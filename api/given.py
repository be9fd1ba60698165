"""Messages as callers hand them in."""

from __future__ import annotations

from typing import Any, Self

from pydantic import ValidationInfo, field_validator, model_validator

from api.bodies import TEXT_LIMIT, Body, Name, Text, deep, plain, short
from domain.activity import problem
from domain.conversation import MessageType, NewMessage


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
        """What tools gave is as large as a text; it comes back to us as it was told in a stream."""
        if info.data.get("type") == "activity":
            return short(deep(meta), most=TEXT_LIMIT)
        return short(plain(meta))

    @model_validator(mode="after")
    def _active(self) -> Self:
        wrong = problem(self.meta) if self.type == "activity" else None
        if wrong is not None:
            raise ValueError(wrong)
        return self


def new_messages(given: tuple[GivenMessage, ...]) -> tuple[NewMessage, ...]:
    return tuple(
        NewMessage(type=m.type, text=m.text, meta=m.meta, name=m.name, description=m.description)
        for m in given
    )
