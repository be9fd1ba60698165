"""What takes one safety out of the product as loaded in this process."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, NamedTuple

from bench.torture.points import find


class Sabotage(NamedTuple):
    safety: str
    scenario: str
    """The directed scenario that must turn red, whatever the seed."""
    seen_as: str
    """What the complaint begins with: an invariant, or what the scenario says is wrong."""
    commit: Callable[[], None]
    sql: str = ""
    """What is taken out of the database besides."""


def swap(noun: str, query: str, old: str, new: str) -> None:
    """Changes one query; a text that is no longer there is an error, not a sabotage that does nothing."""
    queries = importlib.import_module(f"store.{noun}")._SQL
    if old not in queries[query]:
        raise LookupError(f"{noun}.sql, {query}: there is no {old!r}")
    queries[query] = queries[query].replace(old, new)


def put(place: str, value: Any) -> None:
    owner, name = find(place)
    setattr(owner, name, value)


async def nothing(*_: object, **__: object) -> Any:
    return None
