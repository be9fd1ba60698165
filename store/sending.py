"""Deliveries on their way: what is to be done for them, and their attempts, each under a fence."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import NamedTuple

import asyncpg

from domain import attempt, letter
from domain.attempt import Came, Pace, Verdict
from domain.delivery import DeliveryState, TargetKind
from domain.errors import Stale
from domain.mail import Letter
from domain.plans import DeliveryInput, Errand
from domain.webhook import Webhook
from store.database import Connection, Database
from store.keyring import Keyring
from store.queries import load
from store.targets import Part, opened

_SQL = load("sending")
BATCH = 50
COUNTED = 50_000
"""The most deliveries that a look at them counts of each state."""
_TARGETS = 500
"""The most that one claim goes through in search of what a crowd stands before."""
_MUCH_ROOM = 2
"""So many more begin after one that arrived: who was down meets no crowd."""


class Hold(NamedTuple):
    """What an attempt writes with, while it is the newest of its delivery."""

    delivery_id: str
    round: int
    number: int
    fence: int
    holder: str
    where: tuple[str, ...]
    """Where its target was when it was taken."""


class Taken(NamedTuple):
    """An attempt that may be made now, and what it sends."""

    hold: Hold
    account_id: str
    target: asyncpg.Record
    delivery: asyncpg.Record

    @property
    def kind(self) -> TargetKind:
        kind: TargetKind = self.target["kind"]
        return kind


class Turn(NamedTuple):
    """What there is to do for a delivery now: an attempt, or to come back, or nothing any more."""

    taken: Taken | None = None
    seconds: float = 0.0
    """Until it is looked at again, if nothing is taken and it is not over."""
    over: bool = False
    gave_up: TargetKind | None = None
    """Of what kind it is, if it was given up just now."""


class Due(NamedTuple):
    """A delivery to be looked after."""

    errand: Errand
    fresh: bool
    """Nobody has started it yet."""
    due: bool
    """Its next attempt is."""


class Noted(NamedTuple):
    """What became of a delivery by an attempt."""

    state: DeliveryState | None
    """None: of one that was over, or removed, before it."""
    seconds: float = 0.0
    """Until its next attempt, if it is pending."""
    code: str | None = None
    next: tuple[Due, ...] = ()
    """Deliveries whose turn has come with its end: their plans are to be started, or told."""


class Sending:
    def __init__(self, database: Database, keyring: Keyring) -> None:
        self._database = database
        self._keyring = keyring
        self._past = ""

    async def take(self, input: DeliveryInput, fence: int, holder: str, pace: Pace) -> Turn:
        """Begins an attempt, if it is time for one and its target has a place for it.

        Raises Stale where a newer attempt is under way.
        """

        async def work(connection: Connection) -> Turn:
            target = await connection.fetchrow(_SQL["hold_target"], input.delivery_id)
            row = await connection.fetchrow(_SQL["hold"], input.delivery_id, attempt.LEFT_SECONDS)
            if target is None or row is None or row["state"] != "pending" or row["round"] != input.round:
                return Turn(over=True)
            where = _where(target)
            if (row["fence"], row["holder"]) == (fence, holder):
                # The commit whose outcome was unknown did happen.
                return _taken(target, row, Hold(row["id"], row["round"], row["number"], fence, holder, where))
            if row["fence"] >= fence:
                raise Stale
            if _owed(target, row) == ():
                await connection.execute(_SQL["delivered"], row["id"], None, 0)
                return Turn(over=True)
            if (code := _hopeless(target, row, pace)) is not None:
                await connection.execute(_SQL["give_up"], row["id"], code)
                return Turn(over=True, gave_up=target["kind"])
            seconds = await self._wait(connection, target, row)
            if seconds > 0:
                return Turn(seconds=seconds)
            hold = Hold(row["id"], row["round"], row["number"] + 1, fence, holder, where)
            begun = (target["id"], hold.number, fence, holder, attempt.LEFT_SECONDS)
            await connection.execute(_SQL["begin"], row["id"], *begun)
            return _taken(target, row, hold)

        return await self._database.transact(work)

    async def _wait(self, connection: Connection, target: asyncpg.Record, row: asyncpg.Record) -> float:
        """Seconds until it is looked at again; 0: its attempt may begin."""
        seconds: float = row["early"]
        if seconds > 0:
            return seconds
        if (seconds := _unseen(target, row)) > 0:
            await connection.execute(_SQL["put_off"], row["id"], seconds, False)
        elif not _has_place(target, row):
            waiting = await connection.fetchval(_SQL["waiting"], target["id"])
            seconds = target["closed"] + attempt.turn(waiting)
            await connection.execute(_SQL["put_off"], row["id"], seconds, True)
        return seconds

    def webhook(self, taken: Taken) -> Webhook:
        """What a webhook's attempt sends. Raises SecretUnusable."""
        target, row = taken.target, taken.delivery
        parts: tuple[Part, ...] = ("secret", "previous")
        secrets = [opened(self._keyring, target, part) for part in parts if target[part] is not None]
        headers = target["headers"] and opened(self._keyring, target, "headers")
        return Webhook(
            delivery_id=row["id"],
            url=target["url"],
            headers=json.loads(headers.get_secret_value()) if headers else (),
            secrets=tuple(secrets),
            body=row["body"],
        )

    def letter(self, taken: Taken) -> Letter:
        """What an e-mail's attempt sends."""
        target, row = taken.target, taken.delivery
        return Letter(
            delivery_id=row["id"],
            to=tuple(target["recipients"]),
            only=_owed(target, row),
            subject=target["subject"] or letter.subject(row["type"], target["name"]),
            text=letter.text(row["body"]),
            at=row["created_at"],
        )

    async def note(self, hold: Hold, came: Came, pace: Pace) -> Noted:
        """Ends an attempt. Raises Stale where a newer one is under way: then nothing is noted."""

        async def work(connection: Connection) -> Noted:
            target = await connection.fetchrow(_SQL["hold_target"], hold.delivery_id)
            mine = (hold.delivery_id, hold.fence, hold.holder, hold.number)
            row = await connection.fetchrow(_SQL["noted"], *mine, attempt.LEFT_SECONDS, attempt.SLOTS)
            if target is None or row is None:
                if await connection.fetchval(_SQL["there"], hold.delivery_id):
                    raise Stale
                return Noted(None)
            if row["noted"]:
                return Noted(row["state"], max(row["early"], 0))
            if row["state"] != "pending" or row["round"] != hold.round:
                # It was given up meanwhile, perhaps with all of its words.
                await _end(connection, hold, came.model_copy(update={"headers": {}, "body": None}))
                return Noted(None)
            await _end(connection, hold, came)
            here = hold.where == _where(target)
            # Where it is now it is tried at once.
            heard, attempts = (came, row["attempts"] + 1) if here else (came.elsewhere, 0)
            become = attempt.verdict(heard, attempts, pace)
            await _become(connection, hold, came, become)
            felt = came if here else Came(ours=True)
            room = min(await _feel(connection, target, felt, row["counts"], pace), row["room"])
            next_ = await connection.fetch(_SQL["hand_on"], target["id"], room) if room > 0 else []
            return Noted(become.state, become.seconds, become.code, tuple(_due(one) for one in next_))

        return await self._database.transact(work)

    async def due(self) -> tuple[Sequence[Due], bool]:
        """Deliveries that somebody has to look after, for the first worker that asks; whether there may be
        more."""
        slots = (attempt.LEFT_SECONDS, attempt.SLOTS, attempt.FAILURES)
        rows = await self._database.fetch(_SQL["due"], BATCH, *slots, self._past, _TARGETS)
        self._past = rows[0]["past"] if rows else ""
        return [_due(row) for row in rows if not row["waits"]], len(rows) >= BATCH

    async def soon(self, delivery_ids: Sequence[str]) -> None:
        """Nobody could look after these: they are due again in a second."""
        await self._database.execute(_SQL["soon"], delivery_ids)

    async def lost(self, errand: Errand) -> TargetKind | None:
        """Gives one up whose plan was closed by somebody; of what kind it was, None if it was over before."""
        kind: TargetKind | None = await self._database.fetchval(_SQL["lost"], *errand.key)
        return kind

    async def counted(self) -> dict[DeliveryState, int]:
        """How many have not arrived, of all accounts."""
        rows = await self._database.fetch(_SQL["counted"], COUNTED)
        return {row["state"]: row["deliveries"] for row in rows}


