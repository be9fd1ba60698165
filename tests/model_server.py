"""The model of the test suite: the demo model with faults, chosen by the prompt and recorded.

A directive in the last user message, such as `[model tokens=20 cut=10 times=1 key=a]`, takes the demo's parts
(tokens, delay, first, reasoning, finish; delay is 0 here) and, for the first `times` calls of its key (all of
them when left out; the key is the whole message when left out), one or more faults:

    status=429 retry_after=1 error=insufficient_quota   that status, header and error code
    html            200 and a web page                  garbage=N    bad JSON in place of event N
    cut=N           closed after N tokens               reset=N      reset after N tokens; 0: at once
    stall=N         silent after N tokens               end=N        a clean end of the body after N tokens
    failed=N        an error object after N tokens      endless      tokens of 1 KiB without end
    split           every byte its own write            nodone       no end marker
    nul             NUL and a lone surrogate in front of every token
    echo            error messages repeat the last user message

and calls of tools. The rounds of a turn are told by its calls since that message, so a retry finds its own:

    calls=N         so many calls in each of the first `rounds` (1) answers, then the answer of the other
                    parts; none where no tool may be called
    tool=a,b        of these tools in turn, offered or not; of all that are offered when left out
    args=...        `n` (the default) numbers them, `{"n": 1}` and so on through the turn; `city:Rome,days:3`
                    gives these; `broken` (ends in the middle), `none` (no text), `list` (no object), `nul`
    say=N           tokens in front of the calls
    round=N         the faults are of this round only; `times` counts within a round

It refuses whatever makers' servers would refuse in the history of these calls (tests/histories.py).

It speaks OpenAI's chat completions and Anthropic's messages (finish=stop is `end_turn` there, and so on).
In a test: `async with ModelServer() as model`, then `model.url` and `model.calls`. As a process:
`python -m tests.model_server --port 9001`; `GET /calls` tells the calls, `POST /reset` forgets them.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from typing import Any, NoReturn

from aiohttp import web

from deploy import demo_model as demo
from tests import claude, histories

_ALWAYS = 10**9
_NUMBERS = ("round", "status", "times", "cut", "reset", "stall", "end", "failed", "garbage")
_FLAGS = ("html", "endless", "split", "nodone", "nul", "echo")
_TEXTS = ("retry_after", "error", "key")
_PROMPTS = ("messages", "system")
_TOOLS = ("calls", "tool", "rounds", "args", "say")


@dataclass
class Call:
    """One request as it came. `at` is epoch milliseconds."""

    key: str
    prompts: list[str]
    parameters: dict[str, Any]
    authorization: str
    """The key, as the wire format sends it."""
    at: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    ended: int = 0
    """When its answer was over, whatever became of it; 0 until then."""
    finished: bool = False
    """The whole answer, or the error status, was sent."""
    closed_by_client: bool = False
    version: str = ""
    """Of Anthropic's messages."""
    tools: list[str] = field(default_factory=list)
    """The names of those offered."""
    must: str = ""
    """The tool that was to be called, or `none`."""
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    """Every call in the history: its id, its name, its arguments."""
    results: list[tuple[str, str]] = field(default_factory=list)
    """Every result in the history: the id of its call, and what it says."""
    carried: list[Any] = field(default_factory=list)
    """What came back of the model's thoughts: blocks, or fields of messages."""


@dataclass(frozen=True)
class Faults:
    """What goes wrong with one answer; a number is the token after which it does."""

    round: int = 0
    """0 is all of them."""
    status: int = 0
    retry_after: str = ""
    error: str = ""
    key: str = ""
    times: int = _ALWAYS
    cut: int | None = None
    reset: int | None = None
    stall: int | None = None
    end: int | None = None
    failed: int | None = None
    garbage: int | None = None
    html: bool = False
    endless: bool = False
    split: bool = False
    nodone: bool = False
    nul: bool = False
    echo: bool = False


Play = Callable[[demo.Asked, demo.Script, demo.Send], Awaitable[None]]


@dataclass(frozen=True)
class Wire:
    """A wire format: how it is read and spoken, and where it breaks."""

    read: Callable[[bytes], demo.Asked]
    told: Callable[[dict[str, Any]], histories.Told]
    play: Play
    endless: Play
    failed: Callable[[str], bytes]
    refused: Callable[[int, str, str | None], web.Response]
    key: str
    """The header that carries the key."""
    mark: bytes
    """What the text of a token's event begins with."""
    garbage: bytes
    done: bytes


async def _endless(asked: demo.Asked, own: demo.Script, send: demo.Send) -> None:
    event = demo.Chunks(asked.model).token(demo.Piece("endless " * 128))
    while True:
        await send(event)
        await asyncio.sleep(own.delay / 1000)


