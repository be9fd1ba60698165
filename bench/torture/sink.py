"""A receiver of webhooks that fails on schedule: `python -m bench.torture.sink PORT FILE SEED`.

What it does with a request is its webhook-id's and the number of times that it came, or its path's:

    /…      takes most; some it answers with an error, or late, or resets, unread or when it has taken them
    /tide/… is out for some seconds of every ten            /never/… takes nothing

Each request that was read is a line in FILE before it is answered, so that a sink that is killed forgets
nothing: when it came, its path, headers and body, and whether it is acknowledged.
"""

from __future__ import annotations

import asyncio
import base64
import json
import random
import sys
import time
from collections import Counter
from pathlib import Path
from typing import IO, Any, Literal

import uvloop
from aiohttp import web

from tests.model_server import drop

Fate = Literal["taken", "late", "busy", "broken", "lost", "unread"]
FATES: dict[Fate, int] = {"taken": 60, "late": 8, "busy": 8, "broken": 8, "lost": 10, "unread": 6}
"""With their weights. `lost`: taken, and the answer never comes; `unread`: reset before anything is read."""
LATE = 1.5
TIDE, OUT = 10.0, 3.0
"""Seconds of a tide, and how long of them the sink is out."""


def fate(path: str, webhook: str, count: int, seed: str, now: float) -> Fate:
    """What becomes of a request."""
    kind = path.split("/")[1]
    if kind == "never" or (kind == "tide" and now % TIDE < OUT):
        return "broken"
    (drawn,) = random.Random(f"{seed}/{webhook}/{count}").choices([*FATES], [*FATES.values()])
    return drawn


class Sink:
    def __init__(self, lines: IO[str], seed: str) -> None:
        self._lines = lines
        self._seed = seed
        self._came: Counter[str] = Counter()

    async def take(self, request: web.Request) -> web.StreamResponse:
        webhook = request.headers.get("webhook-id", "")
        self._came[webhook] += 1
        drawn = fate(request.path, webhook, self._came[webhook], self._seed, time.time())
        if drawn == "unread":
            drop(request, reset=True)
            return web.Response()
        self._note(request, await request.read(), drawn in ("taken", "late"))
        return await self._answer(request, drawn)

    async def _answer(self, request: web.Request, drawn: Fate) -> web.StreamResponse:
        if drawn == "late":
            await asyncio.sleep(LATE)
        if drawn == "lost":
            drop(request, reset=True)
        if drawn == "busy":
            return web.Response(status=503, headers={"Retry-After": "1"})
        return web.Response(status=500 if drawn == "broken" else 204)

    def _note(self, request: web.Request, body: bytes, taken: bool) -> None:
        headers = {name.lower(): value for name, value in request.headers.items()}
        line: dict[str, Any] = {"at": time.time(), "path": request.path, "headers": headers, "taken": taken}
        self._lines.write(json.dumps(line | {"body": base64.b64encode(body).decode()}) + "\n")
        self._lines.flush()


async def run(port: int, file: Path, seed: str) -> None:
    with file.open("a") as lines:
        app = web.Application()
        app.router.add_post("/{path:.*}", Sink(lines, seed).take)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, reuse_address=True).start()
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(run(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]))
