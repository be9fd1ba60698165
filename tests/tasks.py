"""Tasks for tests that need one and not the way to it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from domain import ids
from domain.occurrences import following
from domain.schedule import Timing, parse
from store import Store


async def new_task(store: Store, account: str, **columns: Any) -> str:
    """A task with these columns, due from now on, or from `next_at`; nobody tells Temporal of it."""
    task_id = ids.task()
    given = {"id": task_id, "account_id": account} | columns
    if "next_at" not in given:
        given["next_at"] = await _next(store, task_id, columns)
    names = ", ".join(given)
    places = ", ".join(f"${n}" for n in range(1, len(given) + 1))
    query = f"INSERT INTO task ({names}) VALUES ({places})"  # noqa: S608 our own names
    await store.database.execute(query, *given.values())
    return task_id


async def _next(store: Store, task_id: str, columns: dict[str, Any]) -> datetime | None:
    now: datetime = await store.database.fetchval("SELECT clock_timestamp()")
    timing = Timing(**{name: columns[name] for name in Timing.model_fields if name in columns})
    found = following(parse(timing, task_id, shortest=0), now, 1)
    return found[0].at if found else None
