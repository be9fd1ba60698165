"""What a task's run begins with: its instruction, and the task's details as its agent's first look."""

from __future__ import annotations

from typing import Any

from domain.activity import Activity, Called
from domain.conversation import NewMessage
from store.database import Connection
from store.held import Held, Kept, append, keep, shown
from store.queries import load

_SQL = load("briefing")

STEP = 1
DETAILS = "_getTaskDetails"


async def brief(connection: Connection, held: Held) -> None:
    """Adds to the conversation what a held, queued run of a task is to do, as the task has it now."""
    details = await _details(connection, held)
    asked = Called(name=DETAILS, arguments={})
    answered = Called(name=DETAILS, arguments={}, result=details)
    place = f"{held.id}/details"
    added = [
        Kept(f"{held.id}/instruction", NewMessage(type="instruction", text=_instruction(details)), STEP),
        _activity(f"{place}/request", Activity(type="request", function=asked, id=place)),
        _activity(f"{place}/response", Activity(type="response", function=answered, id=place)),
    ]
    message_ids = await keep(connection, held, added)
    told = [shown(held, kept, message_id) for kept, message_id in zip(added, message_ids, strict=True)]
    await append(connection, held.channel_id, told)


async def _details(connection: Connection, held: Held) -> dict[str, Any]:
    last = await connection.fetchval(_SQL["last"], held.id)
    await connection.execute(_SQL["hold_last"], last)
    found: dict[str, Any] = await connection.fetchval(_SQL["details"], held.id, last) or {}
    return {name: value for name, value in found.items() if value is not None}


def _activity(key: str, activity: Activity) -> Kept:
    return Kept(key, NewMessage(type="activity", text="", meta=activity.meta()), STEP)


def _instruction(details: dict[str, Any]) -> str:
    what = details.get("description") or details.get("name")
    return f"Carry out this task now:\n\n{what}" if what else "Carry out the task now."
