"""What an ability is: an instruction, one fenced block that says what is done when a model calls it.

docs/abilities.md is its manual. A kind is a word behind the fence and a function that reads the block.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol, get_args

from domain import fetch, parameters
from domain.base import Frozen
from domain.errors import BadArguments, BadRequest
from domain.fetch import Fetch
from domain.parameters import Parameter, to_json, words
from domain.plain import BYTES
from domain.target import check_words
from domain.templates import Cutter, Template, check_size, fill, slots, text_of, uses, wrong
from domain.tools import Effect

__all__ = ["Fetch", "Instruction", "Prompt", "parse"]

LONGEST = 65_536
"""Characters of an instruction."""
MOST_LINES = 5_000
_FENCE = re.compile(r"(`{3,})[ \t]*([^`]*)")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff]")


class Instruction(Protocol):
    """What every kind of block can tell; what it does is each kind's own."""

    @property
    def kind(self) -> str: ...

    @property
    def effect(self) -> Effect: ...

    @property
    def parameters(self) -> dict[str, Any]:
        """The JSON Schema of the arguments: an object without other members."""
        ...


class Prompt(Frozen):
    """Text that is given to the model."""

    kind: Literal["prompt"] = "prompt"
    effect: Effect
    declared: tuple[Parameter, ...]
    template: Template

    @property
    def parameters(self) -> dict[str, Any]:
        return parameters.schema(self.declared)

    def text(self, arguments: Mapping[str, Any]) -> str:
        """What was left out is empty. Raises BadArguments with a sentence for the model."""
        values = parameters.check(self.declared, arguments)
        check_size(uses(self.template), values)
        every = {slot.name: values.get(slot.name, "") for slot in slots(self.template)}
        text = fill(self.template, every, words) or ""
        if len(to_json(text).encode()) > BYTES:
            # It is an answer, which callers may hand back to us.
            raise BadArguments(f"The text becomes longer than {BYTES:,} bytes; give shorter arguments.")
        return text


def _prompt(template: Template, declared: tuple[Parameter, ...], effect: Effect | None, line: int) -> Prompt:
    check_words(tuple(slot for slot in slots(template) if slot.parameter is None), line, "a prompt")
    if not slots(template) and not text_of(template).strip():
        raise wrong(line, "the prompt is empty.")
    return Prompt(effect=effect or "idempotent", declared=declared, template=template)


Read = Callable[[Template, tuple[Parameter, ...], Effect | None, int], Instruction]
KINDS: dict[str, Read] = {"fetch": fetch.read, "prompt": _prompt}
EFFECTS: dict[str, Effect] = {word: word for word in get_args(Effect)}


def parse(instruction: str) -> Instruction:
    """The block, read. Raises BadRequest with a sentence that says what is wrong, and in which line."""
    if len(instruction) > LONGEST:
        raise BadRequest(f"The instruction is longer than {LONGEST} characters.")
    lines = instruction.replace("\r\n", "\n").split("\n")
    if len(lines) > MOST_LINES:
        raise BadRequest(f"The instruction has more than {MOST_LINES} lines.")
    for at, row in enumerate(lines, 1):
        if _CONTROL.search(row):
            raise wrong(at, "there is a control character that no instruction may hold.")
    opens, read, effect = _opening(lines)
    closes = _closing(lines, opens)
    cut = Cutter("\n".join(lines[opens + 1 : closes]), opens + 2)
    return read(cut.template(), cut.parameters(), effect, opens + 2)


def _opening(lines: list[str]) -> tuple[int, Read, Effect | None]:
    """Where the block opens, who reads it and the effect it names."""
    opens = next((at for at, row in enumerate(lines) if row.strip()), 0)
    fence = _FENCE.fullmatch(lines[opens])
    kinds = " or ".join(f"```{kind}" for kind in KINDS)
    if fence is None:
        raise wrong(opens + 1, f"an instruction is one block that begins with {kinds}.")
    kind, *rest = fence[2].split() or [""]
    if kind not in KINDS:
        raise wrong(opens + 1, f"there is no kind of block called `{kind}`; begin it with {kinds}.")
    if len(rest) > 1 or any(word not in EFFECTS for word in rest):
        raise wrong(opens + 1, f"behind `{kind}` may stand one of: {', '.join(EFFECTS)}.")
    return opens, KINDS[kind], EFFECTS[rest[0]] if rest else None


def _closing(lines: list[str], opens: int) -> int:
    """Where the block closes: at a fence as long as its first, after which nothing comes."""
    long = len(lines[opens]) - len(lines[opens].lstrip("`"))
    fences = (at for at in range(opens + 1, len(lines)) if _closes(lines[at], long))
    closes = next(fences, None)
    if closes is None:
        raise wrong(len(lines), f"the block does not end; close it with {'`' * long} on a line of its own.")
    for at in range(closes + 1, len(lines)):
        if lines[at].strip():
            raise wrong(at + 1, "only blank lines may stand outside of the block.")
    return closes


def _closes(row: str, long: int) -> bool:
    ticks = row.rstrip()
    return len(ticks) >= long and not ticks.strip("`")
