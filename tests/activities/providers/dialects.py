"""The two wire formats as bytes, in the words that the tests of both are written in."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from itertools import groupby
from typing import ClassVar

import aiohttp

from activities.providers import Provider
from activities.providers.anthropic import Anthropic
from activities.providers.openai import OpenAI
from domain.completion import Token, ToolCall, Usage
from domain.errors import ModelBusy, ModelError, ModelRefused, ModelUnavailable
from tests import claude
from tests.activities.providers.recorded import IDLE, KEY

USAGE = Usage(input_tokens=3, output_tokens=2)
"""What every answer written here has cost."""


class Dialect(ABC):
    """One wire format: whole answers as a list of events, and what may go wrong within them."""

    dispensable: ClassVar[int]
    """Events at the end of an answer that some servers leave out."""
    trailing: ClassVar[int]
    """Events of an answer after the one that says why it ends."""
    reasons: ClassVar[dict[str, str]]
    """Every reason for an end that may be given, and what it means."""
    errors: ClassVar[dict[str, type[ModelError]]]
    """Types of error objects, and how we name them."""
    nothing: ClassVar[tuple[bytes, ...]]
    """Events that may stand anywhere and say nothing."""
    misshapen: ClassVar[tuple[bytes, ...]]
    """The data of events that no reader can make sense of."""

    @abstractmethod
    def provider(
        self, session: aiohttp.ClientSession, url: str, *, idle: float = IDLE, most: int = 1_000_000
    ) -> Provider:
        """Of a server at this address, paths left out."""

    @abstractmethod
    def answer(
        self, said: Sequence[Token], reason: str | None = None, calls: Sequence[ToolCall] = ()
    ) -> list[bytes]:
        """A whole answer, one event each."""

    @abstractmethod
    def frame(self, events: Sequence[bytes]) -> list[int]:
        """Where those events of an answer stand that may not be missing, its text aside."""

    @abstractmethod
    def texts(self, events: Sequence[bytes]) -> list[str]:
        """The texts among some events, up to the end marker."""

    @abstractmethod
    def error(self, kind: object, message: str) -> bytes: ...

    @abstractmethod
    def unclosed(self) -> bytes:
        """The beginning of an answer that says "a"."""

    def body(self, said: Sequence[Token], reason: str | None = None) -> bytes:
        return b"".join(self.answer(said, reason))

    def whole_at(self, events: Sequence[bytes]) -> int:
        """The bytes of an answer after which nothing is missing."""
        return len(b"".join(events[: len(events) - self.dispensable]))


def event(**chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def text(content: object) -> bytes:
    return event(choices=[{"index": 0, "delta": {"content": content}, "finish_reason": None}])


def asks(*pieces: object) -> bytes:
    """A chunk with pieces of calls."""
    return event(choices=[{"index": 0, "delta": {"tool_calls": pieces}, "finish_reason": None}])


STOP = event(choices=[{"index": 0, "delta": {}, "finish_reason": "stop"}])
DONE = b"data: [DONE]\n\n"


class ChatCompletions(Dialect):
    """OpenAI's."""

    dispensable = 2
    trailing = 2
    reasons: ClassVar = {"stop": "stop", "length": "length", "content_filter": "stop"}
    errors: ClassVar = {
        "server_error": ModelUnavailable,
        "something_new": ModelUnavailable,
        "requests": ModelBusy,
        "rate_limit_exceeded": ModelBusy,
        "insufficient_quota": ModelRefused,
        "invalid_request_error": ModelRefused,
        "context_length_exceeded": ModelRefused,
    }
    nothing = (
        b": a comment\n\n",
        b"data:\n\n",
        event(choices=[]),
        event(choices=None),
        event(choices=[{}]),
        event(choices=[{"delta": None, "finish_reason": None}], usage=None, error=None),
        event(choices=[{"delta": {"content": None, "role": "assistant", "tool_calls": None}}]),
        event(choices=[{"delta": {"content": ""}, "logprobs": {"x": [1]}}], new={"field": True}),
    )
    misshapen = (
        b'{"choices": {"a": 1}}',
        b'{"choices": [1]}',
        b'{"choices": [{"delta": "a"}]}',
        b'{"choices": [{"delta": {"content": ["a"]}}]}',
        b'{"choices": [{"delta": {}, "finish_reason": ["stop"]}]}',
        b'{"choices": [{"delta": {"tool_calls": {"index": 0}}}]}',
        b'{"choices": [{"delta": {"tool_calls": ["lookup"]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": "lookup"}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"name": ["lookup"]}}]}}]}',
        b'{"choices": [{"delta": {"tool_calls": [{"index": 0, "function": {"arguments": [1]}}]}}]}',
        b'{"choices": [{"delta": {"reasoning_details": "hm"}}]}',
        b'{"choices": [{"delta": {}, "finish_reason": "aborted"}]}',
        b'{"choices": [{"delta": {"content": "\xff"}}]}',
        b'{"choices": ' + b"[" * 10_000,
    )

    def provider(
        self, session: aiohttp.ClientSession, url: str, *, idle: float = IDLE, most: int = 1_000_000
    ) -> Provider:
        return OpenAI(session, url + "/v1", KEY, idle, most)

    def answer(
        self, said: Sequence[Token], reason: str | None = None, calls: Sequence[ToolCall] = ()
    ) -> list[bytes]:
        reason = reason or ("tool_calls" if calls else "stop")
        spent = {"prompt_tokens": USAGE.input_tokens, "completion_tokens": USAGE.output_tokens}
        return [
            event(choices=[{"index": 0, "delta": {"role": "assistant", "content": ""}}]),
            *(self._token(token) for token in said),
            *(piece for at, call in enumerate(calls) for piece in self._call(at, call)),
            event(choices=[{"index": 0, "delta": {}, "finish_reason": reason}]),
            event(choices=[], usage=spent),
            DONE,
        ]

    def frame(self, events: Sequence[bytes]) -> list[int]:
        return [len(events) - 3]

    def _call(self, at: int, call: ToolCall) -> list[bytes]:
        named = {"name": call.name, "arguments": ""}
        rest = [{"index": at, "function": {"arguments": char}} for char in call.arguments]
        return [
            asks({"index": at, "id": f"call_{at}", "type": "function", "function": named}),
            *map(asks, rest),
        ]

    def _token(self, token: Token) -> bytes:
        field = "reasoning_content" if token.reasoning else "content"
        return event(choices=[{"index": 0, "delta": {field: token.text}, "finish_reason": None}])

    def texts(self, events: Sequence[bytes]) -> list[str]:
        found = []
        for raw in events:
            if raw == DONE:
                break
            for choice in json.loads(raw[6:])["choices"]:
                found += [said for said in choice["delta"].values() if said and said != "assistant"]
        return found

    def error(self, kind: object, message: str) -> bytes:
        return event(error={"type": kind, "message": message})

    def unclosed(self) -> bytes:
        return text("a")


