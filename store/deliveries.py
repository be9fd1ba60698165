"""Deliveries, as their owners see them: listed, shown, sent again, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.delivery import PING, Again, Attempt, Delivery, DeliveryState, Kept, written
from domain.errors import Conflict, NotFound
from domain.paging import Page
from store.audit import note
from store.claims import claim, once, repoint
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("deliveries")
_COLUMNS = tuple(Delivery.model_fields)
SHOWN = 100
"""Attempts of a delivery that are shown."""
MOST = 1_000
"""Deliveries that one call sends again."""
_PING_TEXT = "This is a test: results of this target come here."
_EMPTY = "What it said was removed with its conversation or its message; there is nothing left to send."
_REMOVED = "Its target was removed; set `delivery` of its task or trigger again, then send it again."
_DISABLED = "Its target is disabled; enable it with target/enable, then send it again."


class DeliveryFilter(Frozen):
    """What a list of deliveries is narrowed to; None narrows nothing."""

    states: Sequence[DeliveryState] | None = None
    types: Sequence[str] | None = None
    target_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None
    trigger_ids: Sequence[str] | None = None
    run_ids: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    """When it was made: at `since` or later, before `until`."""


class Deliveries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, account_id: str, page: Page, narrow: DeliveryFilter) -> Sequence[Delivery]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(
            query, account_id, page.after, page.take, narrow.states, *_narrowed(narrow)
        )
        return [_delivery(row) for row in rows]

    async def fetch(self, account_id: str, delivery_id: str) -> Kept:
        """With its newest attempts. Raises NotFound."""
        row = await self._database.fetchrow(_SQL["fetch"], account_id, delivery_id)
        if row is None:
            raise NotFound
        attempts = await self._database.fetch(_SQL["attempts"], delivery_id, SHOWN)
        return Kept(
            delivery=_delivery(row), body=row["body"], attempts=tuple(Attempt(**each) for each in attempts)
        )

    async def redeliver(self, caller: Caller, key: Key, delivery_id: str) -> None:
        """Sends one again under its id; one on its way is tried now. A worker hears of it at the commit.

        Raises NotFound, and Conflict where its words or its target are gone, or that one is disabled.
        """

        async def work(connection: Connection, _: str) -> None:
            target = await connection.fetchrow(_SQL["hold_target"], caller.account_id, delivery_id)
            row = await connection.fetchrow(_SQL["hold"], caller.account_id, delivery_id)
            if target is None or row is None:
                raise NotFound
            if row["empty"]:
                raise Conflict(_EMPTY)
            _check(target)
            await connection.execute(_SQL["again"], [delivery_id])
            await note(connection, caller, "delivery.redeliver", deliveryId=delivery_id)

        await once(self._database, caller.account_id, key, delivery_id, work)

    async def redeliver_dead(self, caller: Caller, key: Key, narrow: DeliveryFilter) -> Again:
        """Sends dead ones again, the oldest first, 1,000 at most; those whose words are gone, or whose
        target takes nothing, are left out. `narrow.states` is not looked at."""

        async def work(connection: Connection) -> Again:
            earlier = await claim(connection, caller.account_id, key, "")
            if earlier is not None:
                return _told(earlier)
            found = await connection.fetch(_SQL["dead"], caller.account_id, MOST + 1, *_narrowed(narrow))
            some = found[:MOST]
            await connection.execute(_SQL["hold_targets"], [*{row["target_id"] for row in some}])
            held = await connection.fetch(_SQL["hold_dead"], [row["id"] for row in some])
            await connection.execute(_SQL["again"], [row["id"] for row in held])
            if held:
                await note(connection, caller, "delivery.redeliver")
            again = Again(count=len(held), more=len(found) > len(some))
            await repoint(connection, caller.account_id, key, f"{again.count}{'+' * again.more}")
            return again

        return await self._database.transact(work)

    async def delete(self, caller: Caller, delivery_id: str) -> None:
        """Removes one in any state; one on its way is not tried again. Raises NotFound."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["delete"], caller.account_id, delivery_id) is None:
                raise NotFound
            await note(connection, caller, "delivery.delete", deliveryId=delivery_id)

        await self._database.transact(work)

    async def ping(self, caller: Caller, key: Key, target_id: str) -> str:
        """Makes a delivery of the type `test.ping` (target/test) and returns its id.

        Raises NotFound, and Conflict where the target is removed or disabled.
        """

        async def work(connection: Connection, delivery_id: str) -> None:
            target = await connection.fetchrow(_SQL["pinged"], caller.account_id, target_id)
            if target is None:
                raise NotFound
            _check(target)
            body = written(PING, target["now"], {"targetId": target_id, "text": _PING_TEXT})
            await connection.execute(_SQL["ping"], delivery_id, caller.account_id, target_id, PING, body)
            await note(connection, caller, "target.test", targetId=target_id)

        return await once(self._database, caller.account_id, key, ids.delivery(), work)


def _narrowed(narrow: DeliveryFilter) -> tuple[object, ...]:
    """What its queries take after the states."""
    owners = (narrow.target_ids, narrow.task_ids, narrow.trigger_ids, narrow.run_ids)
    return (narrow.types, *owners, narrow.since, narrow.until)


def _delivery(row: asyncpg.Record) -> Delivery:
    return Delivery(**{column: row[column] for column in _COLUMNS})


def _check(target: asyncpg.Record) -> None:
    """Raises Conflict where nothing may be sent."""
    if target["removed"]:
        raise Conflict(_REMOVED)
    if target["disabled"]:
        raise Conflict(_DISABLED)


def _told(earlier: str) -> Again:
    """What an earlier call under the same key answered."""
    return Again(count=int(earlier.rstrip("+")), more=earlier.endswith("+"))
