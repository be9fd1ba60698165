"""A toy model behind OpenAI's chat completions format, for trying the server without a key.

Run as its own process: `python -m deploy.demo_model --port 9000`; the base URL is then
`http://127.0.0.1:9000/v1`. It echoes. A directive anywhere in the last user message scripts the answer:
`[demo tokens=40 delay=25 first=500 reasoning=5 finish=length]` gives exactly 40 numbered tokens, 25 ms apart,
the first after 500 ms, after 5 tokens of reasoning, ended with `length`. Every part may be left out.
Offered tools, it calls those that the message names, one a line: `call lookup {"city": "Rome"}`. When their
results are there, it says what came back.
For measuring: with `stamp=1` every token is the moment it was sent, in seconds since the epoch; with
`at=1700000000000` the first comes at that moment (milliseconds), but waits a minute at most.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from aiohttp import web

NAME = "demo"
BODY_BYTES = 67_108_864
ECHO = 2_000
"""Characters of the message that the canned answer repeats."""
BOUNDS = {"tokens": 100_000, "reasoning": 100_000, "delay": 60_000, "first": 60_000, "at": 10**14, "stamp": 1}
FINISHES = ("stop", "length", "content_filter", "tool_calls")
CALL = re.compile(r"^\s*call\s+([\w-]+)[ \t]*(\{.*\})?\s*$", re.MULTILINE)

Send = Callable[[bytes], Awaitable[None]]


class Misunderstood(Exception):
    """The request or its directive cannot be read; the message says why."""


@dataclass(frozen=True)
class Wish:
    """A call of a tool; `arguments` is what is sent, JSON or not."""

    name: str
    arguments: str


@dataclass(frozen=True)
class Script:
    """How to answer. `tokens` None is the canned answer; `delay`, `first` and `at` are milliseconds."""

    tokens: int | None = None
    reasoning: int = 0
    delay: int = 15
    first: int = 0
    at: int = 0
    stamp: int = 0
    finish: str = ""
    """Said at the end; empty is the truth."""
    calls: tuple[Wish, ...] = ()
    """What is called after the tokens."""


@dataclass(frozen=True)
class Asked:
    """One request, as far as the toy cares."""

    model: str
    texts: tuple[str, ...]
    last: str
    """The last user message."""
    stream: bool
    usage: bool
    most: int
    """`max_tokens` or its newer name; 0 is no limit."""
    tools: tuple[str, ...] = ()
    """The names of those offered."""
    must: str = ""
    """The one that must be called; `none` if none may."""
    results: tuple[str, ...] = ()
    """What tools have answered since the last user message."""
    rounds: int = 0
    """How often tools have been called since then."""


@dataclass(frozen=True)
class Piece:
    """One token of an answer."""

    text: str
    field: str = "content"


def read(body: bytes) -> Asked:
    """The request. Raises Misunderstood."""
    try:
        return _asked(json.loads(body))
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise Misunderstood("the body must be JSON, its messages with a role and a content") from error


def _asked(request: dict[str, Any]) -> Asked:
    messages = [(message["role"], _text(message.get("content"))) for message in request["messages"]]
    since = _since(request["messages"])
    return Asked(
        model=str(request.get("model") or NAME),
        texts=tuple(text for _, text in messages),
        last=_last(messages),
        stream=request.get("stream") is True,
        usage=bool((request.get("stream_options") or {}).get("include_usage")),
        most=int(request.get("max_completion_tokens") or request.get("max_tokens") or 0),
        tools=tuple(str(tool["function"]["name"]) for tool in request.get("tools") or []),
        must=_must(request.get("tool_choice")),
        results=tuple(_text(message.get("content")) for message in since if message["role"] == "tool"),
        rounds=sum(bool(message.get("tool_calls")) for message in since),
    )


def _last(messages: list[tuple[str, str]]) -> str:
    """What the user said last; of an agent that works without one, its newest instruction."""
    said = dict(messages)
    return said.get("user") or said.get("system", "")


def _since(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The messages after that, without what the server looked up for its agent beforehand."""
    roles = [message["role"] for message in messages]
    asking = "user" if "user" in roles else "system"
    since = messages[len(roles) - roles[::-1].index(asking) :] if asking in roles else messages
    while since and _looked_up(since[0]):
        since = since[2:]
    return since


def _looked_up(message: dict[str, Any]) -> bool:
    calls = message.get("tool_calls") or []
    return len(calls) == 1 and str(calls[0]["function"]["name"]).startswith("_get")


def _must(choice: Any) -> str:
    return str(choice["function"]["name"]) if isinstance(choice, dict) else str(choice or "")


