"""Checkpoints: records for people in the conversation of a task's run, of how much of its limits is used."""

from __future__ import annotations

from domain.conversation import NewMessage
from domain.events import Event
from domain.tools import Limits
from store.database import Connection
from store.held import Held, Kept, append, keep, shown
from store.queries import load

_SQL = load("checkpoints")

MARKS = (50, 80, 90)
"""Percent of a limit (contract §6.1)."""


async def mark(connection: Connection, held: Held) -> None:
    """Notes in a held run of a task that another mark is passed, after a round of its model."""
    row = await connection.fetchrow(_SQL["used"], held.id)
    assert row is not None
    limits = held.asked.limits
    shares = {
        "iterations": _percent(row["iterations"], limits.iterations),
        "calls": _percent(row["calls"], limits.calls),
        "time": _percent(row["seconds"], limits.seconds),
    }
    limit = max(shares, key=lambda name: shares[name])
    passed = max((mark for mark in MARKS if mark <= shares[limit]), default=0)
    if passed > (row["marked"] or 0):
        text = f"{passed} % of this run's {limit} are used." if limit != "time" else _time(passed)
        checkpoint = {"type": "progress", "limit": limit, "percent": passed}
        await append(
            connection, held.channel_id, await _note(connection, held, str(passed), text, checkpoint)
        )


async def exceeded(connection: Connection, held: Held) -> list[Event]:
    """Notes in a held run of a task or trigger that a limit of its own ends it; what is to be told of it."""
    if not held.prepared:
        return []
    text = f"This run has reached a limit of its own ({_said(held.asked.limits)}) and ends here."
    return await _note(connection, held, "limit", text, {"type": "limit_exceeded"})


async def _note(
    connection: Connection, held: Held, key: str, text: str, checkpoint: dict[str, object]
) -> list[Event]:
    message = NewMessage(type="checkpoint", text=text, meta={"checkpoint": checkpoint})
    kept = Kept(f"{held.id}/checkpoint/{key}", message, max(held.step, 1))
    (message_id,) = await keep(connection, held, [kept])
    return [shown(held, kept, message_id)]


def _percent(used: float, limit: float | None) -> float:
    return 100 * used / limit if limit else 0.0


def _time(percent: int) -> str:
    return f"{percent} % of this run's time is over."


def _said(limits: Limits) -> str:
    minutes = (limits.seconds or 0) / 60
    return f"{limits.iterations:,} iterations, {limits.calls:,} calls, {minutes:,.0f} minutes"
