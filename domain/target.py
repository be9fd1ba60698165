"""Where a request template goes: a fixed origin, a path and a query with parameters in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, unquote

from domain.base import Frozen
from domain.errors import BadArguments
from domain.parameters import words
from domain.templates import Template, fill, slots, split, text_of, wrong

LONGEST_URL = 8_192
"""Bytes; many servers take no longer one."""
LONGEST_NAME = 1_000
"""Characters; it is sent once for every item of a list."""
MOST_PAIRS = 1_000
"""Of a form; a query ends where its URL is too long."""
ORIGIN = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://([^/?#]*)")
"""Scheme and authority."""
AUTHORITY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::([0-9]{1,5}))?")
"""Host and port."""
_SEGMENT = re.compile(r"(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*")
_PAIR = re.compile(r"(?:[A-Za-z0-9._~!$'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*")


class Pair(Frozen):
    """One pair of a query or a form."""

    name: str
    """As it is sent, encoded."""
    value: Template | None
    """None: the name stands without `=`."""

    def sent(self, values: Mapping[str, Any]) -> list[str]:
        """As it is sent: not at all where its value was left out, once for every item of a list."""
        if self.value is None:
            return [self.name]
        if _is_list(self.value):
            items = values.get(slots(self.value)[0].name, ())
            return [f"{self.name}={encoded(item)}" for item in items]
        filled = fill(self.value, values, encoded)
        return [] if filled is None else [f"{self.name}={filled}"]


class Target(Frozen):
    """A URL with parameters in it."""

    origin: str
    """Scheme, host and port, as they are written; no parameter stands in them."""
    segments: tuple[Template, ...]
    """Of the path, each after a slash."""
    query: tuple[Pair, ...]

    def url(self, values: Mapping[str, Any]) -> str:
        """Raises BadArguments where a value would make another path of it, or a URL that is too long."""
        path = "".join("/" + _segment(segment, values) for segment in self.segments)
        query = "&".join(pair_ for pair in self.query for pair_ in pair.sent(values))
        made = f"{self.origin}{path or '/'}{'?' * bool(query)}{query}"
        if len(made) > LONGEST_URL:
            raise BadArguments(f"The URL becomes longer than {LONGEST_URL} bytes; give shorter arguments.")
        return made


def encoded(value: Any) -> str:
    """A value as text in which nothing but letters, digits and `-._~` stands for itself."""
    return quote(words(value), safe="")


def read(template: Template, line: int) -> Target:
    """Raises BadRequest where it is not an absolute http(s) URL, or a parameter stands in its origin."""
    first = template[0] if template and isinstance(template[0], str) else ""
    found = ORIGIN.match(first)
    if found is None:
        raise wrong(line, "the URL must begin with `http://` or `https://` and a host, without parameters.")
    if found.end() == len(first) and len(template) > 1:
        raise wrong(line, "no parameter may stand in the scheme, host, port or user of a URL.")
    _check_origin(found[1], found[2], line)
    if len(text_of(template)) > LONGEST_URL:
        raise wrong(line, f"the URL is longer than {LONGEST_URL} bytes.")
    if "#" in text_of(template):
        raise wrong(line, "a `#` begins a part of a URL that is not sent; take it away, or write `%23`.")
    path, *query = split((first[found.end() :], *template[1:]), "?", 1)
    segments = tuple(split(path, "/")[1:]) if path else ()
    for segment in segments:
        _check_segment(segment, line)
    if path and split(path, "/")[0]:
        raise wrong(line, "the path of the URL must begin with `/`.")
    return Target(origin=found[0], segments=segments, query=pairs(query[0], line) if query else ())


def pairs(template: Template, line: int) -> tuple[Pair, ...]:
    """The pairs of a query or form. Raises BadRequest where one cannot be sent as it stands."""
    return tuple(_pair(part, line) for part in split(template, "&") if part)


def check_pairs(template: Template, line: int) -> None:
    """Raises BadRequest where there are too many; to cut them apart takes time."""
    if text_of(template).count("&") >= MOST_PAIRS:
        raise wrong(line, f"a form has at most {MOST_PAIRS} pairs.")


def check_words(template: Template, line: int, place: str) -> None:
    """Raises BadRequest where a list, an object or the secret stands in the place."""
    for slot in slots(template):
        if slot.parameter is None:
            raise wrong(line, f"`{{secret}}` may stand in the value of a header only, not in {place}.")
        if slot.parameter.compound:
            what = "a list" if slot.parameter.many else "an object"
            raise wrong(line, f"`{slot.name}` is {what}, which cannot stand in {place}.")


def _check_origin(scheme: str, authority: str, line: int) -> None:
    if scheme.lower() not in ("http", "https"):
        raise wrong(line, f"the scheme is `{scheme}`; only `http` and `https` are called.")
    if "@" in authority:
        raise wrong(line, "a user or password may not stand in a URL; use a header with `{secret}`.")
    named = AUTHORITY.fullmatch(authority)
    if named is None:
        raise wrong(line, f"`{authority}` is no host and port; a name in other letters is written `xn--…`.")
    if named[2] and not is_open_port(int(named[2])):
        raise wrong(line, f"port {named[2]} is not called; 80, 443 and those from 1024 on are.")


def is_open_port(port: int) -> bool:
    """Whether this server calls it: below 1024 live mail and printers, which take HTTP for commands."""
    return port in (80, 443) or 1024 <= port <= 65535


def _check_segment(segment: Template, line: int) -> None:
    check_words(segment, line, "a path")
    literal = text_of(segment)
    if not _SEGMENT.fullmatch(literal):
        raise wrong(line, f"`{literal[:80]}` in the path must be percent-encoded.")
    if not slots(segment) and literal and _is_dots(literal):
        raise wrong(line, "a part of the path may not be `.` or `..`.")
    for slot in slots(segment):
        if slot.parameter is not None and slot.parameter.optional:
            raise wrong(
                line, f"`{slot.name}` stands in the path, so it cannot be left out; give it a default."
            )


def _pair(template: Template, line: int) -> Pair:
    name, *value = split(template, "=", 1)
    if slots(name):
        raise wrong(line, "a parameter may stand for a value, not in a name before a `=`.")
    if len(text_of(name)) > LONGEST_NAME:
        raise wrong(line, f"a name before a `=` has at most {LONGEST_NAME} characters.")
    literal = text_of(template)
    if not _PAIR.fullmatch(literal):
        raise wrong(line, f"`{literal[:80]}` must be percent-encoded.")
    if not value:
        return Pair(name=text_of(name), value=None)
    if not _is_list(value[0]):
        check_words(value[0], line, "the text of a query or form")
    return Pair(name=text_of(name), value=value[0])


def _is_list(template: Template) -> bool:
    """A list that stands alone: it becomes as many pairs."""
    found = slots(template)
    return len(template) == 1 and len(found) == 1 and bool(found[0].parameter and found[0].parameter.many)


def _segment(template: Template, values: Mapping[str, Any]) -> str:
    made = fill(template, values, encoded)
    if made is None or (slots(template) and _is_dots(made)):
        names = ", ".join(f"`{slot.name}`" for slot in slots(template))
        raise BadArguments(f"{names} stands in a path and may not be empty or only dots.")
    return made


def _is_dots(text: str) -> bool:
    """What servers take for this or the upper folder, or for nothing."""
    return not unquote(text).strip(".")
