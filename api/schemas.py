"""JSON Schemas of what is taken and given, from the models that parse and render."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from types import UnionType
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from api.bodies import Body
from api.lines import Lines
from api.signature import Listed
from api.wire import Item

Schema = dict[str, Any]

_REF = "#/components/schemas/"
_NULL = {"type": "null"}
_SEQ = {"type": "integer", "minimum": 0, "description": "Its place in the stream; it only rises."}
_DATED = {
    "createdAt": {"type": "integer", "description": "When it happened, in epoch milliseconds."},
    "id": {"type": "string", "description": "The stream goes on after it: in `after`, or as Last-Event-ID."},
}
_CURSOR = {"type": "string", "description": "Where the next page begins; empty when there is nothing here."}


class Components:
    """The schemas of a document, each once; whoever asks for one gets a reference to it."""

    def __init__(self, bodies: Iterable[type[Body]], items: Iterable[type[Item]]) -> None:
        self._refs: dict[Any, Schema] = {}
        self.schemas: dict[str, Schema] = {}
        self._add(bodies, "validation")
        self._add(items, "serialization")

    def _add(self, models: Iterable[type[BaseModel]], mode: JsonSchemaMode) -> None:
        refs, told = models_json_schema([(model, mode) for model in models], ref_template=_REF + "{model}")
        for (model, _), schema in refs.items():
            self._refs[model] = _renamed(schema)
        for name, schema in _renamed(told.get("$defs", {})).items():
            _without_titles(schema)
            if mode == "serialization":
                _as_shown(schema)
            assert self.schemas.setdefault(name, schema) == schema, f"two models are called {name}"

    def of(self, model: Any) -> Schema:
        """A body's or an Item's; of several Items with `|` between them, any of theirs."""
        if isinstance(model, UnionType):
            return {"anyOf": [self.of(one) for one in get_args(model)]}
        return self._refs[model]

    def page(self, listed: Listed) -> Schema:
        """A list's answer in JSON."""
        items = {"type": "array", "items": self.of(listed.item)}
        return self._named(f"{listed.stem}Page", _object(items=items, cursor=_CURSOR))

    def line(self, lines: Lines) -> Schema:
        """One line of a stream."""
        seq = {"seq": _SEQ} if lines.numbered else {}
        own = {} if lines.inside else seq | (_DATED if lines.dated else {})
        carried = [
            _object(type={"const": type_}, data=self.of(model), **own)
            for type_, model in lines.carried.items()
        ]
        schema: Schema = carried[0] if len(carried) == 1 else {"oneOf": carried}
        if lines.inside:
            data: Schema = {"anyOf": [schema, {"type": "object"}]} if lines.published else schema
            schema = _object(type={"const": "message"}, data=data, **seq)
        return self._named(lines.name, schema)

    def event(self, lines: Lines) -> Schema:
        """One event of a stream: a line as its data."""
        line = {"type": "string", "contentMediaType": "application/json", "contentSchema": self.line(lines)}
        return _object(data=line, **({"id": {"type": "string"}} if lines.numbered or lines.dated else {}))

    def _named(self, name: str, schema: Schema) -> Schema:
        assert self.schemas.setdefault(name, schema) == schema, f"two schemas are called {name}"
        return {"$ref": _REF + name}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": [*properties]}


def _renamed(told: Mapping[str, Any]) -> Any:
    """Models of one name in two modules are told apart by the module's: `ConversationsCreate`."""
    long = re.compile(r"\bapi__(\w+?)__(\w+)")
    return json.loads(long.sub(lambda found: found[1].title() + found[2], json.dumps(told)))


def _without_titles(schema: Any) -> None:
    """Pydantic's titles are the names over again."""
    if isinstance(schema, dict):
        if isinstance(schema.get("title"), str):
            del schema["title"]
        for part in schema.values():
            _without_titles(part)
    elif isinstance(schema, list):
        for part in schema:
            _without_titles(part)


def _as_shown(schema: Schema) -> None:
    """What `Item.shown` makes of an object: what is null is not there, everything else always is."""
    properties: dict[str, Schema] = schema.get("properties", {})
    required = []
    for name, field in properties.items():
        choices = [choice for choice in field.get("anyOf", []) if choice != _NULL]
        if _NULL not in field.get("anyOf", []):
            required.append(name)
        elif len(choices) == 1:
            field.update(choices[0])
            del field["anyOf"]
        else:
            field["anyOf"] = choices
        field.pop("default", None)
        field.pop("readOnly", None)
    if required:
        schema["required"] = required
    else:
        schema.pop("required", None)
