"""Secrets: kept sealed, listed without their values, revealed to whoever sends them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.errors import BadRequest, NotFound, SecretUnusable
from domain.meta import check as check_meta
from domain.paging import PAGE_BYTES, Page
from domain.secret import Revealed, Secret, SecretType, check
from store.aliases import unique
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.keyring import Keyring, Place, Sealed
from store.queries import load, ordered

_SQL = load("secrets")
_COLUMNS = tuple(Secret.model_fields)
_WRITTEN = ("name", "description", "meta", "alias", "type")
_ANOTHER_TYPE = (
    "type: the value that is there was given for another type; send it along, or clear it with null."
)


class Secrets:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def create(self, caller: Caller, key: Key, given: dict[str, Any]) -> str:
        """Makes a secret; without `value` it has none yet. Raises BadRequest, Conflict, and NotServed where
        there is no key to keep secrets under."""
        self._keyring.newest()
        filled = {"type": "plain"} | given | {"meta": given.get("meta") or {}}
        _check(filled["type"], given)

        async def work(connection: Connection, secret_id: str) -> None:
            sealed = self._sealed(given, Place(caller.account_id, secret_id))
            values = [filled.get(column) for column in _WRITTEN]
            await connection.execute(_SQL["create"], secret_id, caller.account_id, *values, *sealed)
            await note(connection, caller, "secret.create", secretId=secret_id)

        with unique("secret"):
            return await once(self._database, caller.account_id, key, ids.secret(), work)

    async def fetch(self, account_id: str, secret_id: str) -> Secret:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, secret_id)
        if row is None:
            raise NotFound
        return Secret(**row)

    async def list(self, account_id: str, page: Page, meta: dict[str, Any]) -> Sequence[Secret]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, PAGE_BYTES)
        return [Secret(**{column: row[column] for column in _COLUMNS}) for row in rows]

    async def update(self, caller: Caller, secret_id: str, given: dict[str, Any]) -> None:
        """Changes the given columns only; null clears one, meta is merged. Another type comes with its value.

        Raises BadRequest, Conflict, NotFound, and NotServed where there is no key to seal a value under.
        """
        place = Place(caller.account_id, secret_id)

        async def work(connection: Connection) -> None:
            row = await connection.fetchrow(_SQL["lock"], caller.account_id, secret_id)
            if row is None:
                raise NotFound
            if "value" not in given and row["filled"] and given.get("type", row["type"]) != row["type"]:
                raise BadRequest(_ANOTHER_TYPE)
            _check(given.get("type", row["type"]), given)
            values = [given.get(column) for column in _WRITTEN]
            sealed = self._sealed(given, place)
            check_meta(await connection.fetchval(_SQL["update"], secret_id, list(given), *values, *sealed))
            await note(connection, caller, "secret.update", secretId=secret_id)

        with unique("secret"):
            await self._database.transact(work)

    async def delete(self, caller: Caller, secret_id: str) -> None:
        """Whatever refers to it stays, and is told at its next use that it is gone."""

        async def work(connection: Connection) -> None:
            if await connection.fetchval(_SQL["delete"], caller.account_id, secret_id) is None:
                raise NotFound
            await note(connection, caller, "secret.delete", secretId=secret_id)

        await self._database.transact(work)

    async def reveal(self, account_id: str, secret_id: str) -> Revealed:
        """The value, for whoever sends it now; `domain.secret.header` says how. It is to be kept nowhere.

        Raises NotFound, and SecretUnusable for one that has no value or that no key opens.
        """
        place = Place(account_id, secret_id)
        row = await self._database.fetchrow(_SQL["reveal"], account_id, secret_id)
        if row is None:
            raise NotFound(f"There is no secret {secret_id} in this account; name another one, or none.")
        if row["value"] is None:
            raise SecretUnusable(f"Secret {secret_id} has no value yet; set one with secret/update.")
        value = self._keyring.open(Sealed(row["value"], row["key"]), place)
        return Revealed(type=row["type"], value=value)

    def _sealed(self, given: dict[str, Any], place: Place) -> tuple[bytes | None, str | None]:
        value: SecretStr | None = given.get("value")
        return (None, None) if value is None else self._keyring.seal(value, place)


def _check(type_: SecretType, given: dict[str, Any]) -> None:
    if given.get("value") is not None:
        check(type_, given["value"])
