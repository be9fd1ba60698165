"""Anthropic's messages, streamed: the format of Claude, and of other servers that took it up.

Source: https://platform.claude.com/docs/en/api/messages and …/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from pydantic_core import to_json

from activities.providers.answer import Answer, Reason, count, named, relayed
from activities.providers.http import HEADERS, Ask
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken
from domain.model import MODELS, snake

if TYPE_CHECKING:
    import aiohttp

    from domain.completion import ModelCall, ModelRef, Prompt

VERSION = "2023-06-01"
"""What every server of this format speaks; from 2026-10-21 on, `temperature` and its like are errors."""

OPENING = "Please begin."
"""The user's first turn where the user has said nothing: the format wants one."""
GOING_ON = "Please go on."
"""The user's last turn where the model had the last word: that would be taken for an answer to finish."""

_MOST = {model.id: model.max_output_tokens for model in MODELS if model.provider == "anthropic"}
_MOST_OF_A_CLAUDE = 32_000
_MOST_OF_OTHERS = 4_096

_REASONS: dict[object, Reason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "refusal": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # Not finished, by the server's decision; it comes with tools that run over there.
    "pause_turn": "length",
}


class Anthropic:
    """A server that speaks Anthropic's messages; a Provider.

    `base_url` is the path up to, without, `/v1/messages`; an empty `api_key` sends none. Silence of
    `idle_seconds` ends a call as ModelUnavailable (any byte breaks it, a ping too); an answer of more than
    `output_bytes` of UTF-8, reasoning included, is cut there and ends with `length`.
    """

    def __init__(
        self,
        session: aiohttp.ClientSession,
        base_url: str,
        api_key: str,
        idle_seconds: float,
        output_bytes: int,
    ) -> None:
        self._session = session
        self._url = f"{base_url.rstrip('/')}/v1/messages"
        self._api_key = api_key
        self._idle_seconds = idle_seconds
        self._output_bytes = output_bytes

    def stream(self, call: ModelCall) -> AsyncGenerator[Token | Finish, None]:
        """See Provider.stream. Raises ModelUnavailable, ModelBusy, ModelBroken, ModelRefused."""
        answer = _Message(self._output_bytes, self._api_key)
        return relayed(self._session, self._ask(call), self._idle_seconds, answer)

    def _ask(self, call: ModelCall) -> Ask:
        headers = {**HEADERS, "anthropic-version": VERSION}
        if self._api_key:
            headers["x-api-key"] = self._api_key
        return Ask(self._url, headers, to_json(_request(call)), self._api_key)


def _request(call: ModelCall) -> dict[str, object]:
    request = {
        **_parameters(call.model),
        "model": call.model.name,
        "messages": _turns(call.prompts),
        "stream": True,
    }
    if system := "\n\n".join(prompt.text for prompt in _said(call.prompts) if prompt.role == "system"):
        # All of them, wherever they stood: older models and other servers know no system turns, and turns of
        # the user carry a user's authority only, and any user could write their like.
        request["system"] = system
    return request


def _turns(prompts: tuple[Prompt, ...]) -> list[dict[str, str]]:
    """The user's and the model's, the user first and last; turns in a row are joined by the server."""
    turns = [{"role": said.role, "content": said.text} for said in _said(prompts) if said.role != "system"]
    if not turns or turns[0]["role"] != "user":
        turns.insert(0, {"role": "user", "content": OPENING})
    if turns[-1]["role"] != "user":
        turns.append({"role": "user", "content": GOING_ON})
    return turns


def _said(prompts: tuple[Prompt, ...]) -> Iterator[Prompt]:
    """All but blank texts, which the format refuses."""
    return (prompt for prompt in prompts if prompt.text.strip())


def _parameters(model: ModelRef) -> dict[str, object]:
    """The model string's parameters as the provider spells them; unknown ones pass, it knows best."""
    asked: dict[str, object] = {snake(parameter.key): parameter.value for parameter in model.parameters}
    asked.setdefault("max_tokens", _most(model.name, asked.get("thinking_budget")))
    if "stop" in asked:
        asked["stop_sequences"] = [asked.pop("stop")]
    if "reasoning_effort" in asked:
        asked["output_config"] = {"effort": asked.pop("reasoning_effort")}
    if thinking := _thinking(asked.pop("thinking", None), asked.pop("thinking_budget", None)):
        asked["thinking"] = thinking
    return asked


