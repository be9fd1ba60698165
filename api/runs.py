"""Runs: what became of what was accepted, for operators and for callers who come back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, TypeVar

from pydantic import Field, TypeAdapter, computed_field
from starlette.responses import JSONResponse, Response, StreamingResponse

from api import aliases
from api.bodies import WHOLE, Body
from api.call import Call, Following
from api.channels import EVENTS, Subscribe, follow
from api.completions import End
from api.lines import Lines
from api.lists import Query, listed
from api.signature import Answered, Listed, Streamed
from api.streams import HEADERS, MEDIA_TYPE, alive, framed
from api.targets import TargetItem
from api.wire import At, Item, Made
from domain.errors import BadRequest, NotFound, Unavailable
from domain.run import OPEN, Asked, Run, Step
from store.runs import RunFilter

_LOOK = 0.5
"""Seconds between two looks at a workflow's progress."""
_LONGEST = 3_600.0

T = TypeVar("T")
Inside = Annotated[T, Field(exclude=True)]
"""What is shown inside another field."""
Since = Annotated[int, Field(ge=0, lt=10**14)]
"""Epoch milliseconds."""


class RunUsage(Item):
    token: int
    input_tokens: int
    output_tokens: int


class RunError(Item):
    code: str
    message: str | None


class RunItem(Item):
    id: str
    kind: str
    lane: str
    state: str
    conversation_id: str | None = None
    bot_id: str | None = None
    contact_id: str | None = None
    task_id: Annotated[str | None, Field(validation_alias="shown_task")] = None
    trigger_id: str | None = None
    event_id: str | None = None
    """What set the trigger off."""
    channel_id: Annotated[str, Field(validation_alias="channel")]
    workflow_id: str
    accepted_seq: int | None = None
    message_id: str | None = None
    merged_into: str | None = None
    """The run that answers for it."""
    error_code: Inside[str | None] = None
    error_message: Inside[str | None] = None
    end_reason: Inside[str | None] = None
    outcome: str | None = None
    """What the agent said of its own background run: success or failure."""
    parked_at: At | None = None
    """Since when it only waits."""
    budget: int | None = None
    """Tokens it may spend."""
    input_tokens: Inside[int]
    output_tokens: Inside[int]
    wasted_tokens: Inside[int]
    created_at: At
    admitted_at: At | None = None
    begun_at: At | None = None
    ended_at: At | None = None

    @computed_field
    def usage(self) -> RunUsage:
        counted = {"input_tokens": self.input_tokens, "output_tokens": self.output_tokens}
        return RunUsage(token=self.input_tokens + self.output_tokens, **counted)

    @computed_field
    def spent(self) -> int:
        """Tokens of all model calls; usage has those of the ones that were answered."""
        return self.input_tokens + self.output_tokens + self.wasted_tokens

    @computed_field
    def error(self) -> RunError | None:
        return RunError(code=self.error_code, message=self.error_message) if self.error_code else None

    @computed_field
    def end(self) -> End | None:
        return End(reason=self.end_reason) if self.end_reason else None


class StepItem(Item):
    ordinal: int
    kind: str
    state: str
    """A call that is done and has no responseId was handed to the caller."""
    iteration: int
    attempt: int
    model: str | None = None
    name: str | None = None
    """Of a call: the tool's."""
    tool: str | None = None
    """Of a call: who answers it."""
    effect: str | None = None
    waits_until: Annotated[At | None, Field(validation_alias="deadline")] = None
    request_id: str | None = None
    """The message with its arguments."""
    response_id: str | None = None
    """The message with its result."""
    error_code: str | None = None
    error_message: str | None = None
    input_tokens: int
    output_tokens: int
    begun_at: At
    ended_at: At | None = None


class WaitingMessage(Item):
    type: str
    text: str
    meta: dict[str, Any] | None = None
    name: str | None = None
    description: str | None = None


class Waiting(Item):
    """The words of a run that has not begun."""

    text: str | None = None
    messages: tuple[WaitingMessage, ...] | None = None
    model: str | None = None
    backstory: str | None = None
    timezone: str | None = None


class RunDetail(RunItem):
    asked: Annotated[Waiting | None, Field(serialization_alias="request")] = None
    steps: tuple[StepItem, ...] = ()
    targets: tuple[TargetItem, ...] | None = None
    """Where its result goes, by the calls that it answers."""
    temporal_url: str | None = None
    """Where Temporal's own tools show its workflow."""


