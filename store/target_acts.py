"""What is done to a target by hand: it gets a new secret, or another chance."""

from __future__ import annotations

import asyncpg

from domain.accept import Key
from domain.account import Caller
from domain.errors import BadRequest, Conflict, NotFound, SecretUnusable
from domain.webhook import make_secret
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.keyring import Keyring
from store.queries import load
from store.targets import opened, place_of

_SQL = load("target_acts")


class TargetActs:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def rotate(self, caller: Caller, key: Key, target_id: str, hours: int) -> None:
        """Makes a new secret; the one of now signs too for so many hours. So it is with all targets of calls
        that have the same URL. The same key is the same rotation.

        Raises NotFound, BadRequest for an e-mail, Conflict for one that was removed, NotServed.
        """
        self._keyring.newest()

        async def work(connection: Connection, target_id: str) -> None:
            row = await connection.fetchrow(_SQL["fetch"], caller.account_id, target_id)
            if row is not None and row["said"] is not None and row["url"] is not None:
                await connection.execute(_SQL["alone"], caller.account_id, row["url"])
            held = await _own(connection, caller, target_id)
            if held["kind"] != "webhook":
                raise BadRequest("Only a webhook has a secret; an e-mail is not signed.")
            await self._rotate(connection, target_id, hours)
            await note(connection, caller, "target.rotate", targetId=target_id)

        await once(self._database, caller.account_id, key, target_id, work)

    async def enable(self, caller: Caller, key: Key, target_id: str) -> None:
        """It is sent what there is from now on, whatever failed before. Raises NotFound, Conflict."""

        async def work(connection: Connection, target_id: str) -> None:
            await _own(connection, caller, target_id)
            await connection.execute(_SQL["enable"], target_id)
            await note(connection, caller, "target.enable", targetId=target_id)

        await once(self._database, caller.account_id, key, target_id, work)

    async def _rotate(self, connection: Connection, target_id: str, hours: int) -> None:
        rows = await connection.fetch(_SQL["signed_alike"], target_id)
        secret = make_secret()
        anew = [
            self._keyring.seal(secret, place_of(row["account_id"], row["id"], "secret")).value for row in rows
        ]
        before = [self._before(row) if hours else None for row in rows]
        held = [row["id"] for row in rows]
        await connection.execute(_SQL["rotate"], held, anew, before, self._keyring.newest(), hours)

    def _before(self, row: asyncpg.Record) -> bytes | None:
        """The secret of now, sealed as the one before; one that no key opens signs no more."""
        try:
            secret = opened(self._keyring, row, "secret")
        except SecretUnusable:
            return None
        return self._keyring.seal(secret, place_of(row["account_id"], row["id"], "previous")).value


async def _own(connection: Connection, caller: Caller, target_id: str) -> asyncpg.Record:
    """A target, held until the transaction ends. Raises NotFound, and Conflict for one that was removed."""
    row = await connection.fetchrow(_SQL["own"], caller.account_id, target_id)
    if row is None:
        raise NotFound
    if row["removed_at"] is not None:
        raise Conflict("Its task or trigger names this target no more: set it there again first.")
    return row
