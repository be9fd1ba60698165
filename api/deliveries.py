"""Deliveries: results on their way, arrived or given up; seen, and sent again."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, TypeAdapter
from starlette.responses import Response

from api.bodies import Body, Id, Moment, Nothing
from api.call import Call, Keyed
from api.lists import Query, listed
from api.runs import Since
from api.signature import Listed
from api.wire import At, Item, Made
from domain.delivery import DeliveryState, Kept, TargetKind
from store.deliveries import DeliveryFilter


class DeliveryItem(Item):
    id: str
    """What a webhook says as its `webhook-id`, the same at each attempt."""
    target_id: str
    kind: TargetKind
    run_id: str | None = None
    task_id: str | None = None
    trigger_id: str | None = None
    type: str
    state: DeliveryState
    """`pending`: it is on its way · `delivered`: its receiver took it · `dead`: it was given up; it can be
    sent again."""
    round: int
    """How often it was set going: by its result, and then by hand."""
    attempts: int
    """Of this round."""
    next_at: At | None = None
    """When its next attempt is due, while it is on its way."""
    error_code: str | None = None
    """Of the newest attempt that failed, or why it is dead. Of a delivered e-mail: some of its addresses were
    refused for good; `tried` names them."""
    created_at: At
    ended_at: At | None = None

    def shown(self) -> dict[str, Any]:
        shown = super().shown()
        if self.state != "pending":
            shown.pop("nextAt", None)
        return shown


class AttemptItem(Item):
    number: int
    round: int
    begun_at: At
    ended_at: At | None = None
    """Without it, it is under way."""
    status: int | None = None
    """Of HTTP or SMTP."""
    error_code: str | None = None
    headers: dict[str, str]
    """Some of the answer's."""
    body: str | None = None
    """What was answered, its beginning."""


class DeliveryDetail(DeliveryItem):
    body: str | None = None
    """What is sent, byte for byte; its words go with their conversation."""
    tried: tuple[AttemptItem, ...] = ()
    """All attempts, the newest first."""


class DeliveryQuery(Query):
    KNOWN = frozenset({"state", "type", "targetId", "taskId", "triggerId", "runId", "from", "to"})
    META = False
    MANY = KNOWN - {"from", "to"}
    FORMS: ClassVar = {
        "state": TypeAdapter(DeliveryState),
        "from": TypeAdapter(Since),
        "to": TypeAdapter(Since),
    }


class Redeliver(Body):
    """Which of the dead; those that nothing is said of, all."""

    state: Annotated[Literal["dead"], Field(examples=["dead"])]
    target_id: Id | None = None
    task_id: Id | None = None
    trigger_id: Id | None = None
    from_: Moment | None = Field(None, alias="from")
    """When it was made: then or later."""
    to: Moment | None = None
    """Before then."""


class Redelivered(Item):
    count: int
    """Those that are on their way again."""
    more: bool
    """There are others that fit: call again."""


async def list_(call: Call, query: DeliveryQuery) -> Annotated[Response, Listed(DeliveryItem)]:
    narrow = DeliveryFilter(
        states=query.some("state"),
        types=query.some("type"),
        target_ids=query.some("targetId"),
        task_ids=query.some("taskId"),
        trigger_ids=query.some("triggerId"),
        run_ids=query.some("runId"),
        since=_moment(query.formed("from")),
        until=_moment(query.formed("to")),
    )
    return await listed(
        call, query, lambda page: call.store.deliveries.list(call.account_id, page, narrow), DeliveryItem
    )


async def fetch(call: Call) -> DeliveryDetail:
    """What is sent, and what was answered each time."""
    kept: Kept = await call.store.deliveries.fetch(call.account_id, call.id("delivery"))
    more = {
        "body": None if kept.body is None else kept.body.decode(),
        "tried": tuple(AttemptItem.model_validate(attempt) for attempt in kept.attempts),
    }
    return DeliveryDetail.model_validate(kept.delivery).model_copy(update=more)


async def redeliver(call: Keyed, body: Nothing) -> Made:
    """Sends one again under the same id, whether it is dead or was delivered; one on its way is tried now."""
    delivery_id = call.id("delivery")
    await call.store.deliveries.redeliver(call.caller, call.key(body), delivery_id)
    return Made(id=delivery_id)


async def redeliver_dead(call: Keyed, body: Redeliver) -> Redelivered:
    """Sends dead ones again under the same ids, the oldest first, 1,000 by one call at most.

    Left out is what cannot be sent: its words were removed, or its target was, or takes nothing any more.
    """
    narrow = DeliveryFilter(
        target_ids=_one(body.target_id),
        task_ids=_one(body.task_id),
        trigger_ids=_one(body.trigger_id),
        since=body.from_,
        until=body.to,
    )
    again = await call.store.deliveries.redeliver_dead(call.caller, call.key(body), narrow)
    return Redelivered.model_validate(again)


async def delete(call: Call) -> Made:
    """Removes one, whatever became of it; one on its way is not tried again."""
    delivery_id = call.id("delivery")
    await call.store.deliveries.delete(call.caller, delivery_id)
    return Made(id=delivery_id)


def _one(id_: str | None) -> list[str] | None:
    return None if id_ is None else [id_]


def _moment(millis: int | None) -> datetime | None:
    return None if millis is None else datetime.fromtimestamp(millis / 1000, UTC)