def _text(content: Any) -> str:
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content)
    return str(content or "")


def directive(word: str, text: str) -> dict[str, str] | None:
    """The parts of `[word a=1 b]` in a text: `{"a": "1", "b": ""}`; None where there is none."""
    found = re.search(rf"\[{word}\b([^\]]*)\]", text)
    if found is None:
        return None
    return {key: value for key, _, value in (part.partition("=") for part in found[1].split())}


def script(parts: Mapping[str, str], delay: int = Script.delay) -> Script:
    """The script of a directive's parts. Raises Misunderstood: an unknown part, a number out of bounds."""
    if unknown := set(parts) - {*BOUNDS, "finish"}:
        raise Misunderstood(f"the directive has no {', '.join(sorted(unknown))}")
    if parts.get("finish", "stop") not in FINISHES:
        raise Misunderstood(f"finish must be one of {', '.join(FINISHES)}")
    numbers: dict[str, Any] = {key: number(key, parts[key], BOUNDS[key]) for key in BOUNDS if key in parts}
    return replace(Script(delay=delay, finish=parts.get("finish", "")), **numbers)


def number(key: str, text: str, most: int) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text) or int(text) > most:
        raise Misunderstood(f"{key} must be a number from 0 to {most}")
    return int(text)


GREETING = "This is Holdfast's demo model, a toy: it repeats what it is told and knows nothing. You said:"
ANSWERED = "The tools answered:"


def pieces(asked: Asked, plan: Script) -> list[Piece]:
    """The tokens of the answer, reasoning first; numbered tokens read `t1 t2 t3`."""
    thoughts = [
        Piece(f"{' ' if n > 1 else ''}r{n}", "reasoning_content") for n in range(1, plan.reasoning + 1)
    ]
    if plan.tokens is None:
        if plan.calls:
            return thoughts
        words = re.findall(r"\s*\S+", _canned(asked))
        return thoughts + [Piece(word) for word in words]
    return thoughts + [Piece(f"{' ' if n > 1 else ''}t{n}") for n in range(1, plan.tokens + 1)]


def _canned(asked: Asked) -> str:
    if asked.results:
        return f"{ANSWERED} {' '.join(asked.results)[:ECHO]}"
    return f"{GREETING} {asked.last[:ECHO]}"


def wishes(asked: Asked) -> tuple[Wish, ...]:
    """The calls that the user names, once, of tools there are; or what must be called."""
    named = [Wish(name, given or "{}") for name, given in CALL.findall(asked.last) if name in asked.tools]
    if asked.must in asked.tools:
        return tuple(wish for wish in named if wish.name == asked.must) or (Wish(asked.must, "{}"),)
    return () if asked.rounds or asked.must == "none" else tuple(named)


def cut(asked: Asked, plan: Script) -> tuple[list[Piece], str]:
    """The tokens that fit in `max_tokens`, and the finish reason."""
    whole = pieces(asked, plan)
    if 0 < asked.most < len(whole):
        return whole[: asked.most], "length"
    return whole, plan.finish or ("tool_calls" if plan.calls else "stop")


def usage(asked: Asked, tokens: int) -> dict[str, int]:
    """Prompt tokens are words."""
    prompt = sum(len(text.split()) for text in asked.texts)
    return {"prompt_tokens": prompt, "completion_tokens": tokens, "total_tokens": prompt + tokens}


class Chunks:
    """The events of one streamed answer."""

    def __init__(self, model: str) -> None:
        self._head = {
            "id": f"chatcmpl-{secrets.token_hex(8)}",
            "object": "chat.completion.chunk",
            "created": int(time.time()),
            "model": model,
        }
        start = json.dumps(self._head)[:-1].encode()
        self._before = b"data: " + start + b', "choices": [{"index": 0, "delta": {"'

    def token(self, piece: Piece) -> bytes:
        text = json.dumps(piece.text, ensure_ascii=False).encode(errors="replace")
        return self._before + piece.field.encode() + b'": ' + text + b'}, "finish_reason": null}]}\n\n'

    def call(self, at: int, wish: Wish) -> list[bytes]:
        """One call, its arguments in pieces."""
        named = {"name": wish.name, "arguments": ""}
        head = {"index": at, "id": f"call_{secrets.token_hex(8)}", "type": "function", "function": named}
        rest = [{"index": at, "function": {"arguments": piece}} for piece in split(wish.arguments)]
        return [self._delta(tool_calls=[piece]) for piece in (head, *rest)]

    def finish(self, reason: str) -> bytes:
        return self._event(choices=[{"index": 0, "delta": {}, "finish_reason": reason}])

    def _delta(self, **delta: Any) -> bytes:
        return self._event(choices=[{"index": 0, "delta": delta, "finish_reason": None}])

    def usage(self, usage: dict[str, int]) -> bytes:
        return self._event(choices=[], usage=usage)

    def _event(self, **more: Any) -> bytes:
        return b"data: " + json.dumps({**self._head, **more}).encode() + b"\n\n"


