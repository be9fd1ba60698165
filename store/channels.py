"""Channels: what clients publish to and subscribe to, by name within an account."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from domain import events
from domain.accept import Key
from domain.account import Caller
from domain.errors import Conflict, LimitsReached
from domain.events import Event
from domain.plans import Plan
from store.audit import note
from store.claims import claim
from store.database import Connection, Database
from store.held import append
from store.queries import load

_SQL = load("channels")

MOST = 1_000
"""Messages kept of what clients publish on a channel."""


@dataclasses.dataclass(frozen=True, slots=True)
class Channel:
    id: int
    run_id: str | None
    """The run it belongs to; None where clients publish."""
    open: bool
    deleted: bool
    seq: int


class Channels:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, account_id: str, name: str) -> Channel | None:
        row = await self._database.fetchrow(_SQL["find"], account_id, name)
        return Channel(**row) if row else None

    async def publish(self, caller: Caller, name: str, key: Key, message: dict[str, Any]) -> Sequence[Plan]:
        """Keeps a client's message for whoever subscribes or waits; returns the plans that wait.

        Without a key, the body published last is a repeat for ten seconds, unless somebody waits for another.
        Raises Conflict on a channel of a run, LimitsReached when a run takes up nothing of what is there.
        """

        async def work(connection: Connection) -> Sequence[Plan]:
            if await claim(connection, caller.account_id, key, name) is not None:
                return ()
            await connection.execute(_SQL["make"], caller.account_id, name)
            row = await connection.fetchrow(_SQL["lock"], caller.account_id, name)
            assert row is not None
            if row["run_id"] is not None:
                raise Conflict("This channel belongs to a run; only the server publishes to it.")
            event = events.published(message)
            waiting = [Plan(**plan) for plan in await connection.fetch(_SQL["waiting"], row["id"])]
            if await _repeated(connection, key, row["id"], event):
                return waiting
            await self._put(connection, row["id"], event)
            await note(connection, caller, "channel.publish", channelId=name)
            return waiting

        return await self._database.transact(work)

    async def _put(self, connection: Connection, channel_id: int, event: Event) -> None:
        if await connection.fetchval(_SQL["full"], channel_id, MOST):
            raise LimitsReached(
                f"{MOST} messages wait on this channel for a run to take them; publish later."
            )
        await append(connection, channel_id, [event])
        await connection.execute(_SQL["trim"], channel_id, MOST)

    async def before_newest(self, channel_id: int, count: int) -> int:
        """The seq after which the newest `count` events begin."""
        seq: int = await self._database.fetchval(_SQL["tail"], channel_id, count)
        return seq

    async def terminal(self, channel_id: int) -> Event | None:
        """The event that ended a channel, while it is kept."""
        row = await self._database.fetchrow(_SQL["terminal"], channel_id)
        return Event(row["type"], row["data"]) if row else None


async def _repeated(connection: Connection, key: Key, channel_id: int, event: Event) -> bool:
    """Whether a publish without a key looks like the one before it."""
    if key.value is not None:
        return False
    return bool(await connection.fetchval(_SQL["repeated"], channel_id, event.data))
