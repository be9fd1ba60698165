"""Tool calls out of the deltas of OpenAI's format, as its many servers write them.

OpenAI numbers the calls of an answer, and sends the id and the name of each once. Others leave the numbers
out (Gemini, older Ollama), number every call 0 and tell them apart by their ids, leave the ids out (gpt-oss
on Ollama), say names and ids again with every piece (Qwen, DeepSeek), make up another id for every piece,
or send the arguments as one whole, as text or as an object.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.providers.text import dumped
from domain.errors import ModelBroken

if TYPE_CHECKING:
    from activities.providers.calls import Calls, Pending


def pieces(delta: dict[str, object]) -> list[dict[str, object]]:
    """The pieces of calls in a delta; `function_call` is how it was said before there were several."""
    told = delta.get("tool_calls")
    if not told and (one := delta.get("function_call")):
        told = [{"index": 0, "function": one}]
    if not told:
        return []
    if not isinstance(told, list) or not all(isinstance(piece, dict) for piece in told):
        raise ModelBroken("The model's answer contains tool calls that are no list of objects.")
    return told


class Sorter:
    """Finds the call that a piece belongs to."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self._by_number: dict[int, Pending] = {}
        self._latest: Pending | None = None

    def take(self, piece: dict[str, object]) -> str:
        """Adds a piece to its call; returns what was added, which may be told again."""
        function = piece.get("function") or {}
        if not isinstance(function, dict):
            raise ModelBroken("The model's answer contains a tool call whose function is not an object.")
        name = _name(function.get("name"))
        call = self._call(_number(piece.get("index")), _id(piece.get("id")), name)
        call.named(name)
        added = self._argue(call, function.get("arguments"))
        if extra := piece.get("extra_content"):
            call.extra = extra
            added += dumped(extra)
        return name + added

    def _argue(self, call: Pending, arguments: object) -> str:
        if isinstance(arguments, dict):
            call.argue_anew(added := dumped(arguments))
            return added
        if arguments is not None and not isinstance(arguments, str):
            raise ModelBroken("The model's answer contains arguments that are neither a text nor an object.")
        call.argue(arguments or "")
        return arguments or ""

    def _call(self, number: int | None, id_: str, name: str) -> Pending:
        known = self._known(number, id_, name)
        if known is None or _another(known, number, id_, name):
            known = self._calls.open(id_)
        if number is not None:
            self._by_number[number] = known
        known.id = known.id or id_
        self._latest = known
        return known

    def _known(self, number: int | None, id_: str, name: str) -> Pending | None:
        if number is not None:
            return self._by_number.get(number)
        if id_:
            named = next((call for call in self._calls.pending if call.id == id_), None)
            return named or (None if name else self._latest)
        return self._latest


def _another(known: Pending, number: int | None, id_: str, name: str) -> bool:
    """Whether a piece begins a call of its own, although it looks like the next of this one."""
    if not name or not known.name:
        return False
    if id_ and known.id:
        return id_ != known.id and (not known.argues or known.whole)
    if number is not None:
        return False
    return known.whole if known.argues else not name.startswith(known.name)


def _number(index: object) -> int | None:
    return index if isinstance(index, int) else None


def _id(id_: object) -> str:
    return str(id_) if isinstance(id_, str | int) else ""


def _name(name: object) -> str:
    if name is not None and not isinstance(name, str):
        raise ModelBroken("The model's answer contains a tool call whose name is not a string.")
    return name or ""