def _failed(kind: str) -> bytes:
    error = {"message": "it fell over", "type": kind or "server_error"}
    return b"data: %s\n\n" % json.dumps({"error": error}).encode()


def _read(body: bytes) -> demo.Asked:
    asked = demo.read(body)
    try:
        histories.openai(json.loads(body))
    except histories.Refused as error:
        raise demo.Misunderstood(str(error)) from error
    except (LookupError, TypeError, AttributeError) as error:
        raise demo.Misunderstood("a message, a call or a tool lacks a part") from error
    return asked


OPENAI = Wire(
    read=_read,
    told=histories.told_openai,
    play=demo.play,
    endless=_endless,
    failed=_failed,
    refused=demo.refused,
    key="Authorization",
    mark=b'"content": "',
    garbage=b'data: {"choices": [{"delta":\n\n',
    done=demo.DONE,
)
ANTHROPIC = Wire(
    read=claude.read,
    told=histories.told_anthropic,
    play=claude.play,
    endless=claude.endless,
    failed=claude.failed,
    refused=claude.refused,
    key="x-api-key",
    mark=claude.MARK,
    garbage=claude.GARBAGE,
    done=claude.STOPPED,
)


class Dropped(Exception):
    """The server ended its own answer here."""


def faults(parts: Mapping[str, str]) -> Faults:
    """The faults of a directive's parts; the demo's parts are passed over."""
    numbers: dict[str, Any] = {
        key: demo.number(key, parts[key] or "0", _ALWAYS) for key in _NUMBERS if key in parts
    }
    flags: dict[str, Any] = {key: True for key in _FLAGS if key in parts}
    texts: dict[str, Any] = {key: parts[key] for key in _TEXTS if key in parts}
    return replace(Faults(), **numbers, **flags, **texts)


def scripted(asked: demo.Asked, parts: Mapping[str, str]) -> demo.Script:
    """How to answer, faults aside. Raises Misunderstood."""
    faulty = asdict(Faults())
    own = demo.script({key: parts[key] for key in parts if key not in faulty and key not in _TOOLS}, delay=0)
    rounds = demo.number("rounds", parts.get("rounds", "1"), _ALWAYS)
    if "calls" not in parts:
        return replace(own, calls=demo.wishes(asked))
    if asked.rounds >= rounds or asked.must == "none" or not (asked.tools or "tool" in parts):
        return own
    return replace(
        own,
        tokens=demo.number("say", parts.get("say", "0"), demo.BOUNDS["tokens"]),
        calls=tuple(_wishes(asked, parts)),
    )


def _wishes(asked: demo.Asked, parts: Mapping[str, str]) -> Iterator[demo.Wish]:
    calls = demo.number("calls", parts["calls"], _ALWAYS)
    names = parts["tool"].split(",") if "tool" in parts else asked.tools
    for at in range(calls):
        n = asked.rounds * calls + at
        yield demo.Wish(names[n % len(names)], _arguments(parts.get("args", "n"), n + 1))


def _arguments(kind: str, n: int) -> str:
    known = {"n": f'{{"n": {n}}}', "broken": '{"n": ', "none": "", "list": "[1]"}
    known["nul"] = r'{"n": "\u0000\ud83d"}'
    if kind in known:
        return known[kind]
    pairs = (pair.partition(":") for pair in kind.split(","))
    return json.dumps({key: int(value) if value.isdecimal() else value for key, _, value in pairs})


class Faulty:
    """A sender of events that goes wrong as told."""

    def __init__(self, request: web.Request, response: web.StreamResponse, plan: Faults, wire: Wire) -> None:
        self._request = request
        self._response = response
        self._plan = plan
        self._wire = wire
        self._sent = 0

    async def send(self, event: bytes) -> None:
        await self._fail()
        self._sent += 1
        if event == self._wire.done and self._plan.nodone:
            return
        await self._write(self._spoiled(event))

    async def _fail(self) -> None:
        if self._sent == self._plan.stall:
            await asyncio.Event().wait()
        if self._sent == self._plan.cut:
            self._drop(reset=False)
        if self._sent == self._plan.reset:
            self._drop(reset=True)
        if self._sent == self._plan.end:
            raise Dropped

    def _drop(self, *, reset: bool) -> NoReturn:
        drop(self._request, reset=reset)
        raise Dropped

    def _spoiled(self, event: bytes) -> bytes:
        mark = self._wire.mark
        if self._sent == self._plan.garbage:
            return self._wire.garbage
        if self._sent - 1 == self._plan.failed:
            return self._wire.failed(self._plan.error)
        if self._plan.nul:
            event = event.replace(mark, mark + rb"\u0000\ud83d")
        if self._plan.split:
            event = event.replace(mark, mark + "é€😀".encode())
        return event

    async def _write(self, event: bytes) -> None:
        if not self._plan.split:
            return await self._response.write(event)
        for at in range(len(event)):
            await self._response.write(event[at : at + 1])
            await asyncio.sleep(0)