class Messages(Dialect):
    """Anthropic's."""

    dispensable = 0
    trailing = 1
    reasons: ClassVar = {
        "end_turn": "stop",
        "stop_sequence": "stop",
        "refusal": "stop",
        "max_tokens": "length",
        "model_context_window_exceeded": "length",
        "pause_turn": "length",
    }
    errors: ClassVar = {
        "api_error": ModelUnavailable,
        "overloaded_error": ModelUnavailable,
        "timeout_error": ModelUnavailable,
        "something_new": ModelUnavailable,
        "rate_limit_error": ModelBusy,
        "billing_error": ModelRefused,
        "invalid_request_error": ModelRefused,
        "authentication_error": ModelRefused,
        "permission_error": ModelRefused,
        "not_found_error": ModelRefused,
        "request_too_large": ModelRefused,
    }
    nothing = (
        b": a comment\n\n",
        b"event: ping\ndata:\n\n",
        claude.PING,
        claude.event("of_tomorrow", index=0, delta={"type": "text_delta", "text": "no"}),
        b'data: {"new": {"field": [true]}, "error": null}\n\n',
    )
    misshapen = (
        b'{"type": "message_start"}',
        b'{"type": "message_start", "message": {}}',
        b'{"type": "content_block_start", "index": 0, "content_block": {"type": "text"}}',
        b'{"type": "content_block_delta"}',
        b'{"type": "content_block_delta", "index": 0}',
        b'{"type": "content_block_delta", "index": "0", "delta": {}}',
        b'{"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": ["a"]}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": ["a"]}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "\xff"}}',
        b'{"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": 1}}',
        b'{"type": "content_block_stop", "index": 1}',
        b'{"type": "message_delta", "delta": {"stop_reason": "end_turn"}}',
        b'{"type": "message_stop"}',
        b'{"type": ' + b"[" * 10_000,
    )

    def provider(
        self, session: aiohttp.ClientSession, url: str, *, idle: float = IDLE, most: int = 1_000_000
    ) -> Provider:
        return Anthropic(session, url, KEY, idle, most)

    def answer(
        self, said: Sequence[Token], reason: str | None = None, calls: Sequence[ToolCall] = ()
    ) -> list[bytes]:
        events = [claude.begin("claude", input_tokens=USAGE.input_tokens, output_tokens=1)]
        for index, (reasoning, block) in enumerate(groupby(said, key=lambda token: token.reasoning)):
            kind = "thinking" if reasoning else "text"
            events.append(claude.opened(index, kind))
            events += [claude.delta(index, kind, token.text) for token in block]
            events.append(claude.closed(index))
        first = sum(b"content_block_start" in raw for raw in events)
        for index, call in enumerate(calls, first):
            pieces = [claude.argued(index, char) for char in call.arguments]
            events += [claude.called(index, call.name), *pieces, claude.closed(index)]
        reason = reason or ("tool_use" if calls else "end_turn")
        changed = claude.changed(reason, output_tokens=USAGE.output_tokens)
        return [*events, changed, claude.STOPPED]

    def frame(self, events: Sequence[bytes]) -> list[int]:
        return [at for at, raw in enumerate(events) if b"content_block_delta" not in raw]

    def texts(self, events: Sequence[bytes]) -> list[str]:
        found = []
        for raw in events:
            said = json.loads(raw.split(b"data: ")[1])
            if said["type"] == "message_stop":
                break
            if said["type"] == "content_block_delta":
                found.append(said["delta"].get("text") or said["delta"]["thinking"])
        return found

    def error(self, kind: object, message: str) -> bytes:
        return claude.event("error", error={"type": kind, "message": message}, request_id="req_1")

    def unclosed(self) -> bytes:
        return claude.begin("claude") + claude.opened(0, "text") + claude.delta(0, "text", "a")


OPENAI = ChatCompletions()
ANTHROPIC = Messages()
