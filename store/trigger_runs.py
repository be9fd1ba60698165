"""Runs of triggers: what set one off is written with the run of it, or not at all."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, NamedTuple

import asyncpg

from domain import ids
from domain.accept import Key, Work
from domain.account import Caller
from domain.audit import by
from domain.pointer import Where
from domain.run import Asked
from domain.task import SESSION
from domain.tools import Limits
from domain.trigger import Trigger
from domain.trigger_event import CALLS, ITERATIONS, TIME, Occasion
from domain.verification import Verification
from store import contacts
from store.accept import Accept
from store.database import Connection
from store.queries import load

_SQL = load("trigger_runs")
_COLUMNS = tuple(Trigger.model_fields)
_PARSED: dict[str, Any] = {"verification": Verification, "event_id": Where, "ordering_key": Where}
_NO_KEY = Key(route="", value=None, fingerprint=b"")
_LIMITS = Limits(iterations=ITERATIONS, calls=CALLS, seconds=int(TIME.total_seconds()))


class _Held(NamedTuple):
    """A trigger, held, as the run of an event needs it."""

    name: str | None
    description: str | None
    bot_id: str | None
    session_duration: int | None
    """Milliseconds."""
    schedule: str | None
    timezone: str | None

    @property
    def session(self) -> timedelta:
        """How long a conversation serves."""
        if self.session_duration is None:
            return SESSION
        return timedelta(milliseconds=self.session_duration)


class _Place(NamedTuple):
    """Where the agent works."""

    conversation_id: str
    contact_id: str | None
    """Whom the conversation is held with."""
    channel: str
    channel_id: int
    first: bool
    """The conversation is new."""


class TriggerRuns:
    def __init__(self, accept: Accept) -> None:
        self._accept = accept

    async def set_off(self, connection: Connection, caller: Caller, occasion: Occasion) -> bool:
        """Writes what sets a trigger off, and its run, in the caller's transaction.

        False: there is no such trigger in the account, or it has an event of that name. Then, and where this
        raises LimitsReached, the transaction is to be given up, or nothing of this was written.
        """
        row = await connection.fetchrow(_SQL["keep"], *values(caller, occasion))
        if row is None:
            return False
        trigger = _Held(**row)
        if occasion.line is not None:
            await connection.execute(_SQL["in_line"], occasion.line)
        place = await _place(connection, caller, trigger, occasion)
        work = _work(caller, trigger, occasion, place)
        await self._accept.write(connection, work, place.channel_id, first=place.first)
        return True


async def _place(connection: Connection, caller: Caller, trigger: _Held, occasion: Occasion) -> _Place:
    """The session's conversation while its time lasts and its bot is the trigger's; else a new one."""
    contact_id = None
    if occasion.contact is not None:
        contact_id = await contacts.ensure(connection, caller, occasion.contact)
    key = occasion.session_key(trigger.schedule) if trigger.session else None
    if key is not None:
        of = (occasion.trigger_id, key, trigger.session)
        earlier = await connection.fetchval(_SQL["session"], *of)
        place = earlier and await _go_on(connection, caller, trigger, occasion, earlier)
        if place:
            return place
    return await _begin(connection, caller, trigger, occasion, (contact_id, key))


async def _go_on(
    connection: Connection, caller: Caller, trigger: _Held, occasion: Occasion, conversation_id: str
) -> _Place | None:
    row = await connection.fetchrow(_SQL["go_on"], caller.account_id, conversation_id, trigger.bot_id)
    if row is None:
        return None
    # Only now, so that the runs of a conversation are in the order of their channels.
    name = ids.channel()
    channel_id = await connection.fetchval(_SQL["channel"], caller.account_id, name, occasion.run_id)
    return _Place(row["id"], row["contact_id"], name, channel_id, first=False)


async def _begin(
    connection: Connection,
    caller: Caller,
    trigger: _Held,
    occasion: Occasion,
    of: tuple[str | None, bytes | None],
) -> _Place:
    """A new conversation with a contact, for a session that is held."""
    (contact_id, session), conversation_id, name = of, ids.conversation(), ids.channel()
    about = {"conversationId": conversation_id, "botId": trigger.bot_id, "contactId": contact_id}
    channel_id = await connection.fetchval(
        _SQL["begin"],
        conversation_id,
        caller.account_id,
        trigger.name,
        trigger.description,
        {"app": "trigger", "trigger": {"integrationId": occasion.trigger_id}},
        trigger.bot_id,
        contact_id,
        ids.entry(),
        {name: value for name, value in about.items() if value is not None},
        by(caller),
        occasion.trigger_id,
        session,
        name,
        occasion.run_id,
    )
    return _Place(conversation_id, contact_id, name, channel_id, first=True)


def values(caller: Caller, occasion: Occasion) -> tuple[object, ...]:
    """The columns of an event that is to be written."""
    return (
        occasion.event_id,
        occasion.trigger_id,
        caller.account_id,
        occasion.source,
        occasion.method,
        occasion.query,
        occasion.headers,
        occasion.content_type,
        occasion.body,
        occasion.digest,
        caller.address,
        occasion.verified,
        occasion.provider_id,
        occasion.ordering_key,
        occasion.run_id,
        occasion.replay_of,
    )


def _work(caller: Caller, trigger: _Held, occasion: Occasion, place: _Place) -> Work:
    fired = occasion.fired
    return Work(
        run_id=occasion.run_id,
        caller=caller,
        lane="background" if fired is None else "scheduled",
        key=_NO_KEY,
        asked=Asked(settles=True, timezone=trigger.timezone, limits=_LIMITS),
        conversation_id=place.conversation_id,
        bot_id=trigger.bot_id,
        contact_id=place.contact_id,
        task_id=fired and fired.task_id,
        trigger_id=occasion.trigger_id,
        ordering_key=occasion.line,
        backfilled=fired is not None and fired.backfilled,
        workflow=fired and fired.workflow_id,
        channel=place.channel,
        traceparent=occasion.traceparent,
    )


def columns(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a trigger, of a row that has all of them."""
    found = {column: row[column] for column in _COLUMNS}
    parsed = {name: kind(**found[name]) for name, kind in _PARSED.items() if found[name] is not None}
    return found | parsed


def trigger_of(row: asyncpg.Record) -> Trigger:
    return Trigger(**columns(row))
