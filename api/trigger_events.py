"""The events of a trigger: listed, looked at, and set going again; and a trigger set off by hand."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter
from starlette.responses import Response

from api.bodies import Nothing
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Item, Made
from domain import at_hand, ids
from domain.paging import Page
from domain.run import RunState
from domain.trigger_event import Occasion, TriggerEvent, by_hand
from store.trigger_events import Again, EventFilter, Taken

State = RunState | Literal["refused"]
Since = Annotated[int, Field(ge=0, lt=10**14)]
"""Epoch milliseconds."""


class TriggerEventItem(Item):
    """What set a trigger off."""

    id: str
    trigger_id: str
    source: str
    """`event` from outside, `invoke` by hand, `schedule`, or `replay`: an earlier event again."""
    state: str
    """Its run's; `refused`: another event had its id already, and it has no run."""
    run_id: str | None = None
    conversation_id: str | None = None
    replay_of: str | None = None
    method: str | None = None
    content_type: str | None = None
    size: int
    """Bytes that came."""
    kept: bool
    """They are still there."""
    verified: str | None = None
    """How it was known to be its source's: `secret`, the preset of its signature, or `none`."""
    address: str | None = None
    provider_id: str | None = None
    """What its source calls it."""
    ordering_key: str | None = None
    repeats: int
    """How often its source has sent it again."""
    created_at: At


class TriggerEventDetail(TriggerEventItem):
    headers: dict[str, str]
    query: dict[str, Any]
    body: str | None = None
    """What came, where that is text in UTF-8."""
    body_base64: str | None = None
    """What came, where it is not."""


class TriggerEventQuery(Query):
    KNOWN = frozenset({"state", "from", "to"})
    MANY = frozenset({"state"})
    META = False
    FORMS: ClassVar = {"state": TypeAdapter(State), "from": TypeAdapter(Since), "to": TypeAdapter(Since)}


class SetOff(Made):
    """The trigger's id, and what was set off."""

    event_id: str
    run_id: str


async def list_(call: Call, query: TriggerEventQuery) -> Annotated[Response, Listed(TriggerEventItem)]:
    """Newest first; what came with one is shown by its fetch."""
    trigger_id = call.id("trigger")
    narrow = EventFilter(
        states=query.some("state"), since=_moment(query.formed("from")), until=_moment(query.formed("to"))
    )

    async def page(at: Page) -> list[TriggerEventItem]:
        events = await call.store.trigger_events.list(call.account_id, trigger_id, at, narrow)
        return [TriggerEventItem(**_told(event)) for event in events]

    return await listed(call, query, page, TriggerEventItem)


async def fetch(call: Call) -> TriggerEventDetail:
    """With what came, for as long as that is kept."""
    event = await call.store.trigger_events.fetch(call.account_id, call.id("trigger"), call.id("event"))
    more: dict[str, Any] = {"headers": event.headers, "query": event.query}
    if event.body is not None:
        try:
            more["body"] = event.body.decode()
        except UnicodeDecodeError:
            more["body_base64"] = base64.b64encode(event.body).decode()
    return TriggerEventDetail(**_told(event), **more)


async def replay(call: Keyed, body: Nothing) -> SetOff:
    """A new event with a run of its own, which says what the earlier one said."""
    trigger_id, event_id = call.id("trigger"), call.id("event")

    async def work(run_id: str, traceparent: str | None) -> Taken:
        again = Again(trigger_id, event_id, run_id, traceparent)
        return await call.store.trigger_events.replay(call.caller, call.key(body), again)

    return await _set_off(call, trigger_id, work)


async def invoke(call: Keyed, body: Nothing) -> SetOff:
    """Sets the trigger off by hand, now. The same Idempotency-Key is the same event."""
    trigger_id = call.id("trigger")

    async def work(run_id: str, traceparent: str | None) -> Taken:
        occasion = Occasion(
            event_id=ids.trigger_event(),
            run_id=run_id,
            trigger_id=trigger_id,
            source="invoke",
            body=by_hand(),
            content_type="application/json",
            traceparent=traceparent,
        )
        return await call.store.trigger_events.invoke(call.caller, call.key(body), occasion)

    return await _set_off(call, trigger_id, work)


async def _set_off(
    call: Call, trigger_id: str, work: Callable[[str, str | None], Awaitable[Taken]]
) -> SetOff:
    run_id = ids.run()
    at_hand.add(run_id=run_id)
    traces, trace = call.desk.telemetry.traces, call.request.state.traceparent
    with traces.span("accept", "internal", trace, {"holdfast.run.id": run_id}) as span:
        taken = await work(run_id, span.traceparent)
    if not taken.again:
        call.desk.telemetry.meters.accepted("trigger_event", "background")
    return SetOff(id=trigger_id, event_id=taken.event_id, run_id=taken.run_id)


def _told(event: TriggerEvent) -> dict[str, Any]:
    named = {name: getattr(event, name, None) for name in TriggerEventItem.model_fields}
    return named | {"state": event.run_state or "refused", "created_at": event.received_at}


def _moment(millis: int | None) -> datetime | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)
