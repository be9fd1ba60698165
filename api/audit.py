"""event/log: the audit log, listed, exported and followed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Annotated, Any

from pydantic import ConfigDict, Field
from starlette.responses import Response, StreamingResponse

from api import aliases
from api.answers import patiently
from api.bodies import WHOLE, Body, Id
from api.call import Call, Resuming
from api.lists import Query, listed
from api.revoked import until_revoked
from api.signature import Listed, Streamed
from api.streams import HEADERS, MEDIA_TYPE, alive, framed
from api.wire import At, Item
from domain import events
from domain.audit import Entry
from domain.errors import BadRequest
from store.audit import Position

_ABOUT = (
    "conversationId",
    "contactId",
    "botId",
    "skillsetId",
    "abilityId",
    "taskId",
    "triggerIntegrationId",
    "eventId",
    "runId",
    "messageId",
    "ratingId",
    "channelId",
    "keyId",
    "sessionId",
    "secretId",
    "occurrenceId",
    "targetId",
    "deliveryId",
    "origin",
)
_SHOWN = {"triggerId": "triggerIntegrationId"}
"""What upstream calls otherwise in its log."""
_UNSERVED = (
    *("blueprint", "dataset", "record", "file", "portal"),
    *("widgetIntegration", "slackIntegration", "discordIntegration", "whatsappIntegration"),
    *("messengerIntegration", "telegramIntegration", "twilioIntegration", "emailIntegration"),
    *("sitemapIntegration", "notionIntegration", "supportIntegration"),
    *("extractIntegration", "mcpserverIntegration"),
)
"""What upstream's entries are about too; a test keeps the list complete."""
_LOOK = 0.5
"""Seconds between two looks for what is new."""
_LONGEST = 86_400.0
"""Seconds after which a subscription ends; its reader goes on with `after`."""


def _flat(schema: dict[str, Any]) -> None:
    """Tells of an entry what `EntryItem.shown` makes of it."""
    properties = schema["properties"]
    properties |= {name: {"anyOf": [{"type": "string"}, {"type": "null"}]} for name in _ABOUT}
    properties["updatedAt"] = properties["createdAt"]
    del properties["about"]


class EntryItem(Item):
    model_config = ConfigDict(json_schema_extra=_flat)

    id: str
    type: str
    about: dict[str, Any]
    meta: dict[str, Any]
    created_at: At

    def shown(self) -> dict[str, Any]:
        shown = super().shown()
        about = {_SHOWN.get(name, name): id_ for name, id_ in shown.pop("about").items()}
        return shown | about | {"updatedAt": shown["createdAt"]}

    @classmethod
    def columns(cls) -> tuple[str, ...]:
        return ("id", "type", "meta", "createdAt", "updatedAt", *_ABOUT)


ENTRIES = Listed(EntryItem).lines


class EntryQuery(Query):
    KNOWN = MANY = frozenset({"type", *_ABOUT})
    LATER = frozenset(f"{noun}Id" for noun in _UNSERVED)


class Subscribe(Body):
    history_length: Annotated[int, Field(ge=0, le=10_000), WHOLE] | None = None
    """How many of the newest entries to begin with; none if not given."""
    after: Id | None = None
    """The id of the last entry already seen; it wins over Last-Event-ID and historyLength."""


async def list_(call: Call, query: EntryQuery) -> Annotated[Response, Listed(EntryItem)]:
    """The audit log: who did what, from where."""
    about = {name: ids for name in _ABOUT if (ids := query.some(name)) is not None}
    for noun in aliases.NOUNS:
        name = _SHOWN.get(f"{noun}Id", f"{noun}Id")
        if name in about:
            about[name] = await aliases.in_filter(call, noun, about[name]) or []
    kept = {shown: name for name, shown in _SHOWN.items()}
    narrow = (query.some("type"), {kept.get(name, name): ids for name, ids in about.items()})
    return await listed(
        call, query, lambda page: call.store.audit.list(call.account_id, page, query.meta, narrow), EntryItem
    )


async def export(call: Call, query: EntryQuery) -> Annotated[Response, Listed(EntryItem, csv=True)]:
    return await list_(call, query)


async def subscribe(call: Resuming, body: Subscribe) -> Annotated[Response, Streamed(ENTRIES)]:
    """Entries as they come, each once, in an order that nothing is put before later."""
    if call.shape == "json":
        raise BadRequest("Accept: subscribe with application/jsonl or text/event-stream.")
    position = await _position(call, body)
    pages = alive(until_revoked(call, _entries(call, position)), call.shape)
    return StreamingResponse(pages, media_type=MEDIA_TYPE[call.shape], headers=HEADERS)


async def _position(call: Resuming, body: Subscribe) -> Position:
    seen = body.after or call.heard
    if not seen:
        before: Position = await call.store.audit.before_newest(call.account_id, body.history_length or 0)
        return before
    position: Position | None = await call.store.audit.position(call.account_id, seen)
    if position is None:
        raise BadRequest(
            "after, Last-Event-ID: there is no such entry any more; list the log and begin with its newest."
        )
    return position


async def _entries(call: Call, position: Position) -> AsyncIterator[bytes]:
    ends = time.monotonic() + _LONGEST
    while time.monotonic() < ends:
        entries, position = await patiently(partial(call.store.audit.after, call.account_id, position))
        if entries:
            yield b"".join(_line(entry, call.shape) for entry in entries)
        else:
            await asyncio.sleep(_LOOK)


def _line(entry: Entry, shape: str) -> bytes:
    shown = EntryItem.model_validate(entry).shown()
    return framed(events.rendered({"type": "item", "data": shown}), shape, entry.id)
