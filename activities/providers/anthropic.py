"""Anthropic's messages, streamed: the format of Claude, and of other servers that took it up.

Source: https://platform.claude.com/docs/en/api/messages and …/docs/en/build-with-claude/streaming.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from typing import TYPE_CHECKING

from pydantic_core import to_json

from activities.providers.answer import Answer, Reason, count, named, relayed
from activities.providers.anthropic_thoughts import Layout
from activities.providers.anthropic_turns import Asked, asked
from activities.providers.http import HEADERS, Ask
from activities.providers.text import dumped
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken
from domain.model import MODELS, snake

if TYPE_CHECKING:
    import aiohttp

    from activities.providers.calls import Pending
    from domain.completion import ModelCall, ModelRef

VERSION = "2023-06-01"
"""What every server of this format speaks; from 2026-10-21 on, `temperature` and its like are errors."""

_MOST = {model.id: model.max_output_tokens for model in MODELS if model.provider == "anthropic"}
_MOST_OF_A_CLAUDE = 32_000
_MOST_OF_OTHERS = 4_096

_REASONS: dict[object, Reason] = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "calls",
    "refusal": "declined",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    # Not finished, by the server's decision; it comes with tools that run over there.
    "pause_turn": "length",
}


class Anthropic:
    """A server that speaks Anthropic's messages; a Provider.

    `base_url` is the path up to, without, `/v1/messages`; an empty `api_key` sends none. Silence of
    `idle_seconds` ends a call as ModelUnavailable (any byte breaks it, a ping too); an answer of more than
    `output_bytes` of UTF-8, reasoning and calls included, is cut there and ends with `length`.
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
        request = asked(call)
        answer = _Message(self._output_bytes, self._api_key, call.model.name, request.past)
        return relayed(self._session, self._ask(call, request), self._idle_seconds, answer)

    def _ask(self, call: ModelCall, request: Asked) -> Ask:
        headers = {**HEADERS, "anthropic-version": VERSION}
        if self._api_key:
            headers["x-api-key"] = self._api_key
        body = {**_parameters(call.model, request), "model": call.model.name, **request.body, "stream": True}
        return Ask(self._url, headers, to_json(body, inf_nan_mode="null"), self._api_key)


def _parameters(model: ModelRef, request: Asked) -> dict[str, object]:
    """The model string's parameters as the provider spells them; unknown ones pass, it knows best."""
    parameters: dict[str, object] = {snake(parameter.key): parameter.value for parameter in model.parameters}
    parameters.setdefault("max_tokens", _most(model.name, parameters.get("thinking_budget")))
    if "stop" in parameters:
        parameters["stop_sequences"] = [parameters.pop("stop")]
    if "reasoning_effort" in parameters:
        parameters["output_config"] = {"effort": parameters.pop("reasoning_effort")}
    thinking = _thinking(parameters.pop("thinking", None), parameters.pop("thinking_budget", None))
    if thinking and not _unthinkable(thinking, request):
        parameters["thinking"] = thinking
    return parameters


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


def _unthinkable(thinking: dict[str, object], request: Asked) -> bool:
    """With a budget, a tool cannot be forced, and a turn that began without thinking goes on without."""
    return thinking.get("type") == "enabled" and (request.forced or request.amid)


class _Message(Answer):
    """One message: begun, its blocks one after the other, a stop reason, `message_stop`.

    Event and block types we do not know are passed over, as the format asks its readers to do.
    """

    def __init__(self, output_bytes: int, secret: str, model: str, past: str) -> None:
        super().__init__(output_bytes, secret)
        self._model = model
        self._past = past
        self._begun = False
        self._block: int | None = None
        """The index of the block that is open."""
        self._call: Pending | None = None
        """The call that block is."""
        self._layout = Layout()
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

    def _carry(self) -> str | None:
        return self._layout.sealed(self._model, self._past)

    def _begin(self, event: dict[str, object]) -> None:
        _require(not self._begun)
        self._begun = True
        self._counted(_part(event, "message"))

    def _open(self, event: dict[str, object]) -> Iterator[Token]:
        _require(self._begun and self._block is None)
        self._block = _index(event)
        block = _part(event, "content_block")
        match block.get("type"):
            case "text":
                self._layout.begin("text")
            case "thinking":
                self._layout.begin("thinking")
            case "redacted_thinking" if data := self._word(block.get("data")):
                self._layout.begin("redacted_thinking", data=data)
            case "tool_use":
                self._ask_for(block)
        yield from self._spoken(block)

    def _add(self, event: dict[str, object]) -> Iterator[Token]:
        _require(self._block == _index(event))
        yield from self._spoken(_part(event, "delta"))

    def _close(self, event: dict[str, object]) -> None:
        _require(self._block == _index(event))
        self._block = self._call = None

    def _change(self, event: dict[str, object]) -> None:
        _require(self._begun and self._block is None)
        self._counted(event)
        if reason := _part(event, "delta").get("stop_reason"):
            self._reason = named(reason, _REASONS)

    def _spoken(self, part: dict[str, object]) -> Iterator[Token]:
        """The text a block starts or goes on with; what has none is kept, or passed over."""
        match part.get("type"):
            case "text" | "text_delta":
                for token in self._text(part.get("text")):
                    self._layout.said(token.text)
                    yield token
            case "thinking" | "thinking_delta":
                for token in self._text(part.get("thinking"), reasoning=True):
                    self._layout.thought(token.text)
                    yield token
                self._sign(part)
            case "signature_delta":
                self._sign(part)
            case "input_json_delta" if self._call is not None:
                self._call.argue(self._word(part.get("partial_json")))

    def _sign(self, part: dict[str, object]) -> None:
        if signature := self._word(part.get("signature")):
            self._layout.signed(signature)

    def _ask_for(self, block: dict[str, object]) -> None:
        self._going_on()
        self._call = self._calls.open()
        self._call.named(self._word(block.get("name")))
        self._layout.begin("tool_use")
        # Some servers send all of it at once.
        if whole := block.get("input"):
            self._call.argue(self._word(dumped(whole)))

    def _word(self, said: object) -> str:
        """Something that is not for readers; empty where there is none, or no room for it."""
        if said is not None and not isinstance(said, str):
            raise ModelBroken("The model's answer contains a part that is not a string.")
        return said if said and not self.ended and self._fits(said) else ""

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
