"""Text with parameters in it, cut into pieces.

A `{` directly before a letter or `_` begins a parameter; any other brace is text, so JSON stays as it is. A
backslash directly before a `{` makes it text and is taken away; a pair of them stays, for JSON doubles them.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from domain.base import Frozen
from domain.errors import BadArguments, BadRequest
from domain.parameters import SECRET, Parameter, read, words
from domain.plain import BYTES


class Slot(Frozen):
    """Where a parameter stands, or the secret."""

    name: str
    parameter: Parameter | None
    """None: the secret."""


Template = tuple[str | Slot, ...]
"""Pieces in their order; no text is empty and no two are neighbours."""

MOST = 1_000
"""Places for parameters in one instruction."""
_BRACE = re.compile(r"\{(?=[A-Za-z_])|(?<=\\)\{")
"""One that may not stand for itself alone."""
_LETTER = re.compile(r"[A-Za-z_]")


class Cutter:
    """Cuts the text of one instruction and gathers what it declares."""

    def __init__(self, text: str, line: int) -> None:
        """`line`: the number of the text's first line, for what is said of mistakes."""
        self._text = text
        self._line = line
        self._declared: dict[str, Parameter] = {}
        self._pieces: list[str | tuple[str, int]] = []
        self._places = 0
        self._cut()

    def parameters(self) -> tuple[Parameter, ...]:
        """In the order in which they were declared."""
        return tuple(self._declared.values())

    def template(self) -> Template:
        """Raises BadRequest where a name is used that is not declared."""
        return joined(
            tuple(piece if isinstance(piece, str) else self._slot(*piece) for piece in self._pieces)
        )

    def _cut(self) -> None:
        done = 0
        while (found := _BRACE.search(self._text, done)) is not None:
            opens = found.start()
            before = self._text[done:opens]
            escaped = (len(before) - len(before.rstrip("\\"))) % 2 == 1
            self._pieces.append(before[:-1] if escaped else before)
            if escaped or not _LETTER.match(self._text, opens + 1):
                self._pieces.append("{")
                done = opens + 1
            else:
                done = self._parameter(opens)
        self._pieces.append(self._text[done:])

    def _parameter(self, at: int) -> int:
        try:
            name, declared, end = read(self._text, at)
        except BadRequest as error:
            raise self._wrong(at, error.message) from None
        if declared is not None:
            if name in self._declared:
                raise self._wrong(at, f"`{name}` has its type already; write `{{{name}}}` here.")
            self._declared[name] = declared
        self._pieces.append((name, at))
        self._places += 1
        if self._places > MOST:
            raise self._wrong(at, f"there are more than {MOST} places for parameters.")
        return end

    def _slot(self, name: str, at: int) -> Slot:
        if name != SECRET and name not in self._declared:
            raise self._wrong(at, f"`{name}` has no type; write `{{{name}: string}}` where it stands first.")
        return Slot(name=name, parameter=self._declared.get(name))

    def _wrong(self, at: int, what: str) -> BadRequest:
        return wrong(self._line + self._text.count("\n", 0, at), what)


def wrong(line: int, what: str) -> BadRequest:
    """A mistake in an instruction: where, and what."""
    return BadRequest(f"Line {line} of the instruction: {what}")


def joined(pieces: Template) -> Template:
    """The same with neighbouring texts put together and empty ones left out."""
    made: list[str | Slot] = []
    for piece in pieces:
        if isinstance(piece, str) and made and isinstance(last := made[-1], str):
            made[-1] = last + piece
        elif piece != "":
            made.append(piece)
    return tuple(made)


def split(template: Template, separator: str, most: int = -1) -> list[Template]:
    """Cut at a separator of the text, `most` times at most; what parameters hold does not count."""
    parts: list[list[str | Slot]] = [[]]
    for piece in template:
        if isinstance(piece, Slot):
            parts[-1].append(piece)
            continue
        left = most if most < 0 else most - len(parts) + 1
        first, *others = piece.split(separator, left) if left else [piece]
        parts[-1].append(first)
        parts.extend([other] for other in others)
    return [joined(tuple(part)) for part in parts]


def slots(template: Template) -> list[Slot]:
    return [piece for piece in template if isinstance(piece, Slot)]


def uses(template: Template) -> dict[str, int]:
    """How often each name stands in it."""
    return Counter(slot.name for slot in slots(template))


def check_size(used: Mapping[str, int], values: Mapping[str, Any]) -> None:
    """Raises BadArguments where the values, each as often as it is used, are longer than arguments may be: a
    long one that stands in a thousand places would fill the memory."""
    size = sum(times * len(words(values[name]).encode()) for name, times in used.items() if name in values)
    if size > BYTES:
        raise BadArguments(
            f"The arguments, wherever they stand, become longer than {BYTES:,} bytes; give shorter ones."
        )


def text_of(template: Template) -> str:
    """The text of it alone."""
    return "".join(piece for piece in template if isinstance(piece, str))


def fill(template: Template, values: Mapping[str, Any], encode: Callable[[Any], str]) -> str | None:
    """The text with each value as `encode` writes it; None where one was left out."""
    if any(slot.name not in values for slot in slots(template)):
        return None
    return "".join(piece if isinstance(piece, str) else encode(values[piece.name]) for piece in template)
