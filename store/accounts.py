"""Accounts and their API keys: only a key's hash is kept."""

from __future__ import annotations

import asyncpg

from domain import ids
from domain.account import Caller, key_hash, new_key, operator
from domain.errors import NotAuthenticated, NotFound
from store.audit import note
from store.database import Connection, Database
from store.queries import load

_SQL = load("accounts")


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> str:
        account_id = ids.account()

        async def work(connection: Connection) -> None:
            await connection.execute(_SQL["create"], account_id, name)
            await note(connection, operator(account_id), "account.create")

        await self._database.transact(work)
        return account_id

    async def create_key(self, account_id: str, name: str) -> str:
        """Makes a key and returns it: the only time anybody sees it."""
        key, key_id = new_key(), ids.api_key()

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["exists"], account_id) is None:
                raise NotFound("There is no such account; `python -m store account create` makes one.")
            await connection.execute(_SQL["create_key"], key_id, account_id, name, key_hash(key))
            await note(connection, operator(account_id), "key.create", keyId=key_id)

        await self._database.transact(work)
        return key

    async def keys(self, account_id: str) -> list[asyncpg.Record]:
        return await self._database.fetch(_SQL["keys"], account_id)

    async def revoke_key(self, key_id: str) -> None:
        """Closes a key's door from its next request on; what it started goes on. Again changes nothing."""

        async def work(connection: Connection) -> None:
            account_id = await connection.fetchval(_SQL["revoke_key"], key_id)
            if account_id is not None:
                await note(connection, operator(account_id), "key.revoke", keyId=key_id)
            elif await connection.fetchval(_SQL["key_exists"], key_id) is None:
                raise NotFound("There is no such key; `python -m store key list` shows them.")

        await self._database.transact(work)

    async def key_opens(self, key_id: str) -> bool:
        """Whether a key is there and not revoked."""
        return await self._database.fetchval(_SQL["key_opens"], key_id) is not None

    async def caller(self, key: str, address: str | None) -> Caller:
        """Who calls with this key from this address. Raises NotAuthenticated, which the audit log tells."""
        row = await self._database.fetchrow(_SQL["caller"], key_hash(key))
        if row is None:
            await self._database.execute(_SQL["refused"], ids.entry(), key_hash(key), address)
            raise NotAuthenticated
        return Caller(**row, address=address)
