"""Targets: set by a task, a trigger or a call, and shown."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import asyncpg
from pydantic import SecretStr

from domain import ids
from domain.account import Caller
from domain.audit import Act
from domain.base import Frozen
from domain.destination import Change, Destination, OwnerKind, OwnTargets, Said, Target
from domain.errors import Conflict, NotFound, SecretUnusable
from domain.paging import PAGE_BYTES, Page
from domain.webhook import make_secret
from store.audit import note
from store.database import Connection, Database
from store.keyring import Column, Keyring, Place, Sealed
from store.queries import load, ordered

_SQL = load("targets")
_COLUMNS = tuple({*Target.model_fields} - {"header_names", "to", "secret"})
_NOTHING = (None, None)

Part = Literal["secret", "previous", "headers"]
_COLUMN: dict[Part, Column] = {
    "secret": "target.secret",
    "previous": "target.previous",
    "headers": "target.headers",
}


class Owner(NamedTuple):
    """What a target is of; held."""

    kind: OwnerKind
    id: str

    @property
    def of(self) -> tuple[str | None, str | None]:
        """The task, the trigger."""
        return (self.id, None) if self.kind == "task" else (None, self.id)


class TargetFilter(Frozen):
    """What a list of targets is narrowed to; None narrows nothing."""

    task_ids: Sequence[str] | None = None
    trigger_ids: Sequence[str] | None = None


class Targets:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring

    async def set(self, connection: Connection, caller: Caller, owner: Owner, change: Change | None) -> None:
        """Makes, changes, removes and brings back targets of a held task or trigger.

        Raises NotServed for a webhook where there is no key to keep its secret under.
        """
        if not change:
            return
        there = {row["kind"]: row for row in await connection.fetch(_SQL["held"], *owner.of)}
        for kind, said in sorted(change.items()):
            await self._become(connection, caller, owner, said, there.get(kind))

    async def of_call(self, connection: Connection, account_id: str, said: Sequence[Said]) -> tuple[str, ...]:
        """The targets that a call names; those that are new are made.

        Raises NotServed as `set` does, and Conflict where no key opens the secret that a new one would share.
        """
        found = []
        # Always in the same order, so that no two calls wait for each other.
        for one in sorted(said, key=lambda one: one.destination.kind):
            target_id = await connection.fetchval(_SQL["said"], account_id, one.mark)
            found.append(target_id or await self._shared(connection, account_id, one))
        return tuple(found)

    async def of_owners(
        self, account_id: str, kind: OwnerKind, owner_ids: Sequence[str], *, secrets: bool = False
    ) -> dict[str, OwnTargets]:
        """Of those that have any."""
        query = _SQL["of_tasks"] if kind == "task" else _SQL["of_triggers"]
        found: dict[str, dict[str, Target]] = {}
        for row in await self._database.fetch(query, account_id, owner_ids):
            kinds = found.setdefault(row[f"{kind}_id"], {})
            kinds[row["kind"]] = self._target(row, secrets=secrets)
        return {owner_id: OwnTargets(**kinds) for owner_id, kinds in found.items()}

    async def of_run(self, account_id: str, run_id: str) -> Sequence[Target]:
        """Those that the calls have named which a run answers."""
        rows = await self._database.fetch(_SQL["of_run"], account_id, run_id)
        return [self._target(row, secrets=True) for row in rows]

    async def fetch(self, account_id: str, target_id: str) -> Target:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, target_id)
        if row is None:
            raise NotFound
        return self._target(row, secrets=True)

    async def list(self, account_id: str, page: Page, narrow: TargetFilter) -> Sequence[Target]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        of = (narrow.task_ids, narrow.trigger_ids)
        rows = await self._database.fetch(query, account_id, page.after, page.take, *of, PAGE_BYTES)
        return [self._target(row, secrets=False) for row in rows]

    async def _become(
        self,
        connection: Connection,
        caller: Caller,
        owner: Owner,
        said: Destination | None,
        row: asyncpg.Record | None,
    ) -> None:
        """What an owner has of a kind, or had, becomes what is said."""
        about = {f"{owner.kind}Id": owner.id}
        if said is None:
            if row is not None and not row["removed"]:
                await connection.execute(_SQL["remove"], row["id"])
                await note(connection, caller, "target.remove", targetId=row["id"], **about)
        elif row is None:
            made = await self._make(connection, (caller.account_id, *owner.of, None), said)
            await note(connection, caller, "target.create", targetId=made, **about)
        else:
            await self._change(connection, caller.account_id, row, said)
            act: Act = "target.create" if row["removed"] else "target.update"
            await note(connection, caller, act, targetId=row["id"], **about)

    async def _change(
        self, connection: Connection, account_id: str, row: asyncpg.Record, said: Destination
    ) -> None:
        to = None if said.to is None else list(said.to)
        anew = row["removed"] or row["url"] != said.url or row["recipients"] != to
        headers = self._headers(account_id, row["id"], said)
        await connection.execute(
            _SQL["set"], row["id"], list(said.events), said.url, to, said.subject, *headers, anew
        )

    async def _shared(self, connection: Connection, account_id: str, said: Said) -> str:
        """Makes the target of a call, which those that say the same will share."""
        url = said.destination.url
        await connection.execute(_SQL["alone"], account_id, url or said.mark.hex())
        meanwhile = await connection.fetchval(_SQL["said"], account_id, said.mark)
        if meanwhile is not None:
            return str(meanwhile)
        row = None if url is None else await connection.fetchrow(_SQL["neighbour"], account_id, url)
        of = (account_id, None, None, said.mark)
        try:
            return await self._make(connection, of, said.destination, row)
        except SecretUnusable as trouble:
            raise Conflict(trouble.message) from None

    async def _make(
        self,
        connection: Connection,
        of: tuple[str, str | None, str | None, bytes | None],
        said: Destination,
        neighbour: asyncpg.Record | None = None,
    ) -> str:
        """`of`: account, and task, trigger, or hash of what a call has said. It has a neighbour's secret."""
        target_id, (account_id, *belongs) = ids.target(), of
        secrets = self._secrets(account_id, target_id, neighbour) if said.kind == "webhook" else (None,) * 5
        await connection.execute(
            _SQL["create"],
            target_id,
            account_id,
            *belongs,
            said.kind,
            list(said.events),
            said.url,
            None if said.to is None else list(said.to),
            said.subject,
            *self._headers(account_id, target_id, said),
            *secrets,
        )
        return target_id

    def _headers(self, account_id: str, target_id: str, said: Destination) -> tuple[Any, Any]:
        if not said.headers:
            return _NOTHING
        text = SecretStr(json.dumps(said.headers))
        return self._keyring.seal(text, place_of(account_id, target_id, "headers"))

    def _secrets(self, account_id: str, target_id: str, neighbour: asyncpg.Record | None) -> tuple[Any, ...]:
        """A new one's, sealed: its own, the one before it, and until when that signs too. Raises NotServed,
        SecretUnusable."""
        self._keyring.newest()
        place = place_of(account_id, target_id, "secret")
        if neighbour is None:
            return (*self._keyring.seal(make_secret(), place), *_NOTHING, None)
        sealed = self._keyring.seal(opened(self._keyring, neighbour, "secret"), place)
        if neighbour["previous"] is None:
            return (*sealed, *_NOTHING, None)
        before = opened(self._keyring, neighbour, "previous")
        resealed = self._keyring.seal(before, place_of(account_id, target_id, "previous"))
        return (*sealed, *resealed, neighbour["previous_until"])

    def _target(self, row: asyncpg.Record, *, secrets: bool) -> Target:
        return Target(
            **{column: row[column] for column in _COLUMNS},
            to=row["recipients"],
            header_names=[name for name, _ in json.loads(self._shown(row, "headers") or "[]")],
            secret=self._shown(row, "secret") if secrets else None,
        )

    def _shown(self, row: asyncpg.Record, what: Part) -> str | None:
        """What can be shown of a sealed value; of one that no key opens nothing."""
        try:
            return None if row[what] is None else opened(self._keyring, row, what).get_secret_value()
        except SecretUnusable:
            return None


def opened(keyring: Keyring, row: asyncpg.Record, what: Part) -> SecretStr:
    """A sealed part of a target's row; the headers are a JSON list of pairs. Raises SecretUnusable."""
    sealed = Sealed(row[what], row[f"{what}_key"])
    return keyring.open(sealed, place_of(row["account_id"], row["id"], what))


def place_of(account_id: str, target_id: str, what: Part) -> Place:
    return Place(account_id, target_id, _COLUMN[what])
