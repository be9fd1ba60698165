"""A receiver of webhooks for the test suite: an HTTP server with faults, chosen by the path and counted.

Faults are parts of the path, in front of a name; see `tests/tool_server.py` for the idea:

    /NAME                       200 and `{"ok": true}`
    /status=503/retry=S/NAME    that status, with a Retry-After
    /gone/…  /stop/…            410; 400 with `webhook-delivery: abort-message`
    /redirect/…                 307 to /redirected
    /text=hello/…  /bytes=N/…   that body, or so many bytes of `a`
    /noisy/…                    a binary body, and every header that one can think of
    /early/…  /late/…           reset before anything is read; after it was recorded
    /held/…                     answered once `receiver.released` is set
    /hang/…  /loris=MS/…        no answer; one whose head comes byte by byte, so many ms apart
    /drip=MS/…                  200, and a body byte by byte        /broken/…  200, half a body, then a reset
    /huge=BYTES/…               200 and a body of so many bytes, as fast as it is read
    /bomb=MIB/…                 200 and so many MiB of zeros in gzip, asked for or not
    /heads/…                    headers without end                 /garbage/…  what is not HTTP
    /times=N/…                  the faults for the first N requests of the NAME only

`receiver.requests[name]` has each request whose body was read; `distinct_ids` what came, however often.
`GET /requests` tells the same as JSON, bodies in base64; `POST /reset` forgets all.
In a test: `async with Receiver() as receiver`, then `receiver.url`. As a process:
`python -m tests.receiver --port 9003`.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from deploy import demo_model as demo
from tests.model_server import Dropped, drop
from tests.tool_server import Asked, asked, bomb

_ALWAYS = 10**9
_MIB = bytes(1_048_576)


@dataclass(frozen=True)
class Request:
    """As it came."""

    headers: dict[str, str]
    """Names in lower case."""
    body: bytes
    path: str

    @property
    def id(self) -> str:
        return self.headers.get("webhook-id", "")

    def told(self) -> dict[str, Any]:
        body = base64.b64encode(self.body).decode()
        return {"id": self.id, "headers": self.headers, "body": body, "path": self.path}


@dataclass
class Receiver:
    """A context manager on a port of its own, or an `app` to serve."""

    requests: defaultdict[str, list[Request]] = field(default_factory=lambda: defaultdict(list))
    seen: Counter[str] = field(default_factory=Counter)
    """Requests that arrived, by name, whatever became of them."""
    released: asyncio.Event = field(default_factory=asyncio.Event)
    url: str = ""
    _runner: web.AppRunner | None = None

    async def __aenter__(self) -> Receiver:
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

    @property
    def distinct_ids(self) -> set[str]:
        return {request.id for requests in self.requests.values() for request in requests}

    def app(self) -> web.Application:
        made = web.Application(client_max_size=demo.BODY_BYTES)
        made.router.add_get("/health", demo.health)
        made.router.add_get("/requests", self._tell)
        made.router.add_post("/reset", self._forget)
        made.router.add_post("/{path:.*}", self._serve)
        return made

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response(
            {name: [request.told() for request in requests] for name, requests in self.requests.items()}
        )

    async def _forget(self, _: web.Request) -> web.Response:
        self.requests.clear()
        self.seen.clear()
        return web.json_response({})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        plan = asked(request.match_info["path"])
        self.seen[plan.name] += 1
        if self.seen[plan.name] > int(plan.faults.get("times", _ALWAYS)):
            plan = Asked({}, plan.name)
        if "early" in plan.faults:
            drop(request, reset=True)
            return web.Response()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests[plan.name].append(Request(headers, await request.read(), request.raw_path))
        if "held" in plan.faults:
            await self.released.wait()
        try:
            return await _answer(request, plan)
        except (Dropped, ConnectionError):
            return web.Response()


async def _answer(request: web.Request, plan: Asked) -> web.StreamResponse:
    for fault, act in _FAULTS.items():
        if fault in plan.faults:
            return await act(request, plan)
    if "redirect" in plan.faults:
        return web.Response(status=307, headers={"Location": "/redirected"})
    if "gone" in plan.faults:
        return web.Response(status=410)
    if "stop" in plan.faults:
        return web.Response(status=400, headers={"Webhook-Delivery": "Abort-Message"})
    if "noisy" in plan.faults:
        return web.Response(body=b"\x89PNG\0\xff", headers=_NOISE)
    headers = {"Retry-After": plan.faults["retry"]} if "retry" in plan.faults else {}
    text = plan.faults.get("text", "a" * int(plan.faults.get("bytes", "0"))) or '{"ok": true}'
    return web.Response(status=int(plan.faults.get("status", "200")), text=text, headers=headers)


_NOISE = {
    "Content-Type": "image/png",
    "Server": "noise" * 200,
    "X-Request-Id": "one\ttwo",
    "Set-Cookie": "a=b",
    "Authorization": "Bearer secret",
    "Date": "today",
}


async def _hang(_: web.Request, __: Asked) -> web.StreamResponse:
    await asyncio.Event().wait()
    return web.Response()


async def _late(request: web.Request, _: Asked) -> web.StreamResponse:
    drop(request, reset=True)
    raise Dropped


async def _loris(request: web.Request, plan: Asked) -> web.StreamResponse:
    return await _raw(request, (b"%c" % byte for byte in itertools.cycle(b"HTTP/1.1 200 OK")), plan, "loris")


async def _heads(request: web.Request, plan: Asked) -> web.StreamResponse:
    lines = (b"x-%d: %s\r\n" % (number, b"a" * 1_000) for number in itertools.count())
    return await _raw(request, itertools.chain([b"HTTP/1.1 200 OK\r\n"], lines), plan, "heads")


async def _garbage(request: web.Request, plan: Asked) -> web.StreamResponse:
    return await _raw(request, iter([b"220 mail.example ESMTP\r\n"]), plan, "garbage")


async def _raw(request: web.Request, pieces: Iterator[bytes], plan: Asked, fault: str) -> web.StreamResponse:
    """Bytes past the HTTP server, for as long as somebody reads."""
    pause = int(plan.faults[fault] or 0) / 1000
    for piece in pieces:
        transport = request.transport
        if transport is None or transport.is_closing():
            raise Dropped
        transport.write(piece)
        await asyncio.sleep(pause)
    drop(request, reset=False)
    raise Dropped


async def _broken(request: web.Request, _: Asked) -> web.StreamResponse:
    await _streamed(request, _one(b"half"), {"Content-Length": "1000"})
    drop(request, reset=True)
    raise Dropped


async def _drip(request: web.Request, plan: Asked) -> web.StreamResponse:
    async def bytes_() -> AsyncIterator[bytes]:
        for _ in itertools.count():
            yield b"."
            await asyncio.sleep(plan.number("drip") / 1000)

    return await _streamed(request, bytes_(), {})


async def _huge(request: web.Request, plan: Asked) -> web.StreamResponse:
    async def mebibytes() -> AsyncIterator[bytes]:
        for _ in range(0, plan.number("huge"), len(_MIB)):
            yield _MIB

    return await _streamed(request, mebibytes(), {"Content-Length": str(plan.number("huge"))})


async def _bomb(request: web.Request, plan: Asked) -> web.StreamResponse:
    return await _streamed(request, _one(bomb(plan.number("bomb"))), {"Content-Encoding": "gzip"})


async def _one(piece: bytes) -> AsyncIterator[bytes]:
    yield piece


async def _streamed(
    request: web.Request, pieces: AsyncIterator[bytes], headers: dict[str, str]
) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"} | headers)
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    return response


_FAULTS: dict[str, Callable[[web.Request, Asked], Awaitable[web.StreamResponse]]] = {
    "hang": _hang,
    "late": _late,
    "loris": _loris,
    "heads": _heads,
    "garbage": _garbage,
    "broken": _broken,
    "drip": _drip,
    "huge": _huge,
    "bomb": _bomb,
}


if __name__ == "__main__":
    demo.serve(Receiver().app(), "The receiver of the tests")
