"""Framing: events as JSON lines or as server-sent events, and the signs of life between them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Literal

from domain.events import TYPED, rendered
from store.feed import Row

MEDIA_TYPE = {"jsonl": "application/jsonl", "sse": "text/event-stream", "csv": "text/csv"}
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
SILENCE = 10.0
"""Seconds between signs of life."""

ALIVE = {"jsonl": b" ", "sse": b":\n\n"}
# Official clients die of an empty line and take spaces before a line (contract §11.2).

Outer = Literal["completion", "channel"]


def framed(line: str, shape: str, seq: int | str | None) -> bytes:
    """A line on the wire; as an SSE event it bears the seq, or the id, after which its reader goes on."""
    if shape == "jsonl":
        return f"{line}\n".encode("ascii")
    mark = "" if seq is None else f"id: {seq}\n"
    return f"{mark}data: {line}\n\n".encode("ascii")


def event_line(row: Row, shape: str, outer: Outer) -> bytes:
    """One event on the wire; its data was rendered as ASCII when it was logged."""
    if row.type == "published":
        line = f'{{"type":"message","data":{row.data},"seq":{row.seq}}}'
    elif outer == "channel":
        line = f'{{"type":"message","data":{{"type":"{row.type}","data":{row.data}}},"seq":{row.seq}}}'
    else:
        line = f'{{"type":"{row.type}","data":{row.data},"seq":{row.seq}}}'
    return framed(line, shape, row.seq)


def shown(row: Row, everything: bool) -> bool:
    """Whether a client sees it; only one that asked sees what official clients do not know."""
    return everything or row.type in TYPED or row.type == "published"


def told(row: Row, everything: bool) -> Row:
    """A row as a client is told it. The official Python client takes a `message` in an event of a wait for a
    text, and gives up the stream for an object; what was published is in the activity message that follows.
    """
    if everything or row.type != "waitForChannelMessageEnd":
        return row
    data = {name: part for name, part in json.loads(row.data).items() if name != "message"}
    return row._replace(data=rendered(data))


async def alive(pages: AsyncIterator[bytes], shape: str) -> AsyncIterator[bytes]:
    """The pages as they come, with a sign of life after every silence."""
    waiting = asyncio.ensure_future(anext(pages, None))
    try:
        while True:
            done, _ = await asyncio.wait({waiting}, timeout=SILENCE)
            if not done:
                yield ALIVE[shape]
                continue
            page = waiting.result()
            if page is None:
                return
            yield page
            waiting = asyncio.ensure_future(anext(pages, None))
    finally:
        waiting.cancel()