def _due(row: asyncpg.Record) -> Due:
    return Due(Errand(**{name: row[name] for name in Errand.model_fields}), row["fresh"], row["due"])


def _where(target: asyncpg.Record) -> tuple[str, ...]:
    return (target["url"],) if target["kind"] == "webhook" else tuple(target["recipients"])


def _taken(target: asyncpg.Record, row: asyncpg.Record, hold: Hold) -> Turn:
    return Turn(Taken(hold, row["account_id"], target, row))


def _owed(target: asyncpg.Record, row: asyncpg.Record) -> tuple[str, ...] | None:
    """Who is still to get a letter that others have; None: nobody is known to have it. Whom its target names
    no more is owed nothing; of whom it names since, nobody said that they get it."""
    if row["owed"] is None:
        return None
    return tuple(address for address in row["owed"] if address in target["recipients"])


def _hopeless(target: asyncpg.Record, row: asyncpg.Record, pace: Pace) -> str | None:
    """Why no attempt will be made any more."""
    if target["removed_at"] is not None:
        return "TARGET_REMOVED"
    if target["disabled_at"] is not None:
        return "TARGET_DISABLED"
    # Where nothing is in its way it is tried, however late: all may have been down here.
    late = row["age"] > pace.patience and row["early"] <= 0 and not _has_place(target, row)
    return "EXHAUSTED" if late or row["begun"] >= pace.most else None


