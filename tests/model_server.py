"""The model of the test suite: the demo model with faults, chosen by the prompt and recorded.

A directive in the last user message, such as `[model tokens=20 cut=10 times=1 key=a]`, takes the demo's parts
(tokens, delay, first, reasoning, finish; delay is 0 here) and, for the first `times` calls of its key (all of
them when left out; the key is the whole message when left out), one or more faults:

    status=429 retry_after=1 error=insufficient_quota   that status, header and error code
    html            200 and a web page                  garbage=N    bad JSON in place of event N
    cut=N           closed after N tokens               reset=N      reset after N tokens; 0: at once
    stall=N         silent after N tokens               end=N        a clean end of the body after N tokens
    failed=N        an error object after N tokens      endless      tokens of 1 KiB without end
    split           every byte its own write            nodone       no `[DONE]`
    nul             NUL and a lone surrogate in front of every token
    echo            error messages repeat the last user message

In a test: `async with ModelServer() as model`, then `model.base_url` and `model.calls`. As a process:
`python -m tests.model_server --port 9001`; `GET /calls` tells the calls, `POST /reset` forgets them.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, NoReturn

from aiohttp import web

from deploy import demo_model as demo

_ALWAYS = 10**9
_NUMBERS = ("status", "times", "cut", "reset", "stall", "end", "failed", "garbage")
_FLAGS = ("html", "endless", "split", "nodone", "nul", "echo")
_TEXTS = ("retry_after", "error", "key")
_CONTENT = b'"content": "'


@dataclass
class Call:
    """One request as it came. `at` is epoch milliseconds."""

    key: str
    prompts: list[str]
    parameters: dict[str, Any]
    authorization: str
    at: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    ended: int = 0
    """When its answer was over, whatever became of it; 0 until then."""
    finished: bool = False
    """The whole answer, or the error status, was sent."""
    closed_by_client: bool = False


@dataclass(frozen=True)
class Faults:
    """What goes wrong with one answer; a number is the token after which it does."""

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


class Faulty:
    """A sender of events that goes wrong as told."""

    def __init__(self, request: web.Request, response: web.StreamResponse, plan: Faults) -> None:
        self._request = request
        self._response = response
        self._plan = plan
        self._sent = 0

    async def send(self, event: bytes) -> None:
        await self._fail()
        self._sent += 1
        if event == demo.DONE and self._plan.nodone:
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
        if self._sent == self._plan.garbage:
            return b'data: {"choices": [{"delta":\n\n'
        if self._sent - 1 == self._plan.failed:
            return b'data: {"error": {"message": "it fell over", "type": "%s"}}\n\n' % (
                self._plan.error.encode() or b"server_error"
            )
        if self._plan.nul:
            event = event.replace(_CONTENT, _CONTENT + rb"\u0000\ud83d")
        if self._plan.split:
            event = event.replace(_CONTENT, _CONTENT + "é€😀".encode())
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
        self.base_url = ""
        self._seen: Counter[str] = Counter()
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ModelServer:
        self._runner = web.AppRunner(
            self.app(), handler_cancellation=True, shutdown_timeout=0.1, access_log=None
        )
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def app(self) -> web.Application:
        made = web.Application(client_max_size=demo.BODY_BYTES)
        made.router.add_post("/v1/chat/completions", self._complete)
        made.router.add_get("/v1/models", demo.models)
        made.router.add_get("/health", demo.health)
        made.router.add_get("/calls", self._tell)
        made.router.add_post("/reset", self._forget)
        return made

    def reset(self) -> None:
        """Forget every call, and how often each key was seen."""
        self.calls.clear()
        self._seen.clear()

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response([asdict(call) for call in self.calls])

    async def _forget(self, _: web.Request) -> web.Response:
        self.reset()
        return web.json_response({})

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.read()
        try:
            asked = demo.read(body)
            parts = demo.directive("model", asked.last) or {}
            plan = faults(parts)
            own = demo.script({key: parts[key] for key in parts if key not in asdict(plan)}, delay=0)
        except demo.Misunderstood as error:
            return demo.refused(400, f"model server: {error}")
        call = self._record(request, asked, plan, body)
        if self._seen[call.key] > plan.times:
            plan = Faults()
        return await self._answer(request, asked, own, plan, call)

    def _record(self, request: web.Request, asked: demo.Asked, plan: Faults, body: bytes) -> Call:
        parameters = {key: value for key, value in json.loads(body).items() if key != "messages"}
        authorization = request.headers.get("Authorization", "")
        call = Call(plan.key or asked.last, list(asked.texts), parameters, authorization)
        self.calls.append(call)
        self._seen[call.key] += 1
        return call

    async def _answer(
        self, request: web.Request, asked: demo.Asked, own: demo.Script, plan: Faults, call: Call
    ) -> web.StreamResponse:
        try:
            response, call.finished = await answer(request, asked, own, plan)
            return response
        except asyncio.CancelledError:
            call.closed_by_client = True
            raise
        except ConnectionError:
            call.closed_by_client = True
            return demo.event_stream()
        finally:
            call.ended = time.time_ns() // 1_000_000


async def answer(
    request: web.Request, asked: demo.Asked, own: demo.Script, plan: Faults
) -> tuple[web.StreamResponse, bool]:
    """The demo's answer with the faults, and whether it was sent whole."""
    if plan.status:
        return _refused(asked, plan), True
    if plan.html:
        return web.Response(text="<html><body>It works!</body></html>", content_type="text/html"), True
    if not asked.stream:
        return web.json_response(await demo.whole(asked, own)), True
    response = demo.event_stream()
    if plan.reset == 0:
        drop(request, reset=True)
        return response, False
    await response.prepare(request)
    return response, await _stream(asked, own, plan, Faulty(request, response, plan))


async def _stream(asked: demo.Asked, own: demo.Script, plan: Faults, sender: Faulty) -> bool:
    try:
        if plan.endless:
            await _endless(asked, own, sender)
        await demo.play(asked, own, sender.send)
    except Dropped:
        return False
    return True


async def _endless(asked: demo.Asked, own: demo.Script, sender: Faulty) -> None:
    event = demo.Chunks(asked.model).token(demo.Piece("endless " * 128))
    while True:
        await sender.send(event)
        await asyncio.sleep(own.delay / 1000)


def _refused(asked: demo.Asked, plan: Faults) -> web.Response:
    said = f" by: {asked.last}" if plan.echo else ""
    response = demo.refused(plan.status, f"asked to answer {plan.status}{said}", plan.error or None)
    if plan.retry_after:
        response.headers["Retry-After"] = plan.retry_after
    return response


if __name__ == "__main__":
    demo.serve(ModelServer().app(), "The model of the tests")
