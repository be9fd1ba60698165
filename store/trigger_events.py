"""Events of triggers: each kept once with its run, read, and set going again."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.errors import Conflict, NotFound, Unavailable
from domain.incoming import said
from domain.paging import Page
from domain.trigger_event import ONCE, Occasion, TriggerEvent
from store.accept import Accept
from store.audit import note
from store.claims import claim
from store.database import Connection, Database, OutcomeUnknown
from store.queries import load, ordered
from store.trigger_runs import TriggerRuns, values

T = TypeVar("T")

_SQL = load("trigger_events")
_COLUMNS = tuple(TriggerEvent.model_fields)
_DOOR = (
    load("triggers")["known"],
    load("trigger_runs")["keep"],
    load("trigger_runs")["begin"],
    load("accept")["insert_run"],
)
"""What is asked for every event."""
READY = 8
"""Connections that are there before a crowd comes."""
_PAUSE = 1.0
_ROUNDS = 5
_GONE = "What came with this event is not kept any more, so it cannot be repeated."


class Taken(NamedTuple):
    """An event that is durable now, by this call or by an earlier one."""

    event_id: str
    run_id: str
    again: bool = False


class EventFilter(Frozen):
    """What a list of events is narrowed to; None narrows nothing."""

    states: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None


class Again(NamedTuple):
    """A call that asks for an event once more."""

    trigger_id: str
    event_id: str
    run_id: str
    """Of the new one, made beforehand."""
    traceparent: str | None


class _Refused(NamedTuple):
    """Another event has its name; as which one it is kept."""

    event_id: str
    run_id: str
    """Of the other one."""


class TriggerEvents:
    def __init__(self, database: Database, accept: Accept, runs: TriggerRuns) -> None:
        self._database = database
        self._accept = accept
        self._runs = runs

    async def warm(self) -> None:
        """Makes the pool ready for a crowd of events, once Postgres is there."""
        while True:
            try:
                await self._database.warm(READY, _DOOR)
            except Unavailable:
                await asyncio.sleep(_PAUSE)
            else:
                return

    async def take(self, caller: Caller, occasion: Occasion) -> Taken:
        """Makes an event durable with its run, or finds it there: of one name there is one.

        Raises NotFound for a trigger that is gone, Conflict for a name that another event has, whose body is
        different, LimitsReached, Unavailable (nothing was done) and OutcomeUnknown.
        """

        async def work(connection: Connection) -> Taken | _Refused:
            return await self._take(connection, caller, occasion)

        taken = await self._settled(caller, occasion, work)
        if isinstance(taken, _Refused):
            raise Conflict(
                f"An event of this id has come before, with another body. This one was kept as "
                f"{taken.event_id} and starts nothing; event/{{event}}/replay does.",
                run_id=taken.run_id,
            )
        return taken

    async def refused(self, account_id: str, trigger_id: str, address: str | None) -> None:
        """The audit log is told of a request that came from anybody."""
        await self._database.execute(_SQL["refused"], ids.entry(), account_id, trigger_id, address)

    async def invoke(self, caller: Caller, key: Key, occasion: Occasion) -> Taken:
        """Sets a trigger off by hand. The same key is the same event. Raises NotFound, LimitsReached."""

        async def work(connection: Connection) -> Taken:
            return await self._once(connection, caller, key, occasion)

        return await self._settled(caller, occasion, work)

    async def replay(self, caller: Caller, key: Key, again: Again) -> Taken:
        """Sets a trigger off by an event that it has had, refused ones too: another event, with a run of its
        own, that says the same. The same key is the same event.

        Raises NotFound, LimitsReached, and Conflict where what came with it is not kept any more.
        """
        event = await self.fetch(caller.account_id, again.trigger_id, again.event_id)
        if event.body is None:
            raise Conflict(_GONE)
        of = said(event.query)
        copied = ("method", "query", "headers", "content_type", "provider_id", "ordering_key")
        occasion = Occasion(
            event_id=ids.trigger_event(),
            run_id=again.run_id,
            trigger_id=event.trigger_id,
            source="replay",
            body=event.body,
            session=of.session,
            contact=of.contact,
            replay_of=event.id,
            traceparent=again.traceparent,
            **{name: getattr(event, name) for name in copied},
        )

        async def work(connection: Connection) -> Taken:
            taken = await self._once(connection, caller, key, occasion)
            if not taken.again:
                about = {"triggerId": event.trigger_id, "eventId": event.id, "runId": taken.run_id}
                await note(connection, caller, "trigger.replay", **about)
            return taken

        return await self._settled(caller, occasion, work)

    async def fetch(self, account_id: str, trigger_id: str, event_id: str) -> TriggerEvent:
        """With what was sent. Raises NotFound."""
        row = await self._database.fetchrow(_SQL["fetch"], account_id, trigger_id, event_id)
        if row is None:
            raise NotFound
        return _event(row)

    async def list(
        self, account_id: str, trigger_id: str, page: Page, narrow: EventFilter
    ) -> Sequence[TriggerEvent]:
        """One page of a trigger's, without what was sent. Raises NotFound for a foreign trigger."""
        if await self._database.fetchval(_SQL["owned"], account_id, trigger_id) is None:
            raise NotFound
        query = ordered(_SQL["list"], ascending=page.ascending)
        wanted = (narrow.states, narrow.since, narrow.until)
        rows = await self._database.fetch(query, trigger_id, page.after, page.take, *wanted)
        return [_event(row) for row in rows]

    async def _take(self, connection: Connection, caller: Caller, occasion: Occasion) -> Taken | _Refused:
        for _ in range(_ROUNDS):
            if await self._runs.set_off(connection, caller, occasion):
                return Taken(occasion.event_id, occasion.run_id)
            place = (occasion.trigger_id, occasion.provider_id, ONCE)
            earlier = await connection.fetchrow(_SQL["earlier"], *place)
            if earlier is None:
                # The event of that name has just gone: of old age, or with its trigger.
                if await connection.fetchval(_SQL["owned"], caller.account_id, occasion.trigger_id) is None:
                    raise NotFound
            elif not earlier["over"]:
                return await _same(connection, caller, occasion, earlier)
            else:
                await connection.execute(_SQL["stands_no_more"], earlier["id"])
        raise Unavailable(retry_after=1)

    async def _once(self, connection: Connection, caller: Caller, key: Key, occasion: Occasion) -> Taken:
        earlier = await claim(connection, caller.account_id, key, occasion.event_id)
        if earlier is not None:
            run_id = await connection.fetchval(_SQL["run_of"], occasion.trigger_id, earlier)
            if run_id is None:
                raise NotFound
            return Taken(earlier, run_id, again=True)
        if not await self._runs.set_off(connection, caller, occasion):
            raise NotFound
        return Taken(occasion.event_id, occasion.run_id)

    async def _settled(
        self, caller: Caller, occasion: Occasion, work: Callable[[Connection], Awaitable[T]]
    ) -> T | Taken:
        """What a transaction comes to; where nobody saw the end of its commit, its run tells."""
        try:
            return await self._database.transact(work)
        except OutcomeUnknown:
            run = await self._accept.found(caller.account_id, occasion.run_id)
            return Taken(occasion.event_id, run.id)


async def _same(
    connection: Connection, caller: Caller, occasion: Occasion, earlier: asyncpg.Record
) -> Taken | _Refused:
    """An event of the name is there: it is this one, if it says the same."""
    if hmac.compare_digest(earlier["digest"], occasion.digest):
        await connection.execute(_SQL["came_again"], earlier["id"])
        return Taken(earlier["id"], earlier["run_id"], again=True)
    kept = await connection.fetchval(_SQL["refuse"], *values(caller, occasion)[:-2])
    return _Refused(kept, earlier["run_id"])


def _event(row: asyncpg.Record) -> TriggerEvent:
    return TriggerEvent(**{column: row[column] for column in _COLUMNS})
