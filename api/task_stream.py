"""task/subscribe: what the runs of a task do, before, during and across them."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from pydantic import Field, StringConstraints
from starlette.responses import Response, StreamingResponse

from api.answers import patiently
from api.bodies import WHOLE, Body
from api.call import Watching
from api.lines import TOLD, Lines
from api.revoked import until_revoked
from api.signature import Streamed
from api.streams import HEADERS, MEDIA_TYPE, alive, framed
from api.wire import millis
from domain import events
from domain.errors import BadRequest, NotFound
from domain.heard import FORM, Heard
from store.task_feed import Line

GONE = "The task was deleted."
_LONGEST = 86_400.0
"""Seconds after which a subscription ends; its reader goes on with `after`."""

_HEARD = ("operationBegin", "operationEnd", "error")
LINES = Lines("TaskLine", {name: TOLD[name] for name in _HEARD}, numbered=False, dated=True)


class SubscribeTask(Body):
    history_length: Annotated[int, Field(ge=0, le=1_000), WHOLE] | None = None
    """How many of the newest lines to begin with; none if not given."""
    after: Annotated[str, StringConstraints(pattern=FORM, max_length=20_000)] | None = None
    """The id of the last line already heard; it wins over Last-Event-ID and historyLength."""


async def subscribe(call: Watching, body: SubscribeTask) -> Annotated[Response, Streamed(LINES)]:
    """The operations of a task's runs and why runs failed, each once, until whoever listens leaves.

    What has happened can be heard for 24 hours after its run.
    """
    task_id = call.id("task")
    place = await _place(call, task_id, body)
    if call.shape == "json":
        raise BadRequest("Accept: subscribe with application/jsonl or text/event-stream.")
    pages = alive(until_revoked(call, _pages(call, task_id, place)), call.shape)
    return StreamingResponse(pages, media_type=MEDIA_TYPE[call.shape], headers=HEADERS)


async def _place(call: Watching, task_id: str, body: SubscribeTask) -> Heard:
    """Raises NotFound."""
    seen = body.after or call.heard
    if seen is None:
        begin: Heard = await call.store.task_feed.begin(call.account_id, task_id, body.history_length or 0)
        return begin
    await call.store.task_feed.check(call.account_id, task_id)
    return Heard.read(seen)


async def _pages(call: Watching, task_id: str, place: Heard) -> AsyncIterator[bytes]:
    ends = time.monotonic() + _LONGEST
    while time.monotonic() < ends:
        calls = call.store.feed.calls
        look = await patiently(partial(call.store.task_feed.after, task_id, place))
        if look is None:
            yield _gone(call.shape, place)
            return
        if look.lines:
            yield b"".join(_framed(line, call.shape) for line in look.lines)
        place = look.heard
        if not look.more:
            await call.store.feed.stirred(calls)


def _gone(shape: str, place: Heard) -> bytes:
    return _framed(Line(*events.error(NotFound.code, GONE), datetime.now(UTC), place), shape)


def _framed(line: Line, shape: str) -> bytes:
    place, at = str(line.heard), millis(line.at)
    return framed(
        f'{{"type":"{line.type}","createdAt":{at},"data":{line.data},"id":"{place}"}}', shape, place
    )
