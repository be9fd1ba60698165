"""A parameter of an instruction: how it is written, what a model is told of it, which arguments fit.

    {city: string}                             required
    {limit: integer = 10}                      10 unless given
    {note?: string "What to say."}             may be left out; described
    {unit: "metric" | "imperial" = "metric"}   one of these
    {tags: string[]}                           a list
    {city}                                     the same parameter again

Types are string, integer, number, boolean and object, and lists of the first four. Defaults are JSON.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, get_args

from domain.base import Frozen
from domain.errors import BadArguments, BadRequest

Type = Literal["string", "integer", "number", "boolean", "object"]
SECRET = "secret"
"""The one name that is no parameter's: it stands for the ability's secret."""
LARGEST = 2**63
"""Integers are smaller: longer ones are no numbers to most servers."""

_TYPES: dict[str, Type] = {word: word for word in get_args(Type)}
_NAME = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]*)(\??)[ \t]*")
_TYPE = re.compile(rf"({'|'.join(_TYPES)})\b(\[\])?[ \t]*")
_MARK = {sign: re.compile(rf"{re.escape(sign)}[ \t]*") for sign in (":", "=", "|", "}")}
_SPACES = re.compile(r"[ \t]*")
_UNTOLD = re.compile(r"[\x00\ud800-\udfff]")
_LONGEST_NAME = 64
_DECODER = json.JSONDecoder()
_KINDS: dict[type, str] = {
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "an object",
    type(None): "null",
}


class Parameter(Frozen):
    """What one argument must be."""

    name: str
    type: Type
    many: bool = False
    """A list of that type."""
    choices: tuple[str, ...] = ()
    """Of a string: what it may be; anything where there are none."""
    optional: bool = False
    """May be left out, and has no default then."""
    default: Any = None
    description: str = ""

    @property
    def required(self) -> bool:
        return not self.optional and self.default is None

    @property
    def compound(self) -> bool:
        """More than one word: it stands where structure may."""
        return self.many or self.type == "object"

    def told(self) -> dict[str, Any]:
        """As a JSON Schema."""
        one: dict[str, Any] = {"type": self.type}
        if self.choices:
            one["enum"] = [*self.choices]
        told: dict[str, Any] = {"type": "array", "items": one} if self.many else one
        if self.description:
            told["description"] = self.description
        if self.default is not None:
            told["default"] = self.default
        return told

    def taken(self, value: Any) -> Any:
        """The argument as it is used; BadArguments with a sentence for the model where it does not fit."""
        if not self.many:
            return self._one(value)
        if not isinstance(value, list):
            raise BadArguments(
                f"`{self.name}` must be a list of {self.type}s; it is {_kind(value, self.type)}."
            )
        return [self._one(item) for item in value]

    def _one(self, value: Any) -> Any:
        taken = _TAKERS[self.type](value)
        if taken is None:
            where = "Every item of " if self.many else ""
            article = "an" if self.type[0] in "io" else "a"
            raise BadArguments(
                f"{where}`{self.name}` must be {article} {self.type}; it is {_kind(value, self.type)}."
            )
        if self.choices and taken not in self.choices:
            raise BadArguments(f"`{self.name}` must be one of {', '.join(map(json.dumps, self.choices))}.")
        if isinstance(taken, str) and _UNTOLD.search(taken):
            raise BadArguments(f"`{self.name}` holds a NUL character or half of a surrogate pair.")
        return taken


def schema(parameters: Sequence[Parameter]) -> dict[str, Any]:
    """The JSON Schema of the arguments, for a model."""
    return {
        "type": "object",
        "properties": {parameter.name: parameter.told() for parameter in parameters},
        "required": [parameter.name for parameter in parameters if parameter.required],
        "additionalProperties": False,
    }


def check(parameters: Sequence[Parameter], arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments with defaults, without what was left out; null is left out. Raises BadArguments."""
    if unknown := sorted({*arguments} - {parameter.name for parameter in parameters}):
        known = ", ".join(f"`{parameter.name}`" for parameter in parameters) or "none"
        raise BadArguments(
            f"There is no parameter `{unknown[0][:_LONGEST_NAME]}`; the parameters are: {known}."
        )
    values: dict[str, Any] = {}
    for parameter in parameters:
        given = arguments.get(parameter.name)
        if given is None and parameter.required:
            raise BadArguments(f"`{parameter.name}` is missing, and it is required.")
        given = parameter.default if given is None else given
        if given is not None:
            values[parameter.name] = parameter.taken(given)
    return values


def words(value: Any) -> str:
    """An argument as plain text: a string as it is, anything else as JSON."""
    return value if isinstance(value, str) else to_json(value)


