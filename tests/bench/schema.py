"""A judge of JSON by the part of JSON Schema 2020-12 that the result's schema uses."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "integer": (int,),
    "boolean": (bool,),
    "null": (type(None),),
}
LIMITS: dict[str, tuple[tuple[type, ...], Callable[[Any, Any], bool]]] = {
    "minimum": (TYPES["number"], lambda value, least: value >= least),
    "maximum": (TYPES["number"], lambda value, most: value <= most),
    "minLength": ((str,), lambda value, least: len(value) >= least),
    "pattern": ((str,), lambda value, pattern: re.search(pattern, value) is not None),
    "minItems": ((list,), lambda value, least: len(value) >= least),
    "maxItems": ((list,), lambda value, most: len(value) <= most),
    "uniqueItems": ((list,), lambda value, wanted: not wanted or len({*map(repr, value)}) == len(value)),
    "required": ((dict,), lambda value, names: {*names} <= {*value}),
    "enum": ((object,), lambda value, allowed: value in allowed),
}
"""What each keyword limits, and how; it says nothing about values of other types."""
KNOWN = {
    *LIMITS,
    *("$ref", "type", "anyOf", "items", "properties", "additionalProperties"),
    *("$schema", "$defs", "title", "description"),
}


class Judge:
    """Of one schema. A keyword it does not know is an error, not a pass."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._root = schema

    def faults(self, value: Any) -> list[str]:
        return list(self._faults(value, self._root, "$"))

    def _faults(self, value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
        assert {*schema} <= KNOWN, {*schema} - KNOWN
        if "$ref" in schema:
            yield from self._faults(
                value, self._root["$defs"][schema["$ref"].removeprefix("#/$defs/")], place
            )
        if "type" in schema and not _is(value, schema["type"]):
            yield f"{place} is not {schema['type']}"
            return
        for name, (types, holds) in LIMITS.items():
            if name in schema and isinstance(value, types) and not holds(value, schema[name]):
                yield f"{place}: {name} {schema[name]}"
        if "anyOf" in schema and all([*self._faults(value, one, place)] for one in schema["anyOf"]):
            yield f"{place} is none of anyOf"
        yield from self._inside(value, schema, place)

    def _inside(self, value: Any, schema: dict[str, Any], place: str) -> Iterator[str]:
        if isinstance(value, list) and "items" in schema:
            for number, one in enumerate(value):
                yield from self._faults(one, schema["items"], f"{place}[{number}]")
        if isinstance(value, dict) and "properties" in schema:
            # The schema is strict everywhere, so no other reading of a name is needed.
            assert schema["additionalProperties"] is False, place
            yield from (f"{place}.{name} is unknown" for name in value if name not in schema["properties"])
            for name in {*value} & {*schema["properties"]}:
                yield from self._faults(value[name], schema["properties"][name], f"{place}.{name}")


def _is(value: Any, types: str | list[str]) -> bool:
    """As JSON sees it: true is no number."""
    allowed = [types] if isinstance(types, str) else types
    if isinstance(value, bool):
        return "boolean" in allowed
    return any(isinstance(value, TYPES[name]) for name in allowed)