def drop(request: web.Request, *, reset: bool) -> None:
    """Close the connection in the middle of an answer, or reset it."""
    transport = request.transport
    if transport is None:
        return
    if reset:
        raw = transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    else:
        transport.close()


class ModelServer:
    """A model's server for tests; a context manager on a port of its own, or an `app` to serve."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.url = ""
        self._seen: Counter[tuple[str, int]] = Counter()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ModelServer:
        self._runner = web.AppRunner(
            self.app(), handler_cancellation=True, shutdown_timeout=0.1, access_log=None
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def app(self) -> web.Application:
        made = web.Application(client_max_size=demo.BODY_BYTES)
        made.router.add_post("/v1/chat/completions", partial(self._complete, OPENAI))
        made.router.add_post("/v1/messages", partial(self._complete, ANTHROPIC))
        made.router.add_get("/v1/models", demo.models)
        made.router.add_get("/health", demo.health)
        made.router.add_get("/calls", self._tell)
        made.router.add_post("/reset", self._forget)
        return made

    def reset(self) -> None:
        """Forget every call, and how often each key was seen."""
        self.calls.clear()
        self._seen.clear()

    async def _tell(self, request: web.Request) -> web.Response:
        """The calls in one of whose prompts the `word` stands."""
        word = request.query["word"]
        told = [asdict(call) for call in self.calls if any(word in prompt for prompt in call.prompts)]
        return web.json_response(told)

    async def _forget(self, _: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})

    async def _complete(self, wire: Wire, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            asked = wire.read(body)
            parts = demo.directive("model", asked.last) or {}
            plan = faults(parts)
            own = scripted(asked, parts)
        except demo.Misunderstood as error:
            return wire.refused(400, f"model server: {error}", None)
        call = self._record(wire, request.headers, asked, plan, body)
        if self._seen[call.key, asked.rounds] > plan.times or plan.round not in (0, asked.rounds + 1):
            plan = Faults()
        try:
            response, call.finished = await Answering(wire, request, asked, own, plan).run()
            return response
        except asyncio.CancelledError:
            call.closed_by_client = True
            raise
        except ConnectionError:
            call.closed_by_client = True
            return demo.event_stream()
        finally:
            call.ended = time.time_ns() // 1_000_000

    def _record(
        self, wire: Wire, headers: Mapping[str, str], asked: demo.Asked, plan: Faults, body: bytes
    ) -> Call:
        request = json.loads(body)
        parameters = {key: value for key, value in request.items() if key not in _PROMPTS}
        key = plan.key or asked.last
        call = Call(key, list(asked.texts), parameters, headers.get(wire.key, ""))
        call.version = headers.get("anthropic-version", "")
        call.tools, call.must = list(asked.tools), asked.must
        call.asked, call.results, call.carried = wire.told(request)
        self.calls.append(call)
        self._seen[call.key, asked.rounds] += 1
        return call


@dataclass(frozen=True)
class Answering:
    """The demo's answer to one request, with its faults."""

    wire: Wire
    request: web.Request
    asked: demo.Asked
    own: demo.Script
    plan: Faults

    async def run(self) -> tuple[web.StreamResponse, bool]:
        """The answer, and whether it was sent whole."""
        if self.plan.status:
            return self._refused(), True
        if self.plan.html:
            return web.Response(text="<html><body>It works!</body></html>", content_type="text/html"), True
        if not self.asked.stream:
            return web.json_response(await demo.whole(self.asked, self.own)), True
        response = demo.event_stream()
        if self.plan.reset == 0:
            drop(self.request, reset=True)
            return response, False
        await response.prepare(self.request)
        return response, await self._stream(Faulty(self.request, response, self.plan, self.wire))

    async def _stream(self, sender: Faulty) -> bool:
        play = self.wire.endless if self.plan.endless else self.wire.play
        try:
            await play(self.asked, self.own, sender.send)
        except Dropped:
            return False
        return True

    def _refused(self) -> web.Response:
        said = f" by: {self.asked.last}" if self.plan.echo else ""
        status = self.plan.status
        response = self.wire.refused(status, f"asked to answer {status}{said}", self.plan.error or None)
        if self.plan.retry_after:
            response.headers["Retry-After"] = self.plan.retry_after
        return response


if __name__ == "__main__":
    demo.serve(ModelServer().app(), "The model of the tests")
