"""Runs that are one call of an ability: begun with it, and over with its answer."""

from __future__ import annotations

from domain import events
from domain.activity import Activity, Called
from domain.calls import Outcome
from domain.conversation import NewMessage
from store import ending, turns
from store.database import Connection
from store.held import Held, Kept, append, keep, shown
from store.queries import load

_SQL = load("ability_runs")

STEP = 1


async def begin(connection: Connection, held: Held) -> None:
    """A held, queued run of this kind begins: its call is its only step, and nobody has taken that yet."""
    asking = held.asked.call
    assert asking is not None
    await turns.begin(connection, held)
    called = Called(name=asking.name, arguments=asking.arguments)
    activity = Activity(type="request", function=called, id=f"{held.id}/{STEP}")
    message = NewMessage(type="activity", text="", meta=activity.meta())
    kept = Kept(f"{held.id}/{STEP}/request", message, STEP)
    (message_id,) = await keep(connection, held, [kept])
    await connection.execute(
        _SQL["begin"], held.id, STEP, asking.name, asking.effect, asking.source, message_id
    )
    told = [shown(held, kept, message_id), events.operation_begin(held.id, STEP, "ability", called)]
    await append(connection, held.channel_id, told)


async def close(connection: Connection, held: Held, outcome: Outcome) -> None:
    """Ends a held, open run of this kind with what came of its call."""
    rows = await connection.fetch(_SQL["said"], held.id)
    await ending.close(connection, held, events.executed(held.id, outcome, [dict(row) for row in rows]))
