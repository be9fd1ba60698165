"""Runs: what became of what was accepted, for operators and for callers who come back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

from starlette.responses import JSONResponse, Response, StreamingResponse

from api import aliases
from api.call import Call
from api.channels import Subscribe, follow
from api.lists import Query, listed
from api.signature import Answered, Listed, Streamed
from api.streams import HEADERS, MEDIA_TYPE, alive, framed
from api.wire import At, Item, Made
from domain.errors import BadRequest, NotFound, Unavailable
from domain.run import OPEN, Asked, Run, Step
from store.runs import RunFilter

_LOOK = 0.5
"""Seconds between two looks at a workflow's progress."""
_LONGEST = 3_600.0


class RunItem(Item):
    id: str
    kind: str
    lane: str
    state: str
    conversation_id: str | None = None
    bot_id: str | None = None
    contact_id: str | None = None
    channel: str
    workflow_id: str
    accepted_seq: int | None = None
    message_id: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    end_reason: str | None = None
    input_tokens: int
    output_tokens: int
    created_at: At
    admitted_at: At | None = None
    begun_at: At | None = None
    ended_at: At | None = None

    def shown(self) -> dict[str, Any]:
        shown = super().shown()
        shown["channelId"] = shown.pop("channel")
        counted = {name: shown.pop(name) for name in ("inputTokens", "outputTokens")}
        shown["usage"] = {"token": sum(counted.values()), **counted}
        if code := shown.pop("errorCode", None):
            shown["error"] = {"code": code, "message": shown.pop("errorMessage", None)}
        if reason := shown.pop("endReason", None):
            shown["end"] = {"reason": reason}
        return shown


class StepItem(Item):
    ordinal: int
    kind: str
    state: str
    attempt: int
    model: str | None = None
    error_code: str | None = None
    error_message: str | None = None
    input_tokens: int
    output_tokens: int
    begun_at: At
    ended_at: At | None = None


class RunQuery(Query):
    KNOWN = frozenset({"kind", "state", "conversationId", "botId", "contactId", "since"})
    META = False


async def list_(call: Call, query: RunQuery) -> Annotated[Response, Listed(RunItem)]:
    narrow = RunFilter(
        kinds=query.some("kind"),
        states=query.some("state"),
        conversation_ids=query.some("conversationId"),
        bot_ids=await aliases.in_filter(call, "bot", query.some("botId")),
        contact_ids=query.some("contactId"),
        since=_since(query.one("since")),
    )
    return await listed(
        call, query, lambda page: call.store.runs.list(call.account_id, page, narrow), RunItem
    )


async def fetch(call: Call) -> Annotated[Response, RunItem]:
    """Everything an operator needs to see what a run did and where it is."""
    run = await call.store.runs.fetch(call.account_id, call.id("run"))
    shown = RunItem.model_validate(run).shown()
    if run.request is not None and run.state == "queued":
        shown["request"] = _asked(run.request)
    shown["steps"] = [StepItem.model_validate(step).shown() for step in await call.store.runs.steps(run.id)]
    if call.desk.temporal_ui and call.caller.session_id is None:
        shown["temporalUrl"] = call.desk.temporal_link(run.workflow_id)
    return JSONResponse(shown)


async def cancel(call: Call) -> Made:
    """Complete when answered; cancelling a run that is over changes nothing."""
    run_id = call.id("run")
    stopped = await call.store.turns.cancel(call.caller, run_id)
    call.desk.tell(stopped.cancel, "canceled")
    call.desk.start(stopped.start)
    return Made(id=run_id)


async def subscribe(call: Call, body: Subscribe) -> Annotated[Response, Streamed()]:
    """The events of a run, as `channel/subscribe` gives them."""
    run: Run = await call.store.runs.fetch(call.account_id, call.id("run"))
    if call.shape == "json":
        raise BadRequest("Accept: subscribe with application/jsonl or text/event-stream.")
    channel = await call.store.channels.find(call.account_id, run.channel)
    if channel is None:
        raise NotFound
    return await follow(call, channel, body)


class ProgressItem(Item):
    run_id: str
    state: str
    source: str
    """workflow, or store when the workflow is not there to ask"""
    phase: str
    step: int
    attempts: int


async def progress(call: Call) -> Annotated[Response, Answered(ProgressItem)]:
    """The workflow's own account of where it is: once, or whenever it changes until the run is over."""
    run: Run = await call.store.runs.fetch(call.account_id, call.id("run"))
    if call.shape == "json":
        return JSONResponse(await _progress(call, run))
    return StreamingResponse(
        alive(_changes(call, run), call.shape), media_type=MEDIA_TYPE[call.shape], headers=HEADERS
    )


async def _changes(call: Call, run: Run) -> AsyncIterator[bytes]:
    last, ends = None, time.monotonic() + _LONGEST
    while time.monotonic() < ends:
        run = await call.store.runs.fetch(call.account_id, run.id)
        now = await _progress(call, run)
        if now != last:
            line = json.dumps({"type": "progress", "data": now}, separators=(",", ":"))
            yield framed(line, call.shape, None)
        if run.state not in OPEN:
            return
        last = now
        await asyncio.sleep(_LOOK)


async def _progress(call: Call, run: Run) -> dict[str, Any]:
    """From the workflow while it is there, else from Postgres; `source` says which."""
    try:
        told = await call.desk.starter.progress(run.workflow_id) if run.admitted_at else None
    except Unavailable:
        told = None
    common = {"runId": run.id, "state": run.state}
    if told is not None and run.state in OPEN:
        return common | {"source": "workflow", **told.model_dump()}
    steps: Sequence[Step] = await call.store.runs.steps(run.id)
    last = steps[-1] if steps else None
    phase = "model" if last and run.state in OPEN else "waiting" if run.state in OPEN else "closed"
    counts = {"step": last.ordinal if last else 0, "attempts": last.attempt if last else 0}
    return common | {"source": "store", "phase": phase, **counts}


def _asked(request: str) -> dict[str, Any]:
    asked = Asked.model_validate_json(request)
    return asked.model_dump(mode="json", exclude_none=True, exclude_defaults=True)


def _since(text: str | None) -> datetime | None:
    if text is None:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 15):
        raise BadRequest("since: epoch milliseconds")
    return datetime.fromtimestamp(int(text) / 1000, UTC)
