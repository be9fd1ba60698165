"""What Anthropic wants back of an answer with calls: its thinking, unchanged, where it stood.

Its signatures hold for the model that thought it and for all that came before it, system and tools
included; the newer models refuse thinking whose past was changed, all models that of a stranger. So what is
kept says what came before it, and is left out where that is not so any more. Models that think adaptively
do without; a model with a thinking budget must not think in the rest of that turn then.

Source: https://platform.claude.com/docs/en/build-with-claude/thinking and …/preserved-thinking/prefix-checks.
"""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic_core import to_json

from activities.providers import carry

Kind = Literal["text", "thinking", "redacted_thinking", "tool_use"]
THINKING = ("thinking", "redacted_thinking")


class Past:
    """A digest of a request up to some turn."""

    def __init__(self, *fixed: object) -> None:
        self._hash = hashlib.sha256(to_json(fixed))

    def add(self, turn: dict[str, object]) -> None:
        self._hash.update(to_json(turn))

    def digest(self) -> str:
        return self._hash.hexdigest()[:32]


class Layout:
    """The blocks of one answer: thinking whole, of texts their length, of calls their place."""

    def __init__(self) -> None:
        self._blocks: list[dict[str, Any]] = []
        self._pieces: list[dict[str, list[str]]] = []
        """Of each block, what comes bit by bit."""

    def begin(self, kind: Kind, **more: object) -> None:
        """`more` are fields that come at once."""
        self._blocks.append({"type": kind, **more})
        self._pieces.append({})

    def said(self, text: str) -> None:
        self._add("text", "text", text)

    def thought(self, text: str) -> None:
        self._add("thinking", "thinking", text)

    def signed(self, signature: str) -> None:
        self._add("thinking", "signature", signature)

    def sealed(self, model: str, past: str) -> str | None:
        """As Finish.carry."""
        if not any(block["type"] in THINKING for block in self._blocks):
            return None
        blocks = [_block(*block) for block in zip(self._blocks, self._pieces, strict=True)]
        return carry.sealed("anthropic", model, {"past": past, "blocks": blocks})

    def _add(self, kind: Kind, field: str, piece: str) -> None:
        if not self._blocks or self._blocks[-1]["type"] != kind:
            self.begin(kind)
        self._pieces[-1].setdefault(field, []).append(piece)


def _block(block: dict[str, Any], pieces: dict[str, list[str]]) -> dict[str, object]:
    """As it is kept: the text is kept elsewhere."""
    joined = {field: "".join(said) for field, said in pieces.items()}
    if block["type"] == "text":
        return {"type": "text", "size": len(joined.get("text", ""))}
    return {**block, **({"thinking": ""} if block["type"] == "thinking" else {}), **joined}


def rebuilt(
    told: str | None, model: str, past: str, text: str, uses: list[dict[str, object]]
) -> list[dict[str, object]] | None:
    """The blocks of a message as they came, with text and calls; None where its thinking cannot go back."""
    content = carry.opened(told, "anthropic", model)
    blocks = content.get("blocks")
    if content.get("past") != past or not isinstance(blocks, list):
        return None
    sizes = [block["size"] for block in blocks if block["type"] == "text"]
    if sum(sizes) != len(text) or sum(block["type"] == "tool_use" for block in blocks) != len(uses):
        return None
    return _filled(blocks, text, uses)


def _filled(
    blocks: list[dict[str, Any]], text: str, uses: list[dict[str, object]]
) -> list[dict[str, object]]:
    filled: list[dict[str, object]] = []
    asked, at = iter(uses), 0
    for block in blocks:
        match block["type"]:
            case "text":
                said, at = text[at : at + block["size"]], at + block["size"]
                # Blank ones come, but may not go back.
                filled += [{"type": "text", "text": said}] if said.strip() else []
            case "tool_use":
                filled.append(next(asked))
            case _:
                filled.append(block)
    return filled
