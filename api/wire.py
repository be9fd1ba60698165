"""How objects look on the wire: camelCase, times as epoch milliseconds, nothing that is null."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict
from pydantic.alias_generators import to_camel


def millis(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


At = Annotated[int, BeforeValidator(millis)]


class Item(BaseModel):
    """One object in an answer, made from a domain object of the same shape."""

    model_config = ConfigDict(
        from_attributes=True,
        frozen=True,
        alias_generator=to_camel,
        validate_by_name=True,
        use_attribute_docstrings=True,
    )

    def shown(self) -> dict[str, Any]:
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        """Whatever `shown` may have, in the order of a table's columns."""
        return tuple(to_camel(name) for name in cls.model_fields)


class Made(Item):
    """The object a call made or touched."""

    id: str


class Object(Item):
    """What every stored object shows."""

    id: str
    name: str | None = None
    description: str | None = None
    meta: dict[str, Any] = {}
    created_at: At
    updated_at: At