def _unseen(target: asyncpg.Record, row: asyncpg.Record) -> float:
    """Seconds until an e-mail is sent again that may have been sent: nobody saw what came of it."""
    if target["kind"] == "webhook" or row["open_for"] is None:
        return 0
    return attempt.UNKNOWN_SECONDS - float(row["open_for"])


def _has_place(target: asyncpg.Record, row: asyncpg.Record) -> bool:
    """A target that has failed too often is left alone, and then asked by one attempt at a time."""
    failing = target["failures"] >= attempt.FAILURES
    busy: int = row["busy"]
    return not target["closed"] and busy < (1 if failing else attempt.SLOTS)


async def _end(connection: Connection, hold: Hold, came: Came) -> None:
    told = (came.status, came.code, came.headers, came.body)
    await connection.execute(_SQL["end_attempt"], hold.delivery_id, hold.number, *told)


async def _become(connection: Connection, hold: Hold, came: Came, become: Verdict) -> None:
    owed = list(came.owed) or None
    if become.state == "delivered":
        await connection.execute(_SQL["delivered"], hold.delivery_id, become.code, 1)
    elif become.state == "dead":
        await connection.execute(_SQL["died"], hold.delivery_id, become.code, owed)
    else:
        await connection.execute(_SQL["failed"], hold.delivery_id, become.code, become.seconds, owed)


async def _feel(connection: Connection, target: asyncpg.Record, came: Came, counts: bool, pace: Pace) -> int:
    """What an attempt says of its held target; how many others may begin there after it.

    `counts`: it was begun after the target was left alone last.
    """
    if came.gone:
        # The others hear of it by and by.
        await connection.execute(_SQL["disable"], target["id"], "TARGET_GONE")
        return 0
    if came.taken:
        await connection.execute(_SQL["target_works"], target["id"])
        return _MUCH_ROOM
    failures: int = target["failures"]
    if counts and not came.ours:
        failures += 1
        await connection.execute(_SQL["target_fails"], target["id"], failures, pace.pause(failures))
    return int(failures < attempt.FAILURES)