def _most(name: str, budget: object) -> int:
    """`max_tokens` of a caller who names none: all the model can say, as it is elsewhere.

    Of a model outside the catalogue, what every living Claude or any other model can say; thinking counts
    towards it, so its budget comes on top.
    """
    if known := _MOST.get(name):
        return known
    most = _MOST_OF_A_CLAUDE if name.startswith("claude-") else _MOST_OF_OTHERS
    return most + count(budget)


def _thinking(kind: object, budget: object) -> dict[str, object]:
    """Of `thinkingBudget=2048`, or of a kind: `thinking=adaptive`, `thinking=disabled`."""
    if budget is not None:
        return {"type": kind or "enabled", "budget_tokens": budget}
    if kind == "adaptive":
        # Newer models think in silence unless told otherwise; who asks for thinking wants to read along.
        return {"type": kind, "display": "summarized"}
    return {"type": kind} if kind is not None else {}


class _Message(Answer):
    """One message: begun, its blocks one after the other, a stop reason, `message_stop`.

    Event and block types we do not know are passed over, as the format asks its readers to do.
    """

    def __init__(self, output_bytes: int, secret: str) -> None:
        super().__init__(output_bytes, secret)
        self._begun = False
        self._block: int | None = None
        """The index of the block that is open."""
        self._counts: dict[object, object] = {}

    def _event(self, data: bytes) -> Iterator[Token]:
        event = self._parsed(data)
        match event.get("type"):
            case "content_block_delta":
                yield from self._add(event)
            case "content_block_start":
                yield from self._open(event)
            case "content_block_stop":
                self._close(event)
            case "message_start":
                self._begin(event)
            case "message_delta":
                self._change(event)
            case "message_stop":
                self._end("The model's answer was marked done, but not finished.")
                self.settles = True

    def _closed(self) -> None:
        raise ModelBroken("The model's answer ended without its end marker.")

    def _usage(self) -> Usage:
        counts = self._counts
        kinds = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens")
        return Usage(
            input_tokens=count(*(counts.get(kind) for kind in kinds)),
            output_tokens=count(counts.get("output_tokens")),
        )

    def _begin(self, event: dict[str, object]) -> None:
        _require(not self._begun)
        self._begun = True
        self._counted(_part(event, "message"))

    def _open(self, event: dict[str, object]) -> Iterator[Token]:
        _require(self._begun and self._block is None)
        self._block = _index(event)
        yield from self._spoken(_part(event, "content_block"))

    def _add(self, event: dict[str, object]) -> Iterator[Token]:
        _require(self._block == _index(event))
        yield from self._spoken(_part(event, "delta"))

    def _close(self, event: dict[str, object]) -> None:
        _require(self._block == _index(event))
        self._block = None

    def _change(self, event: dict[str, object]) -> None:
        _require(self._begun and self._block is None)
        self._counted(event)
        if reason := _part(event, "delta").get("stop_reason"):
            self._reason = named(reason, _REASONS)

    def _spoken(self, part: dict[str, object]) -> Iterator[Token]:
        """The text a block starts or goes on with; signatures, hidden thoughts and the like have none."""
        match part.get("type"):
            case "text" | "text_delta":
                yield from self._text(part.get("text"))
            case "thinking" | "thinking_delta":
                yield from self._text(part.get("thinking"), reasoning=True)

    def _counted(self, holder: dict[str, object]) -> None:
        """Counts are of all so far; those left out stand."""
        usage = holder.get("usage")
        if isinstance(usage, dict):
            self._counts |= {kind: number for kind, number in usage.items() if number is not None}


def _require(in_order: bool) -> None:
    if not in_order:
        raise ModelBroken("The events of the model's answer are out of order.")


def _index(event: dict[str, object]) -> int:
    index = event.get("index")
    if not isinstance(index, int):
        raise ModelBroken("The model's answer contains a block without a number.")
    return index


def _part(event: dict[str, object], key: str) -> dict[str, object]:
    part = event.get(key)
    if not isinstance(part, dict):
        raise ModelBroken(f"The model's answer contains a {key} that is not an object.")
    return part
