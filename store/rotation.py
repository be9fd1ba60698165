"""The keys of secrets: which values are under which, and all of them brought under the newest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple, get_args

import asyncpg
from pydantic import SecretStr

from domain.errors import SecretUnusable
from store.database import Database
from store.keyring import Column, Keyring, Place, Sealed
from store.queries import load

_SQL = load("rotation")
COLUMNS: tuple[Column, ...] = get_args(Column)
BATCH = 200
"""Rows of one statement."""


class Rotated(NamedTuple):
    sealed: int
    """Values that were under another key and are under the newest now."""
    unopened: list[str]
    """The ids of rows with values that no key opens; they stay as they are."""


class Checked(NamedTuple):
    newest: int
    older: int
    unopened: list[str]


class Rotation:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def rotate(self) -> Rotated:
        """Seals anew whatever is under another key than the newest; broken off, it goes on when called again.

        Raises NotServed when there is no key.
        """
        newest, sealed, unopened = self._keyring.newest(), 0, list[str]()
        for column in COLUMNS:
            async for rows in self._pages(column, newest):
                done = await self._reseal(column, rows, newest)
                sealed += done.sealed
                unopened += done.unopened
        return Rotated(sealed, _once(unopened))

    async def check(self) -> Checked:
        """Tries every value and changes nothing; without a key none opens."""
        counts, unopened = [0, 0], list[str]()
        for column in COLUMNS:
            async for rows in self._pages(column, None):
                for row in rows:
                    if self._opened(column, row) is None:
                        unopened.append(row["id"])
                    else:
                        counts[row["key"] != self._keyring.newest()] += 1
        return Checked(counts[0], counts[1], _once(unopened))

    async def _pages(self, column: Column, but: str | None) -> AsyncIterator[list[asyncpg.Record]]:
        """The values of a column, but for those that are under one key."""
        after = ""
        while rows := await self._database.fetch(_SQL["page"], column, after, BATCH, but):
            yield rows
            after = rows[-1]["id"]

    async def _reseal(self, column: Column, rows: list[asyncpg.Record], newest: str) -> Rotated:
        opened = [(row, value) for row in rows if (value := self._opened(column, row)) is not None]
        given = (
            [row["id"] for row, _ in opened],
            [row["value"] for row, _ in opened],
            [self._keyring.seal(value, _place(column, row)).value for row, value in opened],
        )
        sealed = await self._database.fetchval(_SQL["reseal"], column, *given, newest)
        return Rotated(sealed, [row["id"] for row in rows if row["id"] not in given[0]])

    def _opened(self, column: Column, row: asyncpg.Record) -> SecretStr | None:
        try:
            return self._keyring.open(Sealed(row["value"], row["key"]), _place(column, row))
        except SecretUnusable:
            return None


def _once(ids: list[str]) -> list[str]:
    """A row may have several values."""
    return [*dict.fromkeys(ids)]


def _place(column: Column, row: asyncpg.Record) -> Place:
    return Place(row["account_id"], row["id"], column)
