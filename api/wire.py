"""How objects look on the wire: camelCase, times as epoch milliseconds, nothing that is null."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic.alias_generators import to_camel


def millis(at: datetime | None) -> int | None:
    return None if at is None else int(at.timestamp() * 1000)


At = Annotated[int, BeforeValidator(millis)]


def iso(at: datetime | None) -> str | None:
    return None if at is None else f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z"


Iso = Annotated[str, BeforeValidator(iso), Field(json_schema_extra={"format": "date-time"})]
"""Two times are text on the wire: the official Python client reads no number there (contract §1.4)."""


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
