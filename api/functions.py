"""Functions that come with a request: what the model may call, and who answers."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, StringConstraints, model_validator

from api.bodies import WHOLE, Body, Text, deep, short
from domain.tools import Function

MOST = 100
LONGEST_WAIT = 2_592_000
"""Seconds, 30 days."""


def _printable(name: str) -> str:
    if not name.isprintable():
        raise ValueError("a channel's name has no control characters")
    return name


def _object(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object":
        raise ValueError('a JSON Schema of type object is needed: {"type": "object", "properties": {…}}')
    if not isinstance(schema.get("properties", {}), dict):
        raise ValueError("its properties are an object: a schema by the name of each")
    return schema


FunctionName = Annotated[str, StringConstraints(max_length=64, pattern=r"^[A-Za-z][A-Za-z0-9_]*$")]
"""A JavaScript identifier; of these, what models take."""
Channel = Annotated[
    str, StringConstraints(min_length=16, max_length=255, pattern="^[^/]*$"), AfterValidator(_printable)
]
"""What channel/publish takes in its path."""
Parameters = Annotated[
    dict[str, Any],
    AfterValidator(deep),
    AfterValidator(_object),
    Field(json_schema_extra={"properties": {"type": {"const": "object"}}, "required": ["type"]}),
]


class GivenResult(Body):
    """Who answers: `data` at once, or what is published on `channel`; without either, the caller."""

    data: Annotated[Any, AfterValidator(deep)] = None
    """The answer itself, whatever it is: null, false and 0 too."""
    channel: Channel | None = None
    wait_seconds: Annotated[int, Field(ge=1, le=LONGEST_WAIT), WHOLE] | None = None
    """How long `channel` is waited on."""

    @property
    def known(self) -> bool:
        """That `data` is there decides, not what it is."""
        return "data" in self.model_fields_set

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.known and self.channel is not None:
            raise ValueError("data and channel exclude each other")
        if self.wait_seconds is not None and self.channel is None:
            raise ValueError("waitSeconds needs a channel to wait on")
        return self


class GivenCall(Body):
    """When it is called, besides whenever the model wants to."""

    start: bool | None = None
    """The model is made to call it before anything else; of one function at most."""
    end: bool | None = None
    """Its answer ends the run, unless it failed: then the model hears of that."""


class GivenFunction(Body):
    name: FunctionName
    description: Annotated[Text, StringConstraints(min_length=1)]
    parameters: Parameters
    result: GivenResult | None = None
    call: GivenCall | None = None

    @model_validator(mode="after")
    def _sized(self) -> Self:
        short(self.model_dump(exclude_unset=True))
        return self


def _named_apart(given: tuple[GivenFunction, ...]) -> tuple[GivenFunction, ...]:
    names = [function.name for function in given]
    for name in names:
        if names.count(name) > 1:
            raise ValueError(f"two functions are called {name}")
    if sum(bool(function.call and function.call.start) for function in given) > 1:
        raise ValueError("one function at most has call.start")
    return given


Functions = Annotated[
    tuple[GivenFunction, ...], Field(max_length=MOST, fail_fast=True), AfterValidator(_named_apart)
]


def functions(given: tuple[GivenFunction, ...] | None) -> tuple[Function, ...]:
    return tuple(_function(one) for one in given or ())


def _function(given: GivenFunction) -> Function:
    result, call = given.result or GivenResult(), given.call or GivenCall()
    return Function(
        name=given.name,
        description=given.description,
        parameters=given.parameters,
        kind="data" if result.known else "channel" if result.channel else "caller",
        data=result.data,
        channel=result.channel,
        wait_seconds=result.wait_seconds,
        first=bool(call.start),
        last=bool(call.end),
    )
