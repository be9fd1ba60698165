"""Targets: where results go, seen and kept in order."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from starlette.responses import Response

from api.bodies import WHOLE, Body, Nothing
from api.call import Call, Keyed
from api.delivery_field import Secret
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Item, Made
from domain.delivery import TargetKind, Wanted
from store.targets import TargetFilter


class TargetItem(Item):
    id: str
    kind: TargetKind
    task_id: str | None = None
    trigger_id: str | None = None
    """Without either it is of calls that have named it."""
    url: str | None = None
    header_names: tuple[str, ...] | None = None
    to: tuple[str, ...] | None = None
    subject: str | None = None
    events: tuple[Wanted, ...]
    secret: Secret | None = None
    """What verifies its signatures: `whsec_…`. In lists it is not shown."""
    previous_until: At | None = None
    """Until when the secret before this one signs too."""
    failures: int
    """Attempts that failed, since the last one that did not."""
    open_until: At | None = None
    """For its failures it is left alone until then."""
    disabled_at: At | None = None
    """Since when nothing is sent there: `enable` has it sent again."""
    disabled_code: str | None = None
    """TARGET_GONE: it has answered 410."""
    removed_at: At | None = None
    """Its task or trigger names it no more."""
    created_at: At
    updated_at: At


class TargetQuery(Query):
    KNOWN = MANY = frozenset({"taskId", "triggerId"})
    META = False


class Rotate(Body):
    hours: Annotated[int, Field(ge=0, le=720), WHOLE] = 24
    """How long the secret of now signs too."""


async def list_(call: Call, query: TargetQuery) -> Annotated[Response, Listed(TargetItem)]:
    narrow = TargetFilter(task_ids=query.some("taskId"), trigger_ids=query.some("triggerId"))
    return await listed(
        call, query, lambda page: call.store.targets.list(call.account_id, page, narrow), TargetItem
    )


async def fetch(call: Call) -> TargetItem:
    return TargetItem.model_validate(await call.store.targets.fetch(call.account_id, call.id("target")))


async def test(call: Keyed, body: Nothing) -> Made:
    """Sends a ping, signed as results are; an e-mail is a letter. The answer's id is the delivery's."""
    target_id = call.id("target")
    return Made(id=await call.store.deliveries.ping(call.caller, call.key(body), target_id))


async def rotate(call: Keyed, body: Rotate) -> Made:
    """Makes a new secret for a webhook, which fetch shows; for some hours the old one signs too.

    All targets of calls that have the same URL get the same one.
    """
    target_id = call.id("target")
    await call.store.target_acts.rotate(call.caller, call.key(body), target_id, body.hours)
    return Made(id=target_id)


async def enable(call: Keyed, body: Nothing) -> Made:
    """What comes from now on is sent there again, whatever failed before."""
    target_id = call.id("target")
    await call.store.target_acts.enable(call.caller, call.key(body), target_id)
    return Made(id=target_id)
