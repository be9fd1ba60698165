"""The audit log: what was done to an account, by whom; written with the act, listed and followed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from domain import ids
from domain.account import Caller
from domain.audit import Act, Entry, by
from domain.paging import Page
from store.database import Connection, Database
from store.queries import load, ordered

_SQL = load("audit")
_PAGE = 500


class Position(NamedTuple):
    """Where a follower of the log is: after the entry with this transaction and id."""

    xid: str = "0"
    id: str = ""


Narrow = tuple[Sequence[str] | None, dict[str, list[str]]]


class Audit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self,
        account_id: str,
        page: Page,
        meta: dict[str, Any],
        narrow: Narrow,
    ) -> Sequence[Entry]:
        """One page; `narrow` is some types, and of some names the ids of which an entry is about one."""
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, *narrow)
        return [Entry(**row) for row in rows]

    async def newest(self, account_id: str | None) -> Sequence[Entry]:
        """The newest hundred; None: those that are no account's, such as keys that nobody has."""
        return [Entry(**row) for row in await self._database.fetch(_SQL["newest"], account_id)]

    async def before_newest(self, account_id: str, count: int) -> Position:
        """The position after which the newest `count` entries begin."""
        row = await self._database.fetchrow(_SQL["before_newest"], account_id, count)
        return Position(row["xid"], row["id"]) if row else Position()

    async def position(self, account_id: str, entry_id: str) -> Position | None:
        row = await self._database.fetchrow(_SQL["position"], account_id, entry_id)
        return Position(row["xid"], row["id"]) if row else None

    async def after(self, account_id: str, position: Position) -> tuple[Sequence[Entry], Position]:
        """What came after a position, as far as nothing can precede it; and the position after that."""
        rows = await self._database.fetch(_SQL["follow"], account_id, *position, _PAGE)
        entries = [Entry(**{name: row[name] for name in Entry.model_fields}) for row in rows]
        return entries, Position(rows[-1]["xid"], rows[-1]["id"]) if rows else position


async def note(connection: Connection, caller: Caller, act: Act, **about: str | None) -> None:
    """Writes what a caller did, in the transaction that does it; `about` is ids by their wire names."""
    concerned = {name: value for name, value in about.items() if value is not None}
    await connection.execute(_SQL["note"], ids.entry(), caller.account_id, act, concerned, by(caller))
