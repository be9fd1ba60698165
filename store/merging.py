"""Calls that join a turn of their conversation: which turn, and when their words become its own."""

from __future__ import annotations

from domain import events
from domain.accept import Work
from domain.conversation import NewMessage
from domain.events import Event
from domain.plans import Plan
from store import ending
from store.database import Connection
from store.held import Held, add_message, append, hold
from store.queries import load
from store.turns import plan_of

_SQL = load("merging")


async def turn_to_join(connection: Connection, work: Work, *, steers: bool) -> str | None:
    """The turn of a locked conversation that a call joins; None when it is to have its own.

    It joins the turn that is admitted, else the first that waits; one that does not steer joins only a turn
    that gathers calls before it begins. What brings tools or limits that the turn has not, or no words to a
    turn that has begun, joins none.
    """
    asked = work.asked.model_dump_json(exclude_defaults=True)
    spoken = work.asked.text is not None
    turn: str | None = await connection.fetchval(_SQL["turn"], work.conversation_id, steers, asked, spoken)
    return turn


async def merge(connection: Connection, held: Held) -> tuple[Plan, ...]:
    """Makes the words of the calls that joined a held, open turn its own, before its model is asked."""
    if not held.joined:
        return ()
    # What is told now belongs to no attempt: it stays whatever becomes of them.
    await connection.execute(_SQL["between"], held.channel_id)
    merged = []
    for row in await connection.fetch(_SQL["joined"], held.conversation_id, held.id):
        joined = await hold(connection, row["id"], conversation=False)
        assert joined is not None
        await _merge(connection, held, joined)
        merged.append(plan_of(joined))
    return tuple(merged)


async def _merge(connection: Connection, held: Held, joined: Held) -> None:
    told: list[Event] = []
    text = joined.asked.text
    if text is not None and held.conversation_id is not None:
        message = NewMessage(type="user", text=text)
        message_id, _ = await add_message(
            connection, held.conversation_id, f"{joined.id}/user", message, held.id
        )
        await connection.execute(_SQL["counted"], held.id)
        told.append(events.send_result(message_id, text))
        await append(connection, held.channel_id, told)
    await append(connection, joined.channel_id, [*told, events.merged(held.id)], close=True)
    await connection.execute(_SQL["go_on"], joined.channel_id, held.channel_id)
    await ending.merged(connection, joined, held.id)
