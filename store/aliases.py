"""Aliases: the words that callers name their objects by, unique in an account for each kind of object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import asyncpg

from domain.errors import Conflict
from store.database import Database
from store.queries import load

_SQL = load("aliases")

Noun = Literal["bot", "skillset", "secret", "trigger"]
"""What can have one. Another noun is a word here and a query there; `@alias` then stands for its id, see
api/aliases.py. Its table has `alias`, unique by the index `<noun>_alias`; its body is an `Aliased`."""


class Aliases:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, account_id: str, noun: Noun, aliases: Sequence[str]) -> dict[str, str]:
        """The ids of the account's objects that have these aliases, by alias."""
        rows = await self._database.fetch(_SQL[noun], account_id, aliases)
        return {row["alias"]: row["id"] for row in rows}


@contextmanager
def unique(noun: Noun) -> Iterator[None]:
    """Around what may give an alias that another object has: raises Conflict."""
    try:
        yield
    except asyncpg.UniqueViolationError as clash:
        if clash.constraint_name != f"{noun}_alias":
            raise
        taken = f"alias: another {noun} of this account has it; choose another one, or clear it there first."
        raise Conflict(taken) from None
