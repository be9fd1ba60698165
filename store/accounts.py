"""Accounts and their API keys: only a key's hash is kept."""

from __future__ import annotations

import asyncpg

from domain import ids
from domain.account import Caller, key_hash, new_key
from domain.errors import NotAuthenticated, NotFound
from store.database import Database
from store.queries import load

_SQL = load("accounts")


class Accounts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, name: str) -> str:
        account_id = ids.account()
        await self._database.execute(_SQL["create"], account_id, name)
        return account_id

    async def create_key(self, account_id: str, name: str) -> str:
        """Makes a key and returns it: the only time anybody sees it."""
        if await self._database.fetchval(_SQL["exists"], account_id) is None:
            raise NotFound("There is no such account; `python -m store account create` makes one.")
        key = new_key()
        await self._database.execute(_SQL["create_key"], ids.api_key(), account_id, name, key_hash(key))
        return key

    async def keys(self, account_id: str) -> list[asyncpg.Record]:
        return await self._database.fetch(_SQL["keys"], account_id)

    async def revoke_key(self, key_id: str) -> None:
        """Closes a key's door from its next request on; what it started goes on."""
        if await self._database.fetchval(_SQL["revoke_key"], key_id) is None:
            raise NotFound("There is no such key; `python -m store key list` shows them.")

    async def caller(self, key: str) -> Caller:
        row = await self._database.fetchrow(_SQL["caller"], key_hash(key))
        if row is None:
            raise NotAuthenticated
        return Caller(**row)
