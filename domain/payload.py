"""The body of a request template by its Content-Type: JSON, a form or text."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, NoReturn

from domain.base import Frozen
from domain.errors import BadArguments
from domain.parameters import to_json, words
from domain.target import Pair, check_pairs, check_words, pairs
from domain.templates import Slot, Template, fill, joined, slots, split, text_of, wrong

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
PLAIN = "text/plain"

# While a template is parsed as JSON, a DEL and a number stand for a parameter: no instruction holds a DEL.
_MARK = re.compile(r"\x7f(\d+)\x7f")
_WHOLE = re.compile(r"\x7f=(\d+)\x7f")
_UNWRITTEN = re.compile(r"\\u(?:007f|0000)", re.IGNORECASE)
_DEEPEST = 64


class _Nothing:
    """What was left out of a JSON body."""


_NOTHING = _Nothing()


class JsonBody(Frozen):
    """A tree in which parameters stand for values, or in strings."""

    tree: Any
    """JSON, with a Slot where a value is a parameter and a Template where one stands in a string."""

    def sent(self, values: Mapping[str, Any]) -> bytes | None:
        """A member or item whose parameter was left out goes with it; None where all of it does."""
        grown = _grown(self.tree, values)
        try:
            return None if grown is _NOTHING else to_json(grown).encode()
        except RecursionError:
            raise BadArguments("An argument is nested too deeply.") from None


class FormBody(Frozen):
    """Pairs as a browser sends them."""

    pairs: tuple[Pair, ...]

    def sent(self, values: Mapping[str, Any]) -> bytes | None:
        return "&".join(pair_ for pair in self.pairs for pair_ in pair.sent(values)).encode()


class TextBody(Frozen):
    """Text in UTF-8; what was left out is empty."""

    template: Template

    def sent(self, values: Mapping[str, Any]) -> bytes | None:
        every = {slot.name: values.get(slot.name, "") for slot in slots(self.template)}
        return (fill(self.template, every, words) or "").encode()


Body = JsonBody | FormBody | TextBody


def read(template: Template, content_type: str, line: int) -> Body:
    """The body that begins on the line. Raises BadRequest where it is not what the Content-Type says."""
    kind = content_type.split(";")[0].strip().lower()
    check_words(tuple(slot for slot in slots(template) if slot.parameter is None), line, "a body")
    if kind == JSON or kind.endswith("+json"):
        return JsonBody(tree=_tree(template, line))
    if kind == FORM:
        check_pairs(template, line)
        rows = [_stripped(part) for part in split(template, "&")]
        return FormBody(pairs=tuple(pair for row in rows for pair in pairs(row, line)))
    if kind != PLAIN and slots(template):
        raise wrong(line, f"parameters may stand in JSON, form and plain text bodies, not in `{kind}`.")
    return TextBody(template=template)


def _stripped(template: Template) -> Template:
    """Without spaces and line breaks around it: the pairs of a form may stand on lines of their own."""
    first, last = template[:1], template[-1:]
    if first and isinstance(first[0], str):
        template = (first[0].lstrip(), *template[1:])
    if last and isinstance(last[0], str):
        template = (*template[:-1], str(template[-1]).rstrip())
    return joined(template)


def _tree(template: Template, line: int) -> Any:
    if _UNWRITTEN.search(text_of(template)):
        raise wrong(line, "a JSON body cannot hold NUL or DEL.")
    found = slots(template)
    try:
        parsed = json.loads(_marked(template), object_pairs_hook=_members, parse_constant=_constant)
        return _planted(parsed, found, line)
    except json.JSONDecodeError as error:
        raise wrong(line + error.lineno - 1, f"the body is not JSON here: {error.msg}.") from None
    except RecursionError:
        raise wrong(line, "the body is nested too deeply.") from None
    except (ValueError, OverflowError) as error:
        raise wrong(line, f"the body is not JSON: {error}.") from None


def _marked(template: Template) -> str:
    """JSON with a mark for every parameter: a string of its own, or a part of the string it stands in."""
    pieces: list[str] = []
    inside, number = False, 0
    for piece in template:
        if isinstance(piece, Slot):
            pieces.append(f"\x7f{number}\x7f" if inside else f'"\x7f={number}\x7f"')
            number += 1
        else:
            inside = inside ^ (len(re.findall(r'(?<!\\)(?:\\\\)*"', piece)) % 2 == 1)
            pieces.append(piece)
    return "".join(pieces)


def _members(members: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(members)
    if len(made) < len(members):
        raise ValueError("an object has two members of one name")
    if any("\x7f" in name for name in made):
        raise ValueError("a parameter may stand for a value or in a string, not in the name of a member")
    return made


def _constant(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is no JSON")


def _planted(node: Any, found: list[Slot], line: int, depth: int = 0) -> Any:
    """The tree with parameters in the place of their marks."""
    if depth > _DEEPEST:
        raise RecursionError
    if isinstance(node, dict):
        return {name: _planted(value, found, line, depth + 1) for name, value in node.items()}
    if isinstance(node, list):
        return [_planted(value, found, line, depth + 1) for value in node]
    if isinstance(node, float) and math.isinf(node):
        raise ValueError("a number is too large")
    return _string(node, found, line) if isinstance(node, str) else node


def _string(node: str, found: list[Slot], line: int) -> str | Slot | Template:
    if whole := _WHOLE.fullmatch(node):
        return found[int(whole[1])]
    cut = _MARK.split(node)
    if len(cut) == 1:
        return node
    pieces = joined(tuple(found[int(part)] if at % 2 else part for at, part in enumerate(cut)))
    check_words(pieces, line, "a JSON string; take the quotes away")
    return pieces


def _grown(node: Any, values: Mapping[str, Any]) -> Any:
    if isinstance(node, Slot):
        return values.get(node.name, _NOTHING)
    if isinstance(node, tuple):
        filled = fill(node, values, words)
        return _NOTHING if filled is None else filled
    if isinstance(node, dict):
        grown = {name: _grown(value, values) for name, value in node.items()}
        return {name: value for name, value in grown.items() if value is not _NOTHING}
    if isinstance(node, list):
        return [value for value in (_grown(item, values) for item in node) if value is not _NOTHING]
    return node
