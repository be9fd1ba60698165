"""One client's way of speaking to the platform: it repeats what it may and resumes what broke."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import aiohttp

from bench.torture.history import Heard, Op
from domain.events import TERMINAL

TRY_SECONDS = 20.0
"""One try; a frozen process is left for another."""
OP_SECONDS = 150.0
SILENCE = 14.0
"""A stream gives a sign of life every 10 s."""
PAUSE = 0.1
BUG, DENIED = 500, 503
NOT_YET = (408, 429)
"""Answers after which the same call is made again."""
LIMIT = "LIMITS_REACHED"
_LOST = (aiohttp.ClientError, OSError, TimeoutError, ValueError)


class Reply(NamedTuple):
    status: int
    body: Any
    run: str | None


class Unknown(Exception):
    """Nobody can tell what became of a call."""


class Request(NamedTuple):
    """A POST; `resume` tells how the same stream is asked for after a seq."""

    path: str
    body: dict[str, Any]
    headers: dict[str, str]
    resume: Callable[[int], tuple[dict[str, Any], dict[str, str]]] | None = None
    raw: bytes | None = None
    """In the place of the body, byte for byte."""


class Reading(NamedTuple):
    """A stream of items; `after` tells how the same is asked for after an item, or from its beginning."""

    method: str
    path: str
    after: Callable[[str | None], dict[str, Any]]
    """Arguments of a request, as aiohttp takes them."""


class Talk:
    """A session with every API of the platform; each try goes to the next of them. `tools` is where agents
    find the tools, `sink` where results are delivered."""

    def __init__(
        self, addresses: Sequence[str], key: str, chance: random.Random, tools: str = "", sink: str = ""
    ) -> None:
        self.tools, self.sink = tools, sink
        self._addresses = addresses
        self._next = chance.randrange(len(addresses))
        self._headers = {"Authorization": f"Bearer {key}", "X-Holdfast-Events": "all"}
        self.times: defaultdict[str, list[float]] = defaultdict(list)
        """When (time.time()) each operation that streams heard something."""

    async def __aenter__(self) -> Talk:
        self._session = aiohttp.ClientSession(headers=self._headers)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._session.close()

    async def ask(self, op: Op, request: Request) -> Reply:
        """The first definite answer; a call without a key is made once. Raises Unknown."""
        ends = time.monotonic() + OP_SECONDS
        while True:
            op.tries += 1
            reply = await self._try(request)
            if reply is not None and reply.status >= 500:
                _note(op, reply)
            elif reply is not None and _is_definite(op, reply):
                return reply
            if not op.keyed or time.monotonic() > ends:
                raise Unknown
            await asyncio.sleep(PAUSE)

    async def listen(self, op: Op, request: Request, *, leave: int = 0) -> Heard:
        """Listens to the terminal event, resuming wherever it breaks; leaves once by itself after `leave`
        events.

        Raises Unknown, and Refused when the stream is not given.
        """
        ends = time.monotonic() + OP_SECONDS
        most = ends + 3 * OP_SECONDS
        while True:
            op.tries += 1
            asked, heard = self._resumed(op, request), list[Heard]()
            op.heard.append(heard)
            try:
                # Signs of life alone may not keep anybody for ever.
                async with asyncio.timeout(ends - time.monotonic()):
                    await self._hear(op, asked, heard, leave)
            except _LOST:
                await asyncio.sleep(PAUSE)
            if heard and heard[-1][1] in TERMINAL:
                return heard[-1]
            if heard:
                # What is slow and cut off late is still spoken to.
                ends = min(time.monotonic() + OP_SECONDS, most)
            leave = 0
            if request.resume is None or time.monotonic() > ends:
                raise Unknown

    async def read(self, op: Op, reading: Reading) -> None:
        """Reads a list to its end, going on after the last item wherever it is cut off.

        Raises Unknown, and Refused when it is not given.
        """
        ends = time.monotonic() + OP_SECONDS
        while not await self.read_on(op, reading):
            if time.monotonic() > ends:
                raise Unknown

    async def read_on(self, op: Op, reading: Reading) -> bool:
        """Notes what comes on one connection; whether the stream was ended, not cut off. Raises Refused."""
        op.tries += 1
        last = op.listed[-1] if op.listed else None
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=SILENCE)
        try:
            async with self._session.request(
                reading.method,
                self._address() + reading.path,
                headers={"Accept": "application/jsonl"},
                timeout=timeout,
                **reading.after(last),
            ) as answer:
                if answer.status != 200:
                    await _refused(op, answer)
                    return False
                async for line in answer.content:
                    op.listed.append(json.loads(line)["data"]["id"])
                return True
        except _LOST:
            await asyncio.sleep(PAUSE)
            return False

    def _resumed(self, op: Op, request: Request) -> Request:
        last = max((heard[-1][0] for heard in op.heard if heard), default=0)
        if request.resume is None or not last:
            return request
        body, headers = request.resume(last)
        return request._replace(body=request.body | body, headers=request.headers | headers)

    async def _hear(self, op: Op, request: Request, heard: list[Heard], leave: int) -> None:
        headers = {"Accept": "application/jsonl", **request.headers}
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=2, sock_read=SILENCE)
        async with self._session.post(
            self._address() + request.path, json=request.body, headers=headers, timeout=timeout
        ) as answer:
            if answer.status != 200:
                return await _refused(op, answer)
            op.run = answer.headers.get("X-Run-Id") or op.run
            async for line in answer.content:
                if not line.endswith(b"\n"):
                    return
                heard.append(_event(op, line))
                self.times[op.id].append(time.time())
                if heard[-1][1] in TERMINAL or len(heard) == leave:
                    return

    async def fetch(self, path: str) -> dict[str, Any]:
        """What is shown under a path. Raises Unknown."""
        ends = time.monotonic() + OP_SECONDS
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS, sock_connect=2)
        while time.monotonic() < ends:
            with suppress(*_LOST):
                async with self._session.get(self._address() + path, timeout=timeout) as answer:
                    if answer.status == 200:
                        shown: dict[str, Any] = await answer.json()
                        return shown
            await asyncio.sleep(PAUSE)
        raise Unknown

    async def _try(self, request: Request) -> Reply | None:
        timeout = aiohttp.ClientTimeout(total=TRY_SECONDS, sock_connect=2)
        try:
            async with self._session.post(
                self._address() + request.path, headers=request.headers, timeout=timeout, **_said(request)
            ) as answer:
                return Reply(answer.status, await answer.json(), answer.headers.get("X-Run-Id"))
        except _LOST:
            return None

    def _address(self) -> str:
        self._next = (self._next + 1) % len(self._addresses)
        return self._addresses[self._next]


def _said(request: Request) -> dict[str, Any]:
    return {"json": request.body} if request.raw is None else {"data": request.raw}


class Refused(Exception):
    """A definite no."""

    def __init__(self, status: int, code: str) -> None:
        super().__init__(status, code)
        self.status = status
        self.code = code


def _is_definite(op: Op, reply: Reply) -> bool:
    """A limit is a no to whoever expects to meet one."""
    expected = op.refusal == LIMIT == reply.body.get("code")
    return expected or reply.status not in NOT_YET


def _note(op: Op, reply: Reply) -> None:
    op.bugs += reply.status == BUG or reply.run is not None
    op.denied |= reply.status == DENIED and "nothing was done" in reply.body.get("message", "")


async def _refused(op: Op, answer: aiohttp.ClientResponse) -> None:
    """A definite no is raised; anything else is tried again after a moment."""
    body = await answer.json()
    if answer.status >= 500:
        _note(op, Reply(answer.status, body, answer.headers.get("X-Run-Id")))
    if answer.status < 500 and answer.status not in NOT_YET:
        raise Refused(answer.status, body["code"])
    await asyncio.sleep(PAUSE)


def _event(op: Op, line: bytes) -> Heard:
    """A line of a completion's stream or of a channel's, whose events are wrapped once more."""
    try:
        outer = json.loads(line)
    except ValueError:
        op.bugs += 1
        raise
    inner = outer["data"] if outer["type"] == "message" and "type" in outer["data"] else None
    if inner is not None and "data" in inner:
        return outer["seq"], inner["type"], inner["data"]
    return outer["seq"], outer["type"], outer["data"]


def text_of(heard: Sequence[Heard]) -> str:
    """The answer as a listener puts it together."""
    pieces: list[str] = []
    for _, kind, data in heard:
        if kind == "completeBegin":
            pieces.clear()
        elif kind == "token":
            pieces.append(data["token"])
    return "".join(pieces)
