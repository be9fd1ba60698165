"""What servers of OpenAI's format want back with the calls of their models.

OpenAI wants nothing. DeepSeek refuses a call that comes back without the `reasoning_content` it came with,
be it empty; Kimi, GLM, MiniMax and those that vLLM serves think worse without. Some call it `reasoning`;
OpenRouter and MiniMax have `reasoning_details`; Gemini refuses a call without its signature, which is in
`extra_content`. Who knows none of these refuses them (Mistral, Groq, Cerebras), so each server gets back
what it sent, under the name it gave it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from activities.providers import carry
from activities.providers.text import dumped
from domain.errors import ModelBroken

if TYPE_CHECKING:
    from activities.providers.calls import Calls

FIELDS = ("reasoning_content", "reasoning")
"""Of a delta: its thoughts as text. The first that is there counts; some servers send both, the same."""
_DETAILS = "reasoning_details"
_GROWING = ("text", "summary", "data")


class Thoughts:
    """The thoughts of one answer."""

    def __init__(self) -> None:
        self._texts: dict[str, list[str]] = {}
        self._details: list[_Detail] = []

    def take(self, delta: dict[str, object]) -> str:
        """Returns what it kept of it beside the thoughts as text."""
        field = next((name for name in FIELDS if isinstance(delta.get(name), str)), None)
        if field is not None:
            self._texts.setdefault(field, []).append(str(delta[field]))
        details = delta.get(_DETAILS) or []
        if not isinstance(details, list):
            raise ModelBroken("The model's answer contains reasoning details that are no list.")
        kept = [self._add(detail) for detail in details if isinstance(detail, dict)]
        # They say again what the field said.
        return "" if field and delta[field] else "".join(kept)

    def sealed(self, model: str, calls: Calls) -> str | None:
        """As Finish.carry."""
        message: dict[str, object] = {name: "".join(texts) for name, texts in self._texts.items()}
        if self._details:
            message = {_DETAILS: [detail.whole() for detail in self._details]}
        extras: dict[str, object] = {
            str(at): call.extra for at, call in enumerate(calls.pending) if call.extra
        }
        if not message and not extras:
            return None
        return carry.sealed("openai", model, {"message": message, "extras": extras})

    def _add(self, detail: dict[str, object]) -> str:
        if not self._details or not self._details[-1].goes_on_with(detail):
            self._details.append(_Detail(detail))
        return self._details[-1].add(detail)


class _Detail:
    """One of `reasoning_details`, whose pieces bear one number and one type."""

    def __init__(self, first: dict[str, object]) -> None:
        self._place = first.get("index"), first.get("type")
        self._fixed: dict[str, object] = {}
        self._pieces: dict[str, list[str]] = {}

    def goes_on_with(self, detail: dict[str, object]) -> bool:
        return self._place[0] is not None and self._place == (detail.get("index"), detail.get("type"))

    def add(self, detail: dict[str, object]) -> str:
        """Returns what it added."""
        pieces = {key: value for key in _GROWING if isinstance(value := detail.get(key), str)}
        fixed = {key: value for key, value in detail.items() if key not in pieces and value is not None}
        new = {key: value for key, value in fixed.items() if self._fixed.get(key) != value}
        self._fixed |= new
        for key, piece in pieces.items():
            self._pieces.setdefault(key, []).append(piece)
        return "".join(pieces.values()) + (dumped(new) if new else "")

    def whole(self) -> dict[str, object]:
        return {**self._fixed, **{key: "".join(pieces) for key, pieces in self._pieces.items()}}


def opened(told: str | None, model: str) -> tuple[dict[str, object], dict[str, object]]:
    """Of a Prompt.carry, if it is ours: fields of the message, and what hangs on its calls by their place."""
    content = carry.opened(told, "openai", model)
    message, extras = content.get("message"), content.get("extras")
    ours = message if isinstance(message, dict) else {}
    return (
        {name: ours[name] for name in (*FIELDS, _DETAILS) if name in ours},
        extras if isinstance(extras, dict) else {},
    )
