"""Triggers: made, read, changed and removed, each with the hidden task that holds its schedule."""

from __future__ import annotations

import contextlib
import json
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

import asyncpg
from pydantic import SecretStr

from domain import ids
from domain.accept import Key
from domain.account import Caller
from domain.destination import OwnTargets
from domain.errors import NotFound, SecretUnusable
from domain.meta import check as check_meta
from domain.paging import PAGE_BYTES, Page
from domain.run import Ending
from domain.task import Task
from domain.trigger import SECRET_BYTES, Shown, Trigger
from domain.verification import Verification, check_secret
from store.accept import check_owned
from store.admission import Admission
from store.aliases import unique
from store.audit import note
from store.claims import once
from store.database import Connection, Database
from store.keyring import Keyring, Place, Sealed
from store.occurrences import Settled, to_the_end
from store.queries import load, ordered
from store.targets import Owner, Targets
from store.task_runs import TaskRuns, end_all, hold_task
from store.tasks import BATCH, Ended, after, alter, claim, make, remove, repeat
from store.trigger_runs import columns, trigger_of
from store.turns import Stopped

_SQL = load("triggers")
_PARSED = ("verification", "event_id", "ordering_key")
_WRITTEN = (
    *("alias", "name", "description", "meta", "bot_id", "authenticate"),
    *("verification", "event_id", "ordering_key", "session_duration"),
)
_OF_SCHEDULE = ("schedule", "timezone")
_USUAL: dict[str, Any] = {"authenticate": True}
"""What null stands for, where it is not nothing."""


PIECE = 500
"""Rows of a kind that one transaction takes of what hangs on a trigger: a body may be a megabyte."""


class Known(NamedTuple):
    """What the door for events has to know of a trigger. Of the secrets only what is asked of a source."""

    trigger: Trigger
    secret: SecretStr | None
    """What the source shows as its bearer token; None where it is to sign, or may be anybody."""
    signing: tuple[SecretStr, ...]
    """With what it signs; none where it does not."""

    @property
    def account_id(self) -> str:
        return self.trigger.account_id


class Triggers:
    def __init__(
        self,
        database: Database,
        admission: Admission,
        runs: TaskRuns,
        targets: Targets,
        keyring: Keyring,
    ) -> None:
        self._database = database
        self._admission = admission
        self._runs = runs
        self._targets = targets
        self._keyring = keyring

    async def create(self, caller: Caller, key: Key, given: dict[str, Any], shortest: int) -> str:
        """Makes a trigger with a secret of its own; `signing` is the secrets of its source, None where it
        does not sign. Two runs of its schedule are `shortest` ms apart at least.

        Raises BadRequest, Conflict, NotFound, and NotServed where there is no key to keep secrets under.
        """
        self._keyring.newest()
        filled = _filled(_USUAL | given) | {"meta": given.get("meta") or {}}
        _check(given)

        async def work(connection: Connection, trigger_id: str) -> None:
            await check_owned(connection, caller.account_id, given)
            values = [filled.get(column) for column in _WRITTEN]
            place = Place(caller.account_id, trigger_id, "trigger.secret")
            secret = self._keyring.seal(SecretStr(secrets.token_hex(SECRET_BYTES)), place)
            sealed = (*secret, *self._signing(given, place))
            await connection.execute(_SQL["create"], trigger_id, caller.account_id, *values, *sealed)
            task = _of_task(given) | {"trigger_id": trigger_id}
            await make(connection, caller.account_id, ids.task(), task, shortest)
            about = {"triggerId": trigger_id, "botId": given.get("bot_id")}
            await note(connection, caller, "trigger.create", **about)
            await self._targets.set(connection, caller, Owner("trigger", trigger_id), given.get("delivery"))

        with unique("trigger"):
            return await once(self._database, caller.account_id, key, ids.trigger(), work)

    async def known(self, trigger_id: str) -> Known | None:
        """By its id alone, as a source names it. Raises SecretUnusable where no key opens what it needs."""
        row = await self._database.fetchrow(_SQL["known"], trigger_id)
        if row is None:
            return None
        asked = row["authenticate"] and row["verification"] is None
        secret = _secret(self._keyring, row) if asked else None
        return Known(trigger_of(row), secret, _signing(self._keyring, row))

    async def fetch(self, account_id: str, trigger_id: str) -> Shown:
        row = await self._database.fetchrow(_SQL["fetch"], account_id, trigger_id)
        if row is None:
            raise NotFound
        targets = await self._targets.of_owners(account_id, "trigger", [trigger_id], secrets=True)
        return self._shown(row, targets)

    async def list(
        self, account_id: str, page: Page, meta: dict[str, Any], bots: Sequence[str] | None = None
    ) -> Sequence[Shown]:
        query = ordered(_SQL["list"], ascending=page.ascending)
        rows = await self._database.fetch(query, account_id, page.after, page.take, meta, bots, PAGE_BYTES)
        targets = await self._targets.of_owners(account_id, "trigger", [row["id"] for row in rows])
        return [self._shown(row, targets) for row in rows]

    async def update(self, caller: Caller, trigger_id: str, given: dict[str, Any], shortest: int) -> Settled:
        """Changes the given columns only; null clears one or puts its default back, meta is merged. What was
        due before is decided as it was said before: that is returned.

        Raises BadRequest, Conflict, NotFound, and NotServed where there is no key to seal secrets under.
        """
        _check(given)
        filled = _filled(given)
        values = [filled.get(column) for column in _WRITTEN]
        signing = self._signing(given, Place(caller.account_id, trigger_id))

        async def work(connection: Connection) -> Settled:
            await check_owned(connection, caller.account_id, given)
            task = await _hold(connection, caller, trigger_id, "hold")
            settled = await alter(connection, self._runs, task, _of_task(given), shortest)
            if not settled.left:
                columns = (list(given), *values, *signing)
                check_meta(await connection.fetchval(_SQL["update"], trigger_id, *columns))
                await note(connection, caller, "trigger.update", triggerId=trigger_id)
                own = Owner("trigger", trigger_id)
                await self._targets.set(connection, caller, own, given.get("delivery"))
            return settled

        with unique("trigger"):
            return await to_the_end(self._database, work)

    async def delete(self, caller: Caller, trigger_id: str) -> Sequence[Stopped]:
        """Ends its unfinished runs and removes it with its events and its targets; the conversations of its
        runs stay. Raises NotFound."""
        how = Ending(state="canceled", reason="deleted", by=caller)

        async def work(connection: Connection) -> Ended:
            task = await _hold(connection, caller, trigger_id, "lock")
            rows = await connection.fetch(_SQL["to_end"], trigger_id, BATCH)
            held = await end_all(connection, [row["id"] for row in rows], how)
            ended = await after(connection, self._admission, held)
            if ended.more or await _lightened(connection, trigger_id):
                return Ended(ended.stopped, more=True)
            await claim(connection, task.id)
            if not await remove(connection, task.id):
                return Ended(ended.stopped, more=True)
            await connection.execute(_SQL["delete"], trigger_id)
            await note(connection, caller, "trigger.delete", triggerId=trigger_id)
            return ended

        return await repeat(self._database, work, [])

    async def setup(self, account_id: str, trigger_id: str) -> None:
        """Has Temporal told of its schedule anew. Raises NotFound."""
        if await self._database.fetchval(_SQL["setup"], account_id, trigger_id) is None:
            raise NotFound

    def _shown(self, row: asyncpg.Record, targets: Mapping[str, OwnTargets]) -> Shown:
        secret, count = None, None
        # Who lists the others is not to be stopped by one; its door says what is wrong with it.
        with contextlib.suppress(SecretUnusable):
            secret = _secret(self._keyring, row)
            count = len(_signing(self._keyring, row)) or None
        times = {name: row[name] for name in ("last_trigger_at", "next_trigger_at")}
        delivery = targets.get(row["id"])
        return Shown(**columns(row), **times, secret=secret, secret_count=count, delivery=delivery)

    def _signing(self, given: dict[str, Any], place: Place) -> tuple[bytes | None, str | None]:
        """The secrets of its source, sealed."""
        if not given.get("signing"):
            return None, None
        words = json.dumps([secret.get_secret_value() for secret in given["signing"]])
        return self._keyring.seal(SecretStr(words), place._replace(column="trigger.signing"))


