"""Triggers for tests that need one and not the way to it."""

from __future__ import annotations

from typing import Any

from domain import ids
from store import Store


async def new_trigger(store: Store, account: str, **columns: Any) -> str:
    """A trigger with these columns, and the hidden task of its schedule; nobody tells Temporal of it."""
    trigger_id, database = ids.trigger(), store.database
    timing = {name: columns.pop(name, None) for name in ("schedule", "timezone")}
    given = {"id": trigger_id, "account_id": account, "secret": b"", "secret_key": ""} | columns
    names, places = ", ".join(given), ", ".join(f"${n}" for n in range(1, len(given) + 1))
    query = f"INSERT INTO trigger ({names}) VALUES ({places})"  # noqa: S608 our own names
    await database.execute(query, *given.values())
    hidden = "INSERT INTO task (id, account_id, trigger_id, schedule, timezone) VALUES ($1, $2, $3, $4, $5)"
    await database.execute(hidden, ids.task(), account, trigger_id, *timing.values())
    return trigger_id
