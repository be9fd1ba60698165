"""The tools of the test suite: an HTTP server with faults, chosen by the path and counted.

Any method; the body and the query are the tool's own, faults are parts of the path, in front of a name:

    /echo/NAME            200, and the request as JSON: method, path, query (as it came), headers, body
    /status=503/NAME      that status            /type=text,plain/…   that Content-Type (comma for slash)
    /text=hello/NAME      that text              /bytes=N/…           N bytes of `a`
    /binary/…  /invalid/…  /empty/…              bytes, broken JSON, no body
    /nul/…  /latin/…                             text with NUL and bytes of no character; text in ISO 8859-1
    /redirect/…           302 to /echo/redirected            /cookie/…            a cookie to keep
    /together=N/…         once N calls of the NAME have come
    /slow=MS/…            that late              /drip=MS/…           a byte every so many ms, without end
    /huge/…               without end            /bomb=MIB/…          so many MiB of zeros in gzip
    /repeat/…             the Authorization in JSON, without its scheme, decoded and escaped in many ways
    /retry=S/…            with a Retry-After         /hang/…               no answer
    /stall/…              a head and a half body, then silence
    /early/…              reset before anything is read or counted
    /late/…               reset after it was done, unanswered         /cut/…  a clean end in mid-body
    /times=N/…            the faults for the first N calls of the NAME only

`GET /calls` tells of each NAME how many calls were seen, how many executed (read whole), how often each
Idempotency-Key came, and what they said.
In a test: `async with ToolServer() as tools`, then `tools.url` and `tools.calls`. As a process:
`python -m tests.tool_server --port 9002`; `POST /reset` forgets all.
"""

from __future__ import annotations

import asyncio
import base64
import gzip
import html
import itertools
import json
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from functools import cache
from typing import Any
from urllib.parse import quote, quote_plus

from aiohttp import web

from deploy import demo_model as demo
from tests.model_server import Dropped, drop

_ALWAYS = 10**9


@dataclass
class Calls:
    """What one name was asked to do."""

    seen: int = 0
    """Requests that arrived, whatever became of them."""
    executed: int = 0
    keys: Counter[str] = field(default_factory=Counter)
    """How often each Idempotency-Key came."""
    requests: list[dict[str, Any]] = field(default_factory=list)

    def told(self) -> dict[str, Any]:
        return {
            "seen": self.seen,
            "executed": self.executed,
            "keys": dict(self.keys),
            "requests": self.requests,
        }


@dataclass(frozen=True)
class Asked:
    """The parts of a path: faults by their names, and the name that is counted."""

    faults: dict[str, str]
    name: str

    def number(self, fault: str) -> int:
        return int(self.faults[fault])


def asked(path: str) -> Asked:
    """Of `/slow=50/status=503/weather`."""
    *parts, name = path.strip("/").split("/") or [""]
    split = (part.partition("=") for part in parts)
    return Asked({key: value for key, _, value in split}, name)


@cache
def bomb(mebibytes: int) -> bytes:
    return gzip.compress(bytes(mebibytes * 1_048_576))


class ToolServer:
    """A tool's server for tests; a context manager on a port of its own, or an `app` to serve."""

    def __init__(self) -> None:
        self.calls: defaultdict[str, Calls] = defaultdict(Calls)
        self.url = ""
        self._arrived: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> ToolServer:
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
        made.router.add_get("/health", demo.health)
        made.router.add_get("/calls", self._tell)
        made.router.add_post("/reset", self._forget)
        made.router.add_route("*", "/{path:.*}", self._serve)
        return made

    async def _tell(self, _: web.Request) -> web.Response:
        return web.json_response({name: calls.told() for name, calls in self.calls.items()})

    async def _forget(self, _: web.Request) -> web.Response:
        self.calls.clear()
        return web.json_response({})

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        plan = asked(request.match_info["path"])
        calls = self.calls[plan.name]
        calls.seen += 1
        if calls.seen > int(plan.faults.get("times", _ALWAYS)):
            plan = Asked({"echo": ""}, plan.name)
        if "early" in plan.faults:
            drop(request, reset=True)
            return web.Response()
        said = _said(request, await request.read())
        self._record(request, plan, said)
        await self._together(plan)
        try:
            return await _answer(request, plan, said)
        except Dropped:
            return web.Response()

    async def _together(self, plan: Asked) -> None:
        arrived = self._arrived[plan.name]
        if self.calls[plan.name].executed >= int(plan.faults.get("together", "0")):
            arrived.set()
        await arrived.wait()

    def _record(self, request: web.Request, plan: Asked, said: dict[str, Any]) -> None:
        calls = self.calls[plan.name]
        calls.executed += 1
        calls.keys[request.headers.get("Idempotency-Key", "")] += 1
        calls.requests.append(said)