async def _hold(
    connection: Connection, caller: Caller, trigger_id: str, how: Literal["hold", "lock"]
) -> Task:
    """Locks a caller's trigger until the transaction ends, and before it its bot and its task, as a firing
    does. Raises NotFound."""
    task_id = await connection.fetchval(_SQL["hidden"], caller.account_id, trigger_id)
    task = None if task_id is None else await hold_task(connection, task_id)
    if task is None or await connection.fetchval(_SQL[how], trigger_id) is None:
        raise NotFound
    return task


async def _lightened(connection: Connection, trigger_id: str) -> bool:
    """Takes a piece of what hangs on a trigger, where that is too much to go with it at once."""
    gone = 0
    for name in ("forget_events", "forget_sessions", "forget_deliveries"):
        gone += await connection.fetchval(_SQL[name], trigger_id, PIECE)
    return gone > 0


def _secret(keyring: Keyring, row: asyncpg.Record) -> SecretStr:
    return keyring.open(Sealed(row["secret"], row["secret_key"]), _place(row))


def _signing(keyring: Keyring, row: asyncpg.Record) -> tuple[SecretStr, ...]:
    if row["signing"] is None:
        return ()
    place = _place(row)._replace(column="trigger.signing")
    words = keyring.open(Sealed(row["signing"], row["signing_key"]), place)
    return tuple(SecretStr(word) for word in json.loads(words.get_secret_value()))


def _place(row: asyncpg.Record) -> Place:
    return Place(row["account_id"], row["id"], "trigger.secret")


def _filled(given: dict[str, Any]) -> dict[str, Any]:
    """The given columns as they are stored, with defaults for null."""
    filled = {column: _USUAL.get(column) if value is None else value for column, value in given.items()}
    parsed = {name: filled.get(name) for name in _PARSED}
    return filled | {name: value.model_dump() for name, value in parsed.items() if value is not None}


def _of_task(given: dict[str, Any]) -> dict[str, Any]:
    """What its hidden task has of what is given. Its bot too: who removes a bot holds its tasks' and so its
    triggers' runs off."""
    return {column: given[column] for column in ("bot_id", *_OF_SCHEDULE) if column in given}


def _check(given: dict[str, Any]) -> None:
    """Raises BadRequest for secrets with which nothing could be verified."""
    how: Verification | None = given.get("verification")
    if how is not None:
        for secret in given["signing"]:
            check_secret(how, secret)
