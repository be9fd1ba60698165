"""Three ways to answer for a run: wait for its end (JSON), relay its events (stream), or name its channel."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar

from starlette.responses import JSONResponse, Response, StreamingResponse

from api.call import Call, Following, Running
from api.errors import RUN_FAILED
from api.revoked import until_revoked
from api.streams import ALIVE, HEADERS, MEDIA_TYPE, SILENCE, Outer, event_line, shown, told
from domain import events
from domain.accept import Accepted
from domain.errors import Conflict, Ended, Unavailable, Waiting, sentence
from domain.events import Event
from domain.run import OPEN, Run
from store.feed import Row

T = TypeVar("T")

_DELIVERED = "This was answered, and its answer is not kept; a new key asks again."
_PAUSE = 0.2


async def take_up(call: Call, accepted: Accepted) -> Run:
    """Tells what was ended to make way; a worker has heard of the run already."""
    for plan in accepted.cancel:
        call.desk.tell(plan, accepted.stopped)
    if accepted.again:
        await _still_told(call, accepted.run)
    return accepted.run


async def answer(call: Running, accepted: Accepted) -> Response:
    """The answer of a completion: when it ends, or as it comes."""
    run = await take_up(call, accepted)
    if call.shape == "json":
        return await _whole(call, run)
    return stream(call, run.channel_id, call.heard or 0, run, "completion")


def channel(run: Run) -> Response:
    """The answer of a dispatch: where its events will be."""
    return JSONResponse({"channelId": run.channel, "runId": run.id}, headers={"X-Run-Id": run.id})


def stream(call: Following, channel_id: int, after: int, run: Run | None, outer: Outer) -> Response:
    """A channel's events after a seq, as they come; of a run's channel, to its end."""
    lines = pages(call, channel_id, after, run, outer)
    return StreamingResponse(
        lines,
        media_type=MEDIA_TYPE[call.shape],
        headers=HEADERS | ({"X-Run-Id": run.id} if run else {}),
    )


async def last_words(call: Call, run: Run) -> Event:
    """The terminal event of a run that is over: as it was logged, or made again from what is kept."""
    logged = await call.store.channels.terminal(run.channel_id)
    if logged is not None:
        return logged
    if run.merged_into is not None:
        return await last_words(call, await call.store.runs.fetch(call.account_id, run.merged_into))
    if run.state == "failed" or run.error_code is not None:
        code = run.error_code or Ended.code
        return events.error(code, run.error_message or sentence(code), run.id)
    if run.stateless:
        return events.error(Conflict.code, _DELIVERED, run.id)
    text = await call.store.runs.answer_text(run.message_id) if run.message_id else None
    tokens = run.input_tokens + run.output_tokens
    reason = run.end_reason or "abort"
    result = events.Result(run.id, run.message_id or "", text or "", tokens, reason, outcome=run.outcome)
    return Event("result", events.rendered(result.body()))


async def _whole(call: Call, run: Run) -> Response:
    try:
        async with asyncio.timeout(call.desk.answer_seconds):
            over, last = await _ended(call, run)
    except TimeoutError:
        raise Waiting(run_id=run.id) from None
    body = json.loads(last.data)
    if last.type == "error":
        body |= {"runId": over.id, "requestId": call.request.state.request_id}
    if not await call.request.is_disconnected():
        _forget(call, over)
    status = 200 if last.type == "result" else RUN_FAILED
    return JSONResponse(body, status, headers={"X-Run-Id": run.id})


async def _ended(call: Call, run: Run) -> tuple[Run, Event]:
    """A run once it is over, and its last event; of one that was merged, the run that answers for it."""
    await call.store.feed.ended(run.channel_id)
    over = await patiently(lambda: call.store.runs.fetch(call.account_id, run.id))
    into = over.merged_into
    if into is not None:
        return await _ended(call, await patiently(lambda: call.store.runs.fetch(call.account_id, into)))
    return over, await patiently(lambda: last_words(call, over))


async def _last_of(call: Call, run_id: str) -> Event:
    return await last_words(call, await call.store.runs.fetch(call.account_id, run_id))


async def patiently(read: Callable[[], Awaitable[T]]) -> T:
    """Reads once an answer has begun or its work was accepted: an outage of Postgres is waited out.

    What was accepted is never answered 503, for clients repeat that; and a stream that has begun cannot be.
    """
    while True:
        try:
            return await read()
        except Unavailable:
            await asyncio.sleep(_PAUSE)


async def pages(
    call: Following, channel_id: int, after: int, run: Run | None, outer: Outer
) -> AsyncIterator[bytes]:
    shape = call.shape
    row = Row(after, "", "")
    found = call.store.feed.follow(channel_id, after, SILENCE)
    # What clients publish to has no end; a run has, and is heard to it.
    async for rows in until_revoked(call, found) if run is None else found:
        if not rows:
            yield ALIVE[shape]
            continue
        lines = [
            event_line(told(row, call.everything), shape, outer)
            for row in rows
            if shown(row, call.everything)
        ]
        if lines:
            yield b"".join(lines)
        row = rows[-1]
    if run is not None and row.type not in events.TERMINAL:
        last = await patiently(lambda: _last_of(call, run.id))
        yield event_line(Row(row.seq + 1, last.type, last.data), shape, outer)
    # Only a reader who came back for more has had the last line.
    if run is not None and outer == "completion":
        _forget(call, run)


async def _still_told(call: Call, run: Run) -> None:
    """A repeated stateless call after its answer was delivered: said so, and the model not called again."""
    if run.stateless and run.state not in OPEN and await call.store.channels.terminal(run.channel_id) is None:
        raise Conflict(_DELIVERED, run_id=run.id)


def _forget(call: Call, run: Run) -> None:
    """A stateless completion without a key is forgotten as soon as its answer is out."""
    if run.stateless and run.lane == "interactive" and not run.keyed:
        call.desk.later(call.store.upkeep.scrub(run.id))


def timed_out(shape: str) -> bytes:
    """The last line of a subscription to a channel that never came to be."""
    said = events.error("TIMEOUT", "Nothing was published here for an hour; subscribe again to wait on.")
    return event_line(Row(0, *said), shape, "channel")