DONE = b"data: [DONE]\n\n"


def split(arguments: str) -> list[str]:
    return [arguments[at : at + 12] for at in range(0, len(arguments), 12)]


async def play(asked: Asked, plan: Script, send: Send) -> None:
    """Send the whole streamed answer, one event per `send`, at the script's pace."""
    chunks = Chunks(asked.model)
    tokens, reason = cut(asked, plan)
    async for piece in paced(tokens, plan):
        await send(chunks.token(piece))
    for at, wish in enumerate(plan.calls):
        for event in chunks.call(at, wish):
            await send(event)
    await send(chunks.finish(reason))
    if asked.usage:
        await send(chunks.usage(usage(asked, len(tokens) + len(plan.calls))))
    await send(DONE)


async def paced(tokens: list[Piece], plan: Script) -> AsyncIterator[Piece]:
    """The tokens when they are due; a slow reader delays them, but gets no burst afterwards."""
    clock = asyncio.get_running_loop().time
    wait = max(plan.first, min(plan.at - time.time() * 1000, BOUNDS["first"])) / 1000
    due = clock() + wait
    for n, piece in enumerate(tokens):
        if due > clock():
            await asyncio.sleep(due - clock())
        elif n % 64 == 0:
            await asyncio.sleep(0)
        yield replace(piece, text=f"{' ' if n else ''}{time.time():.4f}") if plan.stamp else piece
        due = max(due + plan.delay / 1000, clock())


async def whole(asked: Asked, plan: Script) -> dict[str, Any]:
    """The answer of a call that does not stream."""
    tokens, reason = cut(asked, plan)
    text = "".join([piece.text async for piece in paced(tokens, plan) if piece.field == "content"])
    message: dict[str, Any] = {"role": "assistant", "content": text}
    if plan.calls:
        message["tool_calls"] = [_called(wish) for wish in plan.calls]
    return {
        "id": f"chatcmpl-{secrets.token_hex(8)}",
        "object": "chat.completion",
        "created": int(time.time()),
        "model": asked.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reason}],
        "usage": usage(asked, len(tokens) + len(plan.calls)),
    }


def _called(wish: Wish) -> dict[str, Any]:
    function = {"name": wish.name, "arguments": wish.arguments}
    return {"id": f"call_{secrets.token_hex(8)}", "type": "function", "function": function}


def refused(status: int, message: str, code: str | None = None) -> web.Response:
    """An error in OpenAI's shape."""
    kind = "invalid_request_error" if status < 500 else "server_error"
    error = {"message": message, "type": kind, "param": None, "code": code}
    return web.json_response({"error": error}, status=status)


def event_stream() -> web.StreamResponse:
    return web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})


async def complete(request: web.Request) -> web.StreamResponse:
    try:
        asked = read(await request.read())
        plan = replace(script(directive("demo", asked.last) or {}), calls=wishes(asked))
    except Misunderstood as error:
        return refused(400, f"demo model: {error}")
    if not asked.stream:
        return web.json_response(await whole(asked, plan))
    response = event_stream()
    # A reader that goes away ends its own answer and nothing else.
    with suppress(ConnectionError):
        await response.prepare(request)
        await play(asked, plan, response.write)
    return response


async def models(_: web.Request) -> web.Response:
    entry = {"id": NAME, "object": "model", "created": 0, "owned_by": "holdfast"}
    return web.json_response({"object": "list", "data": [entry]})


async def health(_: web.Request) -> web.Response:
    return web.json_response({"ok": True})


def app() -> web.Application:
    made = web.Application(client_max_size=BODY_BYTES)
    made.router.add_post("/v1/chat/completions", complete)
    made.router.add_get("/v1/models", models)
    made.router.add_get("/health", health)
    return made


def serve(made: web.Application, description: str) -> None:
    """Serve on the command line's host and port until SIGTERM, which drops the answers under way."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    where = parser.parse_args()
    web.run_app(
        made,
        host=where.host,
        port=where.port,
        shutdown_timeout=0.1,
        handler_cancellation=True,
        access_log=None,
        print=lambda _: print(f"{description} on http://{where.host}:{where.port}/v1", flush=True),
    )


if __name__ == "__main__":
    serve(app(), "Holdfast's demo model, a toy,")
