"""Anthropic's messages as a server speaks them: its requests read, its events written."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from deploy import demo_model as demo
from tests import histories

STOP_REASONS = {
    "stop": "end_turn",
    "length": "max_tokens",
    "content_filter": "refusal",
    "tool_calls": "tool_use",
}
"""The demo's words for how an answer ends, in Anthropic's."""
ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
    529: "overloaded_error",
}
_BLOCKS = {"text": ("text_delta", "text"), "thinking": ("thinking_delta", "thinking")}
MARK = b'"text_delta", "text": "'
"""What a piece of the answer begins with."""


@dataclass(frozen=True)
class Asked(demo.Asked):
    """One request; `body` is all of it."""

    body: dict[str, Any] = field(default_factory=dict)


def read(body: bytes) -> demo.Asked:
    """The request. Raises Misunderstood, for what Anthropic would refuse too."""
    try:
        request = json.loads(body)
        histories.anthropic(request)
        return _asked(request)
    except histories.Refused as error:
        raise demo.Misunderstood(str(error)) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise demo.Misunderstood("the body must be JSON, its messages with a role and a content") from error


def _asked(request: dict[str, Any]) -> Asked:
    histories.require(request["stream"] is True, "this server streams only")
    turns = [(turn["role"], histories.blocks(turn["content"])) for turn in request["messages"]]
    system = [request["system"]] if "system" in request else []
    histories.require(all(text.strip() for text in system), "text must be more than whitespace")
    said = [at for at, (role, blocks) in enumerate(turns) if role == "user" and _texts(blocks, "text")]
    since = turns[said[-1] + 1 :]
    return Asked(
        model=request["model"],
        texts=(*system, *(text for _, blocks in turns for text in _texts(blocks, "text", "tool_result"))),
        last=_texts(turns[said[-1]][1], "text")[-1],
        stream=True,
        usage=True,
        most=int(request["max_tokens"]),
        tools=tuple(tool["name"] for tool in request.get("tools") or []),
        must=_must(request.get("tool_choice") or {}),
        results=tuple(text for _, blocks in since for text in _texts(blocks, "tool_result")),
        rounds=sum(any(block["type"] == "tool_use" for block in blocks) for _, blocks in since),
        body=request,
    )


def _texts(blocks: list[dict[str, Any]], *kinds: str) -> list[str]:
    said = [block for block in blocks if block["type"] in kinds]
    return [block["text"] if block["type"] == "text" else block.get("content", "") for block in said]


def _must(choice: dict[str, Any]) -> str:
    return str(choice.get("name", "none" if choice.get("type") == "none" else ""))


def event(kind: str, **more: Any) -> bytes:
    data = json.dumps({"type": kind, **more}, ensure_ascii=False).encode(errors="replace")
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


def begin(model: str, **usage: int) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    return event("message_start", message={**message, "stop_reason": None, "usage": usage})


def opened(index: int, kind: str) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, _BLOCKS[kind][1]: ""})


def delta(index: int, kind: str, text: object) -> bytes:
    name, field_ = _BLOCKS[kind]
    return event("content_block_delta", index=index, delta={"type": name, field_: text})


def called(index: int, name: object) -> bytes:
    block = {"type": "tool_use", "id": f"toolu_{secrets.token_hex(8)}", "name": name, "input": {}}
    return event("content_block_start", index=index, content_block=block)


def argued(index: int, piece: object) -> bytes:
    delta = {"type": "input_json_delta", "partial_json": piece}
    return event("content_block_delta", index=index, delta=delta)


def signed(index: int, signature: str) -> bytes:
    delta = {"type": "signature_delta", "signature": signature}
    return event("content_block_delta", index=index, delta=delta)


def hidden(index: int, data: object) -> bytes:
    """A thought that is not for readers."""
    block = {"type": "redacted_thinking", "data": data}
    return event("content_block_start", index=index, content_block=block) + closed(index)


def closed(index: int) -> bytes:
    return event("content_block_stop", index=index)


def changed(stop_reason: object, **usage: int) -> bytes:
    return event("message_delta", delta={"stop_reason": stop_reason, "stop_sequence": None}, usage=usage)


PING = event("ping")
STOPPED = event("message_stop")
GARBAGE = b'event: content_block_delta\ndata: {"type": "content_block_delta", "index":\n\n'


def failed(kind: str) -> bytes:
    return event("error", error={"type": kind or "api_error", "message": "it fell over"}, request_id="req_1")


async def play(asked: demo.Asked, plan: demo.Script, send: demo.Send) -> None:
    """Send the whole answer, one token per `send`: what opens and closes blocks goes with the next one."""
    tokens, reason = demo.cut(asked, plan)
    blocks = _Blocks(asked)
    async for piece in demo.paced(tokens, plan):
        await send(blocks.token(piece))
    for wish in plan.calls:
        for said in blocks.call(wish):
            await send(said)
    used = len(tokens) + len(plan.calls)
    await send(blocks.close() + changed(STOP_REASONS[reason], output_tokens=used))
    await send(STOPPED)


class _Blocks:
    """The blocks of one answer as they open and close; a hidden thought after each that can be read."""

    def __init__(self, asked: demo.Asked) -> None:
        self._asked = asked
        self._said = _begun(asked) + PING
        self._index, self._kind = -1, ""
        self._thought = ""

    def token(self, piece: demo.Piece) -> bytes:
        kind = "text" if piece.field == "content" else "thinking"
        if kind != self._kind:
            self._open(kind)
            self._said += opened(self._index, kind)
        self._thought += piece.text if kind == "thinking" else ""
        return self._told() + delta(self._index, kind, piece.text)

    def call(self, wish: demo.Wish) -> list[bytes]:
        self._open("tool_use")
        self._said += called(self._index, wish.name)
        return [self._told(), *(argued(self._index, piece) for piece in demo.split(wish.arguments))]

    def close(self) -> bytes:
        """What is left to say of the block that is open, and of those before it."""
        if self._kind == "thinking":
            self._said += signed(self._index, self._signature()) + closed(self._index)
            self._index += 1
            self._said += hidden(self._index, "not for readers")
        elif self._kind:
            self._said += closed(self._index)
        self._kind, self._thought = "", ""
        return self._told()

    def _open(self, kind: str) -> None:
        self._said = self.close()
        self._index, self._kind = self._index + 1, kind

    def _told(self) -> bytes:
        said, self._said = self._said, b""
        return said

    def _signature(self) -> str:
        assert isinstance(self._asked, Asked)
        request = self._asked.body
        return histories.signature(request, len(request["messages"]), self._thought)


def _begun(asked: demo.Asked) -> bytes:
    """Of the prompt's words, those before the last message count as read from a cache."""
    words = demo.usage(asked, 0)["prompt_tokens"]
    fresh = len(asked.last.split())
    return begin(asked.model, input_tokens=fresh, cache_read_input_tokens=words - fresh, output_tokens=1)


async def endless(asked: demo.Asked, plan: demo.Script, send: demo.Send) -> None:
    said = _begun(asked) + opened(0, "text")
    while True:
        await send(said + delta(0, "text", "endless " * 128))
        said = b""
        await asyncio.sleep(plan.delay / 1000)


def refused(status: int, message: str, code: str | None = None) -> web.Response:
    """An error in Anthropic's shape."""
    kind = code or ERRORS.get(status, "api_error" if status >= 500 else "invalid_request_error")
    return web.json_response({"type": "error", "error": {"type": kind, "message": message}}, status=status)
