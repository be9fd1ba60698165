"""Parsing at the door: bytes become a frozen model, or a 4xx that says what is wrong where."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    StringConstraints,
    ValidationError,
)
from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from api import crowds
from domain.base import Frozen
from domain.errors import BadRequest, HoldfastError, NotServed
from domain.meta import META_BYTES
from domain.model import LONGEST
from domain.plain import within

TEXT_LIMIT = 1_000_000
NAME_LIMIT = 1_000
META_DEPTH = 8
META_ITEMS = 1_000
_NUL = b"\\u0000"


class Body(Frozen):
    """A request body: camelCase on the wire, unknown keys refused, no coercion."""

    model_config = ConfigDict(
        alias_generator=to_camel, strict=True, hide_input_in_errors=True, use_attribute_docstrings=True
    )

    NOT_SERVED: ClassVar[frozenset[str]] = frozenset()
    """Upstream's fields of this operation that this server does not serve: 501 instead of 400.

    Those inside others have their whole path as a name, without numbers: `extensions.skillsets.name`.
    """

    def given(self) -> dict[str, Any]:
        """The fields the caller named, by column name; null ones are among them."""
        return {name: getattr(self, name) for name in self.model_fields_set}

    @cached_property
    def asked(self) -> str:
        """One text for the same fields, in whatever order they and the members in them are."""
        # Piece by piece: nobody else's Python runs while one is written.
        return ", ".join(f'"{name}": {_written(self, name)}' for name in sorted(self.model_fields_set))


class Nothing(Body):
    """A call that takes no fields."""


B = TypeVar("B", bound=Body)
J = TypeVar("J")
"""Free JSON."""


def parse(model: type[B], raw: bytes) -> B:
    """Of a long one this takes up to a second, in which Python is never held for long."""
    crowds.check(raw)
    try:
        parsed = model.model_validate_json(raw or b"{}")
    except ValidationError as error:
        raise _refusal(model, error.errors(include_url=False, include_context=False)) from None
    # Postgres holds no NUL.
    if _has_nul(raw):
        raise BadRequest("The body contains a NUL character (\\u0000), which cannot be stored; remove it.")
    return parsed


def _refusal(model: type[Body], problems: list[ErrorDetails]) -> HoldfastError:
    unknown = [problem["loc"] for problem in problems if problem["type"] == "extra_forbidden"]
    for place in unknown:
        name = ".".join(part for part in place if isinstance(part, str))
        if name in model.NOT_SERVED:
            return NotServed(f"{name}: this server does not serve this field yet; leave it out.")
    return BadRequest("; ".join(_sentence(problem) for problem in problems[:10]))


def _sentence(problem: ErrorDetails) -> str:
    where = ".".join(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        return f"{where[:200]}: unknown field"
    return f"{where[:200]}: {problem['msg']}" if where else problem["msg"]


def _has_nul(raw: bytes) -> bool:
    """Whether the escape of it stands there, in what is JSON."""
    at = raw.find(_NUL)
    while at >= 0:
        first = at
        while raw[first - 1 : first] == b"\\":
            first -= 1
        if (at - first) % 2 == 0:
            return True
        at = raw.find(_NUL, at + 1)
    return False


def _written(body: Body, name: str) -> str:
    """A field as JSON, its members sorted."""
    value = getattr(body, name)
    if isinstance(value, tuple) and value and all(isinstance(item, Body) for item in value):
        items = (item.model_dump(mode="json", exclude_unset=True) for item in value)
        return f"[{', '.join(json.dumps(item, sort_keys=True) for item in items)}]"
    told = body.model_dump(mode="json", exclude_unset=True, include={name})
    return json.dumps(told[name], sort_keys=True)


def plain(value: J) -> J:
    """Free JSON that can be stored and given back as it came: bounded, no NaN, no numbers beyond 64 bits."""
    within(value, META_DEPTH, META_ITEMS)
    return value


def deep(value: J) -> J:
    """The same of what tools take and give: schemas, arguments and results go deeper than meta."""
    within(value)
    return value


def short(value: J, *, most: int = META_BYTES) -> J:
    if len(json.dumps(value, ensure_ascii=False).encode(errors="surrogatepass")) > most:
        raise ValueError(f"larger than {most} bytes")
    return value


def _whole(value: Any) -> Any:
    """In JSON 5.0 is an integer too; there are languages that write it so."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, StringConstraints(max_length=TEXT_LIMIT)]
Spoken = Annotated[
    str,
    StringConstraints(max_length=TEXT_LIMIT, strip_whitespace=True, min_length=1),
    Field(json_schema_extra={"pattern": r"\S"}),
]
"""What a user says: trimmed, and something."""
Model = Annotated[Text, Field(json_schema_extra={"minLength": 1, "maxLength": LONGEST})]
"""A model string; `domain.model.parse` says what is wrong with one."""
Name = Annotated[str, StringConstraints(max_length=NAME_LIMIT)]
Id = Annotated[str, StringConstraints(max_length=255, min_length=1)]
Free = Annotated[dict[str, Any], AfterValidator(plain)]
Meta = Annotated[Free, AfterValidator(short)]
WHOLE = BeforeValidator(_whole)
"""Behind the bounds of an integer: it may be written with a fraction of nothing."""
Millis = Annotated[int, Field(ge=0, le=253_402_300_799_000), WHOLE]
"""A time as epoch milliseconds, up to the year 9999."""


def _moment(value: int) -> Any:
    return datetime.fromtimestamp(value / 1000, UTC)


Moment = Annotated[
    Millis, AfterValidator(_moment), PlainSerializer(lambda at: at, return_type=datetime, when_used="json")
]
"""The same, parsed: a datetime."""


def _ahead(at: Any) -> Any:
    if at <= datetime.now(UTC):
        raise ValueError("lies in the past; delete it to have it removed now")
    return at


Ahead = Annotated[Moment, AfterValidator(_ahead)]
"""A time that is to come, when something is removed."""


class Named(Body):
    """What every object may carry."""

    name: Name | None = None
    description: Text | None = None
    meta: Meta | None = None