def _said(request: web.Request, body: bytes) -> dict[str, Any]:
    """The request, as it is repeated."""
    path, _, query = request.raw_path.partition("?")
    return {
        "method": request.method,
        "path": path,
        "query": query,
        "headers": {name.lower(): value for name, value in request.headers.items()},
        "body": body.decode(errors="replace"),
    }


async def _answer(request: web.Request, plan: Asked, said: dict[str, Any]) -> web.StreamResponse:
    if "slow" in plan.faults:
        await asyncio.sleep(plan.number("slow") / 1000)
    if "hang" in plan.faults:
        await asyncio.Event().wait()
    if "late" in plan.faults:
        drop(request, reset=True)
        raise Dropped
    if "cookie" in plan.faults:
        return web.Response(headers={"Set-Cookie": "kept=yes; Path=/"}, text="keep it")
    if "redirect" in plan.faults:
        return web.Response(status=302, headers={"Location": "/echo/redirected"}, text="over there")
    for fault, stream in _STREAMS.items():
        if fault in plan.faults:
            return await _streamed(request, plan, stream(plan))
    return _whole(plan, said)


def _whole(plan: Asked, said: dict[str, Any]) -> web.Response:
    kind = plan.faults.get("type", "").replace(",", "/")
    status = int(plan.faults.get("status", "200"))
    headers = {"Retry-After": plan.faults["retry"]} if "retry" in plan.faults else {}
    default, raw = "application/json", json.dumps(said).encode()
    if "repeat" in plan.faults:
        shown = said["headers"].get("authorization", "")
        raw = _repeated(shown).encode()
        headers["Location"] = f"/there?token={quote(shown.split()[-1], safe='')}"
    for fault, make in _BODIES.items():
        if fault in plan.faults:
            default, raw = make(plan)
    return web.Response(status=status, body=raw, headers={"Content-Type": kind or default} | headers)


def _repeated(shown: str) -> str:
    """JSON with the secret of a header in every spelling that its readers see through."""
    words = {shown, shown.split()[-1]}
    if shown.startswith("Basic "):
        user, _, password = (pair := base64.b64decode(shown[6:]).decode()).partition(":")
        words |= {pair, password or user}
    spelled = [
        spelling
        for word in sorted(words)
        for spelling in (
            json.dumps(word),
            json.dumps(word, ensure_ascii=False).replace("/", "\\/"),
            '"' + "".join(f"\\u{ord(char):04x}" for char in word) + '"',
            json.dumps(json.dumps({word: word}).replace("/", "\\/")),
            json.dumps(quote(word, safe="")),
            json.dumps(quote_plus(word).lower() if word.islower() else quote_plus(word)),
            json.dumps(html.escape(word).replace("/", "&#x2F;").replace("+", "&#43;")),
        )
    ]
    members = ", ".join(f'"{at} {spelling[1:]}: [{spelling}, 1]' for at, spelling in enumerate(spelled))
    return f"{{{members}}}"


Body = Callable[[Asked], tuple[str, bytes]]
_BODIES: dict[str, Body] = {
    "text": lambda plan: ("text/plain; charset=utf-8", plan.faults["text"].encode()),
    "bytes": lambda plan: ("text/plain", b"a" * plan.number("bytes")),
    "binary": lambda _: ("image/png", b"\x89PNG\r\n\x1a\n" + bytes(range(256))),
    "invalid": lambda _: ("application/json", b'{"half": '),
    "empty": lambda _: ("text/plain", b""),
    "nul": lambda _: ("text/plain; charset=utf-8", b"a\x00b\xff\xed\xa0\x80c"),
    "latin": lambda _: ("text/plain; charset=iso-8859-1", "café".encode("latin-1")),
}


async def _streamed(request: web.Request, plan: Asked, pieces: AsyncIterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/plain"})
    if "bomb" in plan.faults:
        response.headers["Content-Encoding"] = "gzip"
    if "cut" in plan.faults:
        response.content_length = 1_000
    await response.prepare(request)
    async for piece in pieces:
        await response.write(piece)
    if "cut" in plan.faults:
        drop(request, reset=False)
        raise Dropped
    return response


async def _drip(plan: Asked) -> AsyncIterator[bytes]:
    for _ in itertools.count():
        yield b"."
        await asyncio.sleep(plan.number("drip") / 1000)


async def _huge(_: Asked) -> AsyncIterator[bytes]:
    for _number in itertools.count():
        yield b"huge " * 4096


async def _bomb(plan: Asked) -> AsyncIterator[bytes]:
    yield bomb(plan.number("bomb"))


async def _half(_: Asked) -> AsyncIterator[bytes]:
    yield b"half an answer"


async def _stall(_: Asked) -> AsyncIterator[bytes]:
    yield b"half an answer"
    await asyncio.Event().wait()


_STREAMS: dict[str, Callable[[Asked], AsyncIterator[bytes]]] = {
    "drip": _drip,
    "huge": _huge,
    "bomb": _bomb,
    "cut": _half,
    "stall": _stall,
}


if __name__ == "__main__":
    demo.serve(ToolServer().app(), "The tools of the tests")
