"""Runs that set off triggers: of an event, of a call by hand, and of a trigger's own schedule."""

from __future__ import annotations

from typing import Any

import asyncpg

from domain.pointer import Where
from domain.trigger import Trigger
from domain.verification import Verification
from store.database import Connection
from store.queries import load

_SQL = load("trigger_runs")
_COLUMNS = tuple(Trigger.model_fields)
_PARSED: dict[str, Any] = {"verification": Verification, "event_id": Where, "ordering_key": Where}


async def read(connection: Connection, trigger_id: str) -> Trigger | None:
    """A trigger, locked against its removal until the transaction ends."""
    row = await connection.fetchrow(_SQL["read"], trigger_id)
    return None if row is None else trigger_of(row)


def columns(row: asyncpg.Record) -> dict[str, Any]:
    """The fields of a trigger, of a row that has all of them."""
    found = {column: row[column] for column in _COLUMNS}
    parsed = {name: kind(**found[name]) for name, kind in _PARSED.items() if found[name] is not None}
    return found | parsed


def trigger_of(row: asyncpg.Record) -> Trigger:
    return Trigger(**columns(row))
