"""Channels: publish an object, subscribe to what was and will be published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any

from pydantic import AfterValidator, Field
from starlette.responses import Response, StreamingResponse

from api import answers
from api.ability_runs import Executed
from api.bodies import WHOLE, Body, deep, short
from api.call import Call, Following, Keyed
from api.completions import Completed, Turned
from api.lines import Lines, turn
from api.signature import Streamed
from api.streams import HEADERS, MEDIA_TYPE, alive
from api.wire import Made
from domain.errors import BadRequest
from domain.plain import BYTES
from domain.run import Run
from store.channels import Channel

SHORTEST = 16
_LOOK = 0.2
"""Seconds between looks for a channel that is not there yet."""
_PATIENCE = 3_600.0
"""Seconds after which a subscription to a channel that never came to be ends."""


def _told(message: dict[str, Any]) -> dict[str, Any]:
    """As much as a function may answer with at once: a run that waits shall not wait for what cannot come."""
    try:
        return short(deep(message), most=BYTES)
    except ValueError as wrong:
        raise ValueError(f"{wrong}; publish less of it, or where to find it") from None


class Publish(Body):
    message: Annotated[dict[str, Any], AfterValidator(_told)]


class Subscribe(Body):
    history_length: Annotated[int, Field(ge=0, le=10_000), WHOLE] | None = None
    """How many of the newest events to begin with; all of them if not given, none at 0."""
    after: Annotated[int, Field(ge=0, le=2**62), WHOLE] | None = None
    """The last seq already seen; it wins over Last-Event-ID and historyLength."""


EVENTS = turn(Completed | Turned | Executed)
HEARD = Lines("ChannelLine", EVENTS, inside=True, published=True)


async def publish(call: Keyed, body: Publish) -> Made:
    """Puts an object on a channel, for whoever listens now or later."""
    name = _name(call)
    for plan in await call.store.channels.publish(call.caller, name, call.key(body), body.message):
        call.desk.starter.look_soon(plan)
    return Made(id=name)


async def subscribe(call: Following, body: Subscribe) -> Annotated[Response, Streamed(HEARD)]:
    """What was and will be published; of a dispatch, its events to its end."""
    name = _name(call)
    if call.shape == "json":
        raise BadRequest("Accept: subscribe with application/jsonl or text/event-stream.")
    channel: Channel | None = await call.store.channels.find(call.account_id, name)
    if channel is None:
        pages = _await_channel(call, name, body)
        return StreamingResponse(alive(pages, call.shape), media_type=MEDIA_TYPE[call.shape], headers=HEADERS)
    return await follow(call, channel, body)


async def follow(call: Following, channel: Channel, body: Subscribe) -> Response:
    """A channel from where its reader wants it."""
    run: Run | None = None
    if channel.run_id is not None:
        run = await call.store.runs.fetch(call.account_id, channel.run_id)
    after = await _after(call, channel, body)
    return answers.stream(call, channel.id, after, run, "channel")


async def _after(call: Following, channel: Channel, body: Subscribe) -> int:
    if body.after is not None:
        return body.after
    if call.heard is not None:
        return call.heard
    if body.history_length is None:
        return 0
    if body.history_length == 0:
        return channel.seq
    before: int = await call.store.channels.before_newest(channel.id, body.history_length)
    return before


async def _await_channel(call: Following, name: str, body: Subscribe) -> AsyncIterator[bytes]:
    """A subscription that came before its channel: it creates nothing, and waits."""
    try:
        async with asyncio.timeout(_PATIENCE):
            channel = await _appearing(call, name)
    except TimeoutError:
        yield answers.timed_out(call.shape)
        return
    # What happens from here on is live, even to a reader who wants no history.
    start = body.after if body.after is not None else call.heard or 0
    run_id, run = channel.run_id, None
    if run_id is not None:
        run = await answers.patiently(lambda: call.store.runs.fetch(call.account_id, run_id))
    async for page in answers.pages(call, channel.id, start, run, "channel"):
        yield page


async def _appearing(call: Call, name: str) -> Channel:
    while True:
        channel = await answers.patiently(lambda: call.store.channels.find(call.account_id, name))
        if channel is not None:
            return channel
        await asyncio.sleep(_LOOK)


def _name(call: Call) -> str:
    name = call.id("channel")
    if len(name) < SHORTEST:
        raise BadRequest(f"A channel id has at least {SHORTEST} characters.")
    return name