class RunQuery(Query):
    KNOWN = frozenset(
        {"kind", "state", "conversationId", "botId", "contactId", "taskId", "triggerId", "since"}
    )
    META = False
    MANY = KNOWN - {"since"}
    FORMS: ClassVar = {"since": TypeAdapter(Since)}


class ProgressItem(Item):
    run_id: str
    state: str
    source: str
    """workflow, or store when the workflow is not there to ask"""
    phase: str
    step: int
    attempts: int
    calls: int
    waits: int


class Budget(Body):
    tokens: Annotated[int, Field(ge=1, le=2**53), WHOLE]
    """All that the run may spend, what it has spent already included."""


HEARD = Lines("RunLine", EVENTS, inside=True)
CHANGES = Lines("ProgressLine", {"progress": ProgressItem}, numbered=False)


async def list_(call: Call, query: RunQuery) -> Annotated[Response, Listed(RunItem)]:
    narrow = RunFilter(
        kinds=query.some("kind"),
        states=query.some("state"),
        conversation_ids=query.some("conversationId"),
        bot_ids=await aliases.in_filter(call, "bot", query.some("botId")),
        contact_ids=query.some("contactId"),
        task_ids=query.some("taskId"),
        trigger_ids=await aliases.in_filter(call, "trigger", query.some("triggerId")),
        since=_since(query.formed("since")),
    )
    return await listed(
        call, query, lambda page: call.store.runs.list(call.account_id, page, narrow), RunItem
    )


async def fetch(call: Call) -> RunDetail:
    """Everything an operator needs to see what a run did and where it is."""
    run = await call.store.runs.fetch(call.account_id, call.id("run"))
    steps = [StepItem.model_validate(step) for step in await call.store.runs.steps(run.id)]
    # Whoever holds a session's token is no operator.
    inside = call.caller.session_id is None
    targets = await call.store.targets.of_run(call.account_id, run.id) if inside else ()
    more = {
        "asked": _asked(run.request) if run.request is not None and run.state == "queued" else None,
        "steps": tuple(steps),
        "targets": tuple(TargetItem.model_validate(target) for target in targets) or None,
        "temporal_url": call.desk.temporal_link(run.workflow_id)
        if inside and call.desk.temporal_ui
        else None,
    }
    return RunDetail.model_validate(run).model_copy(update=more)


async def cancel(call: Call) -> Made:
    """Complete when answered; cancelling a run that is over changes nothing."""
    run_id = call.id("run")
    stopped = await call.store.turns.cancel(call.caller, run_id)
    call.desk.tell(stopped.cancel, "canceled")
    call.desk.start(stopped.start)
    return Made(id=run_id)


async def budget(call: Call, body: Budget) -> Made:
    """Sets what the run may spend in all; one that waits for that goes on."""
    run_id = call.id("run")
    plan = await call.store.budgets.set(call.caller, run_id, body.tokens)
    if plan is not None:
        call.desk.starter.look_soon(plan)
    return Made(id=run_id)


async def subscribe(call: Following, body: Subscribe) -> Annotated[Response, Streamed(HEARD)]:
    """The events of a run, as `channel/subscribe` gives them."""
    run: Run = await call.store.runs.fetch(call.account_id, call.id("run"))
    if call.shape == "json":
        raise BadRequest("Accept: subscribe with application/jsonl or text/event-stream.")
    channel = await call.store.channels.find(call.account_id, run.channel)
    if channel is None:
        raise NotFound
    return await follow(call, channel, body)


async def progress(call: Call) -> Annotated[Response, Answered(ProgressItem, CHANGES)]:
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
    return common | {"source": "store", **_from_steps(run, steps)}


def _from_steps(run: Run, steps: Sequence[Step]) -> dict[str, Any]:
    models = [step for step in steps if step.kind == "model"]
    last = models[-1] if models else None
    open_calls = [step for step in steps if step.kind == "call" and step.state in ("waiting", "running")]
    waits = sum(step.deadline is not None for step in open_calls)
    return {
        "phase": _phase(run, begun=last is not None, calls=len(open_calls)),
        "step": last.ordinal if last else 0,
        "attempts": last.attempt if last else 0,
        "calls": len(open_calls) - waits,
        "waits": waits + (run.short_at is not None),
    }


def _phase(run: Run, *, begun: bool, calls: int) -> str:
    if run.state not in OPEN:
        return "closed"
    if run.short_at is not None:
        return "budget"
    return "calls" if calls else "model" if begun else "waiting"


def _asked(request: str) -> Waiting:
    asked = Asked.model_validate_json(request)
    return Waiting.model_validate(asked.model_dump(exclude_defaults=True))


def _since(millis: int | None) -> datetime | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)
