"""The door for events: any verb, any body, and the secret or the signature of a trigger's source."""

from __future__ import annotations

import asyncio
import hmac
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from api.desk import Desk
from api.door import address_of
from api.wire import Item
from domain import at_hand, ids, incoming
from domain.account import Caller, source
from domain.errors import (
    BadRequest,
    Conflict,
    HoldfastError,
    LimitsReached,
    NotAuthenticated,
    NotFound,
    SecretUnusable,
    TooLarge,
    Unavailable,
    UnsupportedMedia,
)
from domain.received import Received
from domain.trigger_event import EVENT_BYTES, Occasion, Reception, Verified
from domain.verification import challenge, usual_id, verify
from store.trigger_events import Taken
from store.triggers import Known

_UNKNOWN = "There is no such trigger; its event path names it by its id."
_NO_SECRET = (
    "Send `Authorization: Bearer <secret>`, once, with this trigger's own secret and no account's key: "
    "integration/trigger/{id}/fetch shows it."
)
_SEALED = (
    "No key of this server (HOLDFAST_SECRET_KEYS) opens this trigger's secrets, so nobody can be let in; "
    "nothing was done, send it again later."
)
_BODILESS = frozenset({"GET", "HEAD"})
_LONG = 16_384
_KEY = re.compile(r"[ -~]{1,255}")
_BECAME: dict[type[HoldfastError], Reception] = {
    NotFound: "unknown",
    NotAuthenticated: "unauthenticated",
    Conflict: "conflict",
    LimitsReached: "limited",
    Unavailable: "unavailable",
}


class Accepted(Item):
    event_id: str
    run_id: str
    duplicate: bool
    """It had come before; the ids are the first one's."""


class Challenged(Item):
    challenge: str


async def take(request: Request) -> Response:
    """Keeps an event and its run before it is answered; the same event again is answered with the first's."""
    desk: Desk = request.app.state.desk
    with _counted(desk):
        known = await _known(desk, request.path_params["trigger"])
        received = await _received(request)
        caller = source(known.account_id, known.trigger.id, address_of(request))
        verified = await _verified(desk, known, received, caller)
        desk.limits.take(caller, request)
        if (word := _challenge(known, received)) is not None:
            return JSONResponse(Challenged(challenge=word).shown())
        understand = partial(_occasion, request, known, received, verified)
        # To find an id in a mebibyte of hostile JSON takes a tenth of a second.
        long = len(received.body) > _LONG
        occasion = await asyncio.to_thread(understand) if long else understand()
        taken = await _accept(request, caller, occasion)
    desk.telemetry.meters.came("duplicate" if taken.again else "accepted")
    answer = Accepted(event_id=taken.event_id, run_id=taken.run_id, duplicate=taken.again)
    return JSONResponse(answer.shown(), headers={"X-Run-Id": taken.run_id})


@contextmanager
def _counted(desk: Desk) -> Iterator[None]:
    """Counts what is refused, by why."""
    try:
        yield
    except HoldfastError as error:
        found = (_BECAME[cls] for cls in type(error).__mro__ if cls in _BECAME)
        desk.telemetry.meters.came(next(found, "invalid"))
        raise
    except ClientDisconnect:
        desk.telemetry.meters.came("invalid")
        raise


async def _known(desk: Desk, trigger_id: str) -> Known:
    """By its id alone. Raises NotFound, and Unavailable where its secrets are sealed with a lost key."""
    if not trigger_id.isprintable() or len(trigger_id) > 255:
        raise NotFound(_UNKNOWN)
    try:
        known = await desk.store.triggers.known(trigger_id)
    except SecretUnusable:
        raise Unavailable(_SEALED, retry_after=60) from None
    if known is None:
        raise NotFound(_UNKNOWN)
    at_hand.add(trigger_id=trigger_id)
    return known


async def _received(request: Request) -> Received:
    """The request as it came. Raises TooLarge, UnsupportedMedia."""
    raw = request.scope["headers"]
    headers = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in raw)
    received = Received(headers=headers)
    if any(value.strip().lower() not in ("", "identity") for value in received.values("content-encoding")):
        raise UnsupportedMedia("Send the event uncompressed.")
    return Received(headers=headers, body=await _body(request))


