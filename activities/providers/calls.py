"""Tool calls: put together from the pieces of an answer, and spelled so that every server takes them back."""

from __future__ import annotations

import json
import math
import re

from pydantic_core import from_json

from activities.providers.text import clean, cleaned, grown
from domain.completion import ToolCall
from domain.errors import ModelBroken

MOST = 128
"""Calls of one answer."""
NAME_LONGEST = 128
"""Characters of a call's name, twice what a tool's may have."""

_REFUSED = re.compile(r"\\u(0000|[dD][89a-fA-F])")
"""Escapes that may stand for what Postgres refuses."""
_UNSPELLABLE = re.compile(r"[^a-zA-Z0-9_-]")


class Pending:
    """One call while it comes in."""

    def __init__(self, id_: str) -> None:
        self.id = id_
        self.name = ""
        self.extra: object = None
        """What the server hung on to it and wants back."""
        self._pieces: list[str] = []

    def named(self, piece: str) -> None:
        self.name = grown(self.name, piece)

    def argue(self, piece: str) -> None:
        if piece:
            self._pieces.append(piece)

    def argue_anew(self, arguments: str) -> None:
        self._pieces = [arguments]

    @property
    def argues(self) -> bool:
        return bool(self._pieces)

    @property
    def whole(self) -> bool:
        """Its arguments are an object that is closed."""
        closed = self.argues and self._pieces[-1].rstrip().endswith("}")
        return closed and _object(self._arguments()) is not None

    def told(self) -> ToolCall:
        """Raises ModelBroken without a usable name."""
        name = clean(self.name).strip()
        if not 0 < len(name) <= NAME_LONGEST:
            raise ModelBroken("The model asked for a tool call without a usable name.")
        return ToolCall(name=name, arguments=_tidy(clean(self._arguments())))

    def _arguments(self) -> str:
        return "".join(self._pieces)


class Calls:
    """The calls of one answer, in the order in which they began."""

    def __init__(self) -> None:
        self.pending: list[Pending] = []

    def open(self, id_: str = "") -> Pending:
        """A new one. Raises ModelBroken where there are MOST already."""
        if len(self.pending) == MOST:
            raise ModelBroken(f"The model asked for more than {MOST} tool calls at once.")
        self.pending.append(Pending(id_))
        return self.pending[-1]

    def told(self) -> tuple[ToolCall, ...]:
        return tuple(call.told() for call in self.pending)


class Ids:
    """The ids of calls within one request.

    Ours (`call_7`) are told apart within their run only, and a conversation has many runs: servers refuse an
    id that comes twice. Mistral takes nothing but nine letters and digits.
    """

    def __init__(self) -> None:
        self._spelled: dict[str, str] = {}
        self._count = 0

    def asked(self, id_: str) -> str:
        """Of a call."""
        self._count += 1
        self._spelled[id_] = f"call{self._count:05d}"
        return self._spelled[id_]

    def answered(self, id_: str | None) -> str:
        """Of a result: the one of the latest call under this id."""
        return self._spelled.get(id_ or "", id_ or "")


def spelled(name: str) -> str:
    """The name of a call as a request may bear it: models make up others, and servers refuse those."""
    return _UNSPELLABLE.sub("_", name)[:64] or "_"


def given(arguments: str) -> dict[str, object]:
    """The arguments of a call as an object, which is all that servers take.

    What is none is shown to the model as what it is, so that it can see what it did.
    """
    found = _object(arguments)
    return {"invalid": arguments} if found is None else found


def _object(arguments: str) -> dict[str, object] | None:
    try:
        found = from_json(arguments, allow_inf_nan=False)
    except ValueError:
        return None
    return found if isinstance(found, dict) and _finite(found) else None


def _finite(value: object) -> bool:
    """1e999 is proper JSON, and infinite here: written again it would be none."""
    match value:
        case float():
            return math.isfinite(value)
        case list():
            return all(map(_finite, value))
        case dict():
            return all(map(_finite, value.values()))
    return True


def _tidy(arguments: str) -> str:
    """`{}` for none, and no escapes of what Postgres refuses; else as the model wrote it."""
    if arguments.strip() in ("", "null"):
        return "{}"
    if not _REFUSED.search(arguments):
        return arguments
    try:
        return json.dumps(cleaned(json.loads(arguments)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return arguments
