"""Texts of others without what is secret, however they wrote it."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

MARK = "…"
SHORTEST = 4
"""Characters. What is shorter stands by chance in any text, and is not looked for."""
_LAYERS = 3
"""JSON in JSON in a URL: so often is a text read anew."""

_ESCAPE = re.compile(
    r"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[0-9a-fA-F]{4}|\\x[0-9a-fA-F]{2}|\\[^ux]"
    r"|(?:%[0-9a-fA-F]{2})+"
    r"|&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});"
)
"""As JSON, URLs and HTML write what they cannot say, or would rather not."""
_HALF = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3}|x[0-9a-fA-F]?)?|%[0-9a-fA-F]?|&[#0-9A-Za-z]{0,31})\Z")
_LETTERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}


class _Read(NamedTuple):
    """A text with its escapes read, and where each of its characters began in the original."""

    text: str
    places: Sequence[int]
    """One more than characters: the last is the original's end."""


def without(forms: Sequence[str], told: str, *, cut: bool = False) -> str:
    """The text with every form taken out, as it is or escaped for JSON, URLs or HTML, also several times.

    `cut`: the text ends where more was; half a form at its end goes as well.
    """
    if not forms or not told:
        return told
    if cut:
        told = _HALF.sub("", told)
    spans: list[tuple[int, int]] = []
    for read, sought in _layers(told, forms):
        for form in sought:
            spans.extend((read.places[at], read.places[at + len(form)]) for at in _found(read.text, form))
            if cut and (half := _half(read.text, form)):
                spans.append((read.places[len(read.text) - half], len(told)))
    return _replaced(told, sorted(spans))


def without_any(forms: Sequence[str], value: Any) -> Any:
    """The same of JSON: of each text in it, each name, and each number."""
    if not forms:
        return value
    match value:
        case str():
            return without(forms, value)
        case list():
            return [without_any(forms, part) for part in value]
        case dict():
            return {without(forms, name): without_any(forms, part) for name, part in value.items()}
        case bool() | None:
            return value
    return MARK if any(form in str(value) for form in forms) else value


def _layers(told: str, forms: Sequence[str]) -> Iterator[tuple[_Read, set[str]]]:
    """The text read ever further. What is sought is read along: it may itself look like an escape."""
    read, sought = _Read(told, range(len(told) + 1)), {*forms}
    yield read, sought
    for _ in range(_LAYERS):
        if not _ESCAPE.search(read.text):
            return
        read = _further(read)
        sought |= {_further(_Read(form, range(len(form) + 1))).text for form in sought}
        sought = {form for form in sought if len(form) >= SHORTEST}
        yield read, sought


def _further(read: _Read) -> _Read:
    pieces: list[str] = []
    places: list[int] = []
    end = 0
    for escape in _ESCAPE.finditer(read.text):
        pieces.append(read.text[end : escape.start()])
        places.extend(read.places[end : escape.start()])
        meant = _meant(escape[0])
        pieces.append(meant)
        places.extend(read.places[escape.start() + at] for at in _starts(escape[0], meant))
        end = escape.end()
    return _Read("".join([*pieces, read.text[end:]]), [*places, *read.places[end:]])


def _meant(escape: str) -> str:
    if escape[0] == "%":
        return bytes.fromhex(escape.replace("%", "")).decode(errors="surrogateescape")
    if escape[0] == "&":
        return html.unescape(escape)
    if escape[1] not in "ux" or len(escape) == 2:
        return _LETTERS.get(escape[1], escape[1])
    units = [int(unit, 16) for unit in re.findall(r"[0-9a-fA-F]{2,4}", escape)]
    if len(units) == 2:
        return chr(0x10000 + (units[0] - 0xD800) * 0x400 + units[1] - 0xDC00)
    return chr(units[0])


def _starts(escape: str, meant: str) -> Iterator[int]:
    """Where in the escape each character begins that it means."""
    at = 0
    for char in meant:
        yield at
        at += 3 * len(char.encode(errors="surrogateescape")) if escape[0] == "%" else 0


def _found(text: str, form: str) -> Iterator[int]:
    at = text.find(form)
    while at >= 0:
        yield at
        at = text.find(form, at + len(form))


def _half(text: str, form: str) -> int:
    """Characters of the form's beginning that the text ends with; 0 for too few."""
    return next((size for size in range(len(form) - 1, SHORTEST - 1, -1) if text.endswith(form[:size])), 0)


def _replaced(told: str, spans: Sequence[tuple[int, int]]) -> str:
    pieces: list[str] = []
    end = 0
    for first, last in spans:
        if first >= end:
            pieces.extend((told[end:first], MARK))
        end = max(end, last)
    return "".join([*pieces, told[end:]])