async def _body(request: Request) -> bytes:
    """What came, as far as it is no more than an event may be."""
    too_large = TooLarge(f"An event is {EVENT_BYTES:,} bytes at most; send less, or a link to it.")
    if int(request.headers.get("content-length", 0)) > EVENT_BYTES:
        raise too_large
    read = bytearray()
    async for piece in request.stream():
        read += piece
        if len(read) > EVENT_BYTES:
            raise too_large
    return b"" if request.method in _BODILESS else bytes(read)


async def _verified(desk: Desk, known: Known, received: Received, caller: Caller) -> Verified:
    """How the request was known to be its source's. Raises NotAuthenticated, which the audit log tells."""
    try:
        return _proven(known, received)
    except NotAuthenticated:
        await desk.store.trigger_events.refused(known.account_id, known.trigger.id, caller.address)
        raise


def _proven(known: Known, received: Received) -> Verified:
    how = known.trigger.verification
    if how is not None:
        verify(how, known.signing, received, datetime.now(UTC))
        return how.preset
    if known.secret is None:
        return "none"
    wanted = f"Bearer {known.secret.get_secret_value()}".encode("latin-1")
    given = received.values("authorization")
    if len(given) != 1 or not hmac.compare_digest(given[0].encode("latin-1"), wanted):
        raise NotAuthenticated(_NO_SECRET)
    return "secret"


def _challenge(known: Known, received: Received) -> str | None:
    """What a source wants to hear before it sends its events here; what asks for it is short."""
    how = known.trigger.verification
    return None if how is None or len(received.body) > _LONG else challenge(how.preset, received)


def _occasion(request: Request, known: Known, received: Received, verified: Verified) -> Occasion:
    trigger, query = known.trigger, _query(request)
    of, content_type = incoming.said(query), received.values("content-type")
    how = trigger.verification
    return Occasion(
        event_id=ids.trigger_event(),
        run_id=ids.run(),
        trigger_id=trigger.id,
        source="event",
        body=received.body,
        method=request.method,
        query=query,
        headers=incoming.kept(
            received, (trigger.event_id, trigger.ordering_key), how.header if how else None
        ),
        content_type=content_type[0][:255] if content_type else None,
        verified=verified,
        provider_id=_name(known, received),
        ordering_key=trigger.ordering_key and trigger.ordering_key.find(received),
        session=of.session,
        contact=of.contact,
    )


def _query(request: Request) -> dict[str, Any]:
    """What comes several times is a list. Raises BadRequest."""
    found: dict[str, list[str]] = {}
    for name, value in request.query_params.multi_items():
        if "\0" in name or "\0" in value:
            raise BadRequest("The query contains a NUL character, which cannot be stored; remove it.")
        found.setdefault(name, []).append(value)
    return {name: values[0] if len(values) == 1 else values for name, values in found.items()}


def _name(known: Known, received: Received) -> str | None:
    """What the source calls the event. Raises BadRequest."""
    how = known.trigger.verification
    places = (known.trigger.event_id, None if how is None else usual_id(how.preset))
    for where in places:
        found = where.find(received) if where is not None else None
        if found is not None:
            return found
    keys = received.values("idempotency-key")
    if len(keys) > 1 or any(_KEY.fullmatch(key) is None for key in keys):
        raise BadRequest("Idempotency-Key: send 1 to 255 printable ASCII characters, once.")
    return keys[0] if keys else None


async def _accept(request: Request, caller: Caller, occasion: Occasion) -> Taken:
    desk: Desk = request.app.state.desk
    at_hand.add(run_id=occasion.run_id)
    named = {"holdfast.run.id": occasion.run_id}
    traces, trace = desk.telemetry.traces, request.state.traceparent
    with traces.span("accept", "internal", trace, named) as span:
        given = occasion.model_copy(update={"traceparent": span.traceparent})
        taken = await desk.store.trigger_events.take(caller, given)
    if not taken.again:
        desk.telemetry.meters.accepted("trigger_event", "background")
    return taken
