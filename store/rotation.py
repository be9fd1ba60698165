"""The keys of secrets: which values are under which, and all of them brought under the newest."""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import asyncpg
from pydantic import SecretStr

from domain.errors import SecretUnusable
from store.database import Connection, Database
from store.keyring import Keyring, Place, Sealed
from store.queries import load

_SQL = load("rotation")
BATCH = 200
"""Rows of one transaction."""


class Rotated(NamedTuple):
    sealed: int
    """Values that were under another key and are under the newest now."""
    unopened: list[str]
    """The ids of secrets whose values no key opens; they stay as they are."""


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
        newest, after, sealed, unopened = self._keyring.newest(), "", 0, list[str]()
        while batch := await self._database.transact(partial(self._batch, newest, after)):
            after, done = batch
            sealed += done.sealed
            unopened += done.unopened
        return Rotated(sealed, unopened)

    async def check(self) -> Checked:
        """Tries every value and changes nothing; without a key none opens."""
        after, counts, unopened = "", [0, 0], list[str]()
        while rows := await self._database.fetch(_SQL["page"], after, BATCH):
            after = rows[-1]["id"]
            for row in rows:
                if self._opened(row) is None:
                    unopened.append(row["id"])
                else:
                    counts[row["key"] != self._keyring.newest()] += 1
        return Checked(counts[0], counts[1], unopened)

    async def _batch(self, newest: str, after: str, connection: Connection) -> tuple[str, Rotated] | None:
        """The last id of a batch and what became of it; None when there is no more."""
        rows = await connection.fetch(_SQL["stale"], newest, after, BATCH)
        if not rows:
            return None
        opened = {row["id"]: (row, value) for row in rows if (value := self._opened(row)) is not None}
        anew = [self._keyring.seal(value, _place(row)).value for row, value in opened.values()]
        await connection.execute(_SQL["reseal"], [*opened], anew, newest)
        return rows[-1]["id"], Rotated(len(opened), [row["id"] for row in rows if row["id"] not in opened])

    def _opened(self, row: asyncpg.Record) -> SecretStr | None:
        try:
            return self._keyring.open(Sealed(row["value"], row["key"]), _place(row))
        except SecretUnusable:
            return None


def _place(row: asyncpg.Record) -> Place:
    return Place(row["account_id"], row["id"])
