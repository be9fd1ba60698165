"""Anthropic's messages as a server speaks them: its requests read, its events written."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from aiohttp import web

from deploy import demo_model as demo

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


def read(body: bytes) -> demo.Asked:
    """The request. Raises Misunderstood, for what Anthropic would refuse too."""
    try:
        return _asked(json.loads(body))
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise demo.Misunderstood("the body must be JSON, its messages with a role and a content") from error


def _asked(request: dict[str, Any]) -> demo.Asked:
    turns = [(turn["role"], turn["content"]) for turn in request["messages"]]
    if not {role for role, _ in turns} <= {"user", "assistant"}:
        raise demo.Misunderstood("a role must be user or assistant")
    if not turns or turns[0][0] != "user" or turns[-1][0] != "user":
        raise demo.Misunderstood("the first turn and the last must be the user's")
    system = [request["system"]] if "system" in request else []
    texts = (*system, *(text for _, text in turns))
    if not all(text.strip() for text in texts):
        raise demo.Misunderstood("text must be more than whitespace")
    if request["stream"] is not True:
        raise demo.Misunderstood("this server streams only")
    return demo.Asked(
        model=request["model"],
        texts=texts,
        last=next(text for role, text in reversed(turns) if role == "user"),
        stream=True,
        usage=True,
        most=int(request["max_tokens"]),
    )


def event(kind: str, **more: Any) -> bytes:
    data = json.dumps({"type": kind, **more}, ensure_ascii=False).encode(errors="replace")
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), data)


def begin(model: str, **usage: int) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": []}
    return event("message_start", message={**message, "stop_reason": None, "usage": usage})


def opened(index: int, kind: str) -> bytes:
    return event("content_block_start", index=index, content_block={"type": kind, _BLOCKS[kind][1]: ""})


def delta(index: int, kind: str, text: object) -> bytes:
    name, field = _BLOCKS[kind]
    return event("content_block_delta", index=index, delta={"type": name, field: text})


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
    said = _begun(asked) + PING
    index, kind = -1, ""
    async for piece in demo.paced(tokens, plan):
        wanted = "text" if piece.field == "content" else "thinking"
        if wanted != kind:
            said += closed(index) if kind else b""
            index, kind = index + 1, wanted
            said += opened(index, kind)
        await send(said + delta(index, kind, piece.text))
        said = b""
    said += closed(index) if kind else b""
    await send(said + changed(STOP_REASONS[reason], output_tokens=len(tokens)))
    await send(STOPPED)


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