def to_json(value: Any) -> str:
    """In one line, in Unicode."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def read(text: str, at: int) -> tuple[str, Parameter | None, int]:
    """The name at the brace at `at`, the parameter if it is declared there, and where the braces end.

    Raises BadRequest, in words that follow a colon.
    """
    named = _NAME.match(text, at)
    if named is None or len(named[1]) > _LONGEST_NAME:
        raise BadRequest(f"a parameter's name is at most {_LONGEST_NAME} letters, digits and `_`.")
    name, optional, reader = named[1], bool(named[2]), _Reader(text, named.end())
    if reader.sees("}"):
        if optional:
            raise BadRequest(f"`{{{name}?}}` has no type; write `{{{name}?: string}}`.")
        return name, None, reader.at
    if not reader.sees(":"):
        raise BadRequest(
            f"after `{{{name}` comes `:` and a type, or `}}`; write `\\{{` for a brace of the text."
        )
    if name == SECRET:
        raise BadRequest("`secret` is the ability's secret, `{secret}`; call the parameter something else.")
    return name, reader.rest(name, optional), reader.at


class _Reader:
    """Reads what follows the colon of a parameter."""

    def __init__(self, text: str, at: int) -> None:
        self._text = text
        self.at = at

    def sees(self, sign: str) -> bool:
        """Whether the sign is next; it is read then."""
        found = _MARK[sign].match(self._text, self.at)
        self.at = found.end() if found and sign != "}" else self.at + bool(found)
        return found is not None

    def rest(self, name: str, optional: bool) -> Parameter:
        kind, many, choices = self._type(name)
        default = self._json(f"the default of `{name}`") if (given := self.sees("=")) else None
        description = self._string(f"the description of `{name}`") if self._quoted() else ""
        if not self.sees("}"):
            raise BadRequest(f"`{{{name}: …` does not end with `}}` where it should.")
        made = Parameter(
            name=name, type=kind, many=many, choices=choices, optional=optional, description=description
        )
        return _with_default(made, default) if given else made

    def _type(self, name: str) -> tuple[Type, bool, tuple[str, ...]]:
        if self._quoted():
            return "string", False, self._choices(name)
        found = _TYPE.match(self._text, self.at)
        if found is None:
            types = ", ".join(_TYPES)
            raise BadRequest(
                f'`{name}` has no type that there is: {types}, `string[]` or a choice (`"a" | "b"`).'
            )
        self.at = found.end()
        kind = _TYPES[found[1]]
        if kind == "object" and found[2]:
            raise BadRequest(f"`{name}` is a list of objects, which cannot be; `object` may hold a list.")
        return kind, bool(found[2]), ()

    def _choices(self, name: str) -> tuple[str, ...]:
        found = [self._string(f"a choice of `{name}`")]
        while self.sees("|"):
            found.append(self._string(f"a choice of `{name}`"))
        return tuple(found)

    def _quoted(self) -> bool:
        return self._text.startswith('"', self.at)

    def _string(self, what: str) -> str:
        value = self._json(what)
        if not isinstance(value, str) or _UNTOLD.search(value):
            raise BadRequest(f"{what} must be text in double quotes.")
        return value

    def _json(self, what: str) -> Any:
        try:
            value, end = _DECODER.raw_decode(self._text, self.at)
        except (ValueError, RecursionError):
            raise BadRequest(f"{what} is not JSON.") from None
        if "\n" in self._text[self.at : end]:
            raise BadRequest(f"{what} must stand on one line.")
        spaces = _SPACES.match(self._text, end)
        self.at = spaces.end() if spaces else end
        return value


def _with_default(made: Parameter, default: Any) -> Parameter:
    if made.optional:
        raise BadRequest(f"`{made.name}` has a default, so it can be left out anyway; take the `?` away.")
    try:
        taken = made.taken(default)
    except BadArguments as error:
        raise BadRequest(f"the default does not fit: {error.message}") from None
    return made.model_copy(update={"default": taken})


def _kind(value: Any, wanted: Type) -> str:
    """What a value is that was not wanted."""
    if type(value) is int and abs(value) >= LARGEST:
        return "too large a number"
    if isinstance(value, float) and not math.isfinite(value):
        return "no finite number"
    if isinstance(value, dict) and wanted == "object":
        return "one that JSON cannot write, or nested too deeply"
    return _KINDS.get(type(value), "something else")


def _string(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _integer(value: Any) -> int | None:
    """A float without a fraction is one, as in JSON Schema."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if type(value) is int and -LARGEST < value < LARGEST else None


def _number(value: Any) -> float | int | None:
    if type(value) is float:
        return value if math.isfinite(value) else None
    return value if type(value) is int and -LARGEST < value < LARGEST else None


def _boolean(value: Any) -> bool | None:
    return value if isinstance(value, bool) else None


def _object(value: Any) -> dict[str, Any] | None:
    """One that can be written: no NaN, no half characters, nothing too deep or too long."""
    try:
        to_json(value).encode()
    except (ValueError, TypeError, RecursionError):
        return None
    return value if isinstance(value, dict) else None


_TAKERS: dict[Type, Callable[[Any], Any]] = {
    "string": _string,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "object": _object,
}
