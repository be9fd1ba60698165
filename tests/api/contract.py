"""Upstream's operations and their fields, one a line: `contract.txt`, and how it is made of the field index.

A line is `VERB /path`, then `? query…`, `^ header…`, `< body…`, `> answer…` (of a list: of its items) and
`: media type…`, each where there is any. A `!` marks a field of an answer that is always there.
`python -m tests.api.contract` writes it anew where the index lies beside the checkout.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

INDEX = Path(__file__).resolve().parents[2].parent / "shared" / "contract" / "fields.txt"
COPY = Path(__file__).with_name("contract.txt")

_SHORT = {
    "<inst>": "id: string, createdAt: number, updatedAt: number",
    "<crud>": "name?: string, description?: string, meta?: map",
    "<botcfg>": "model?: string, backstory?: string, datasetId?: string, skillsetId?: string, "
    "privacy?: boolean, moderation?: boolean",
    "<ListQ>": "{cursor?: string, order?: string, take?: number, meta?: map}",
}
_MARKS = {"query": "?", "header": "^", "body": "<", "answer": ">", "media": ":"}


class Facts(NamedTuple):
    """Names of fields; those of `answer` end in `!` where they are always there."""

    query: frozenset[str] = frozenset()
    header: frozenset[str] = frozenset()
    body: frozenset[str] = frozenset()
    answer: frozenset[str] = frozenset()
    media: frozenset[str] = frozenset()


Operation = tuple[str, str]
"""Verb, and path whose ids have no names."""


def bare(path: str) -> str:
    return re.sub(r"\{\w+\}", "{}", path)


def contract() -> dict[Operation, Facts]:
    """As the copy tells it."""
    told: dict[Operation, Facts] = {}
    for line in COPY.read_text().splitlines():
        verb, path, *rest = line.split()
        parts: dict[str, set[str]] = {}
        for word in rest:
            if word in _MARKS.values():
                part = parts.setdefault(next(name for name, mark in _MARKS.items() if mark == word), set())
            else:
                part.add(word)
        told[verb, path] = Facts(**{name: frozenset(words) for name, words in parts.items()})
    return told


def copied(index: str) -> str:
    """The copy as it is made of the field index."""
    lines = []
    for block in index.split("#### ")[1:]:
        head, *rest = block.strip().splitlines()
        verb, path = head.split()
        facts = _facts(rest)._asdict()
        parts = [f"{_MARKS[name]} {' '.join(sorted(words))}" for name, words in facts.items() if words]
        lines.append(" ".join([verb, bare(path), *parts]))
    return "\n".join(sorted(lines)) + "\n"


def _facts(lines: list[str]) -> Facts:
    facts = Facts()
    for line in lines:
        kind, _, told = line.strip().partition(": ")
        words = kind.split()
        if words == ["query"]:
            facts = facts._replace(query=_names(told))
        elif words == ["header"]:
            facts = facts._replace(header=_names(told))
        elif words == ["body", "application/json"]:
            facts = facts._replace(body=_names(told))
        elif words[0] == "resp":
            facts = facts._replace(media=facts.media | {words[2]})
            if words[2] == "application/json":
                facts = facts._replace(answer=_answer(told))
    return facts


def _names(told: str) -> frozenset[str]:
    return frozenset(name.rstrip("!") for choice in _choices(told) for name in choice)


def _answer(told: str) -> frozenset[str]:
    """A field that only some of several forms always have is one that may be there."""
    listed = re.match(r"\{items: array of (.*), cursor: string\}$", told)
    choices = _choices(listed[1] if listed else told)
    named = {name.rstrip("!") for choice in choices for name in choice}
    return frozenset(
        f"{name}!" if all(f"{name}!" in choice for choice in choices) else name for name in named
    )


def _choices(told: str) -> list[frozenset[str]]:
    """The fields of each form an object may have; a required one ends in `!`."""
    for short, long in _SHORT.items():
        told = told.replace(short, long)
    return [
        frozenset(
            name.rstrip("?") if name.endswith("?") else name + "!"
            for name in (field.split(":")[0].strip(' "') for field in _split(choice[1:-1], ","))
            if name
        )
        for choice in _split(told, "|OR|")
        if choice.startswith("{")
    ]


def _split(told: str, by: str) -> Iterator[str]:
    """The parts of a text, where `by` is not inside brackets of any kind."""
    depth, start = 0, 0
    for at, letter in enumerate(told):
        depth += (letter in "{<[(") - (letter in "}>])")
        if depth == 0 and told.startswith(by, at):
            yield told[start:at].strip()
            start = at + len(by)
    yield told[start:].strip()


if __name__ == "__main__":
    COPY.write_text(copied(INDEX.read_text()))
