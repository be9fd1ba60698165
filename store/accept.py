"""Accepting a run: the key, the owner, the policy and the row, in one transaction."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from domain import ids
from domain.accept import Accepted, Work
from domain.account import Caller
from domain.audit import by
from domain.errors import Conflict, NotFound, Unavailable
from domain.plans import Plan
from domain.run import Ending, Run, Stop, interrupted, rolled_back
from store import contacts, ending, merging
from store.admission import Admission
from store.claims import claim, repoint
from store.database import Connection, Database, OutcomeUnknown
from store.held import hold
from store.limits import Limits
from store.queries import load
from store.runs import Runs
from store.targets import Targets
from store.turns import plan_of

_SQL = load("accept")
_OWNED = {
    "skillset": _SQL["owned_skillset"],
    "bot": _SQL["owned_bot"],
    "contact": _SQL["owned_contact"],
    "task": _SQL["owned_task"],
}
"""What a body may name, in the order in which it is locked."""

SETTLE_SECONDS = 20.0
"""How long a call whose commit nobody saw the end of waits for Postgres to tell: most restarts take less."""
_PAUSE = 0.2

_ENDS: dict[str, Callable[[Caller], Ending]] = {"interrupt": interrupted, "rollback": rolled_back}


class _Policy(NamedTuple):
    on_busy: str
    gathers: bool = False
    """A turn of the conversation may be gathering calls before it begins."""


class _Way(NamedTuple):
    """What has become of the other turns of a call's conversation, and so of its own."""

    canceled: tuple[Plan, ...] = ()
    stopped: Stop = "interrupted"
    """How they were ended."""
    joins: str | None = None
    """The turn it is part of."""


class Accept:
    def __init__(
        self, database: Database, runs: Runs, admission: Admission, limits: Limits, targets: Targets
    ) -> None:
        self._database = database
        self._runs = runs
        self._caps = admission.caps
        self._limits = limits
        self._targets = targets

    async def run(self, work: Work) -> Accepted:
        """Makes a run durable, or finds the one made under the same key.

        Raises NotFound (conversation, skillset, bot, contact or secret), Conflict (another body under the
        key, or a busy conversation), LimitsReached, Unavailable (nothing was done), OutcomeUnknown
        (Postgres went away and stays away), and NotServed where no key keeps the secret of a webhook.
        """
        try:
            return await self._database.transact(lambda connection: self._accept(connection, work))
        except OutcomeUnknown:
            return Accepted(run=await self.found(work.account_id, work.run_id))

    async def found(self, account_id: str, run_id: str) -> Run:
        """After a commit nobody saw the end of, the id made beforehand tells; the sweeper starts the run."""
        ends = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                return await self._runs.fetch(account_id, run_id)
            except NotFound:
                raise Unavailable(retry_after=1) from None
            except Unavailable:
                if time.monotonic() > ends:
                    raise OutcomeUnknown(retry_after=1) from None
            await asyncio.sleep(_PAUSE)

    async def enter(self, connection: Connection, work: Work) -> Accepted:
        """Makes the run of a work durable whose conversation is held or new, on a channel of nobody's.

        Raises LimitsReached.
        """
        channel_id = await connection.fetchval(_SQL["channel"], work.account_id, work.channel, work.run_id)
        await self._limits.check_day(connection, work.account_id)
        return await self._insert(connection, work, channel_id, _Way())

    async def write(self, connection: Connection, work: Work, channel_id: int, *, first: bool) -> None:
        """The same in few words, on a channel that is there; `first`: in a conversation that is new.

        Raises LimitsReached.
        """
        await self._limits.check_day(connection, work.account_id)
        await self._write(connection, work, channel_id, _Way(), first=first)

    async def _accept(self, connection: Connection, work: Work) -> Accepted:
        earlier = await claim(connection, work.account_id, work.key, work.run_id)
        if earlier is not None:
            return await self._earlier(connection, work, earlier)
        await _check_secrets(connection, work)
        work, policy = await self._resolve(connection, work)
        channel_id = await connection.fetchval(_SQL["channel"], work.account_id, work.channel, work.run_id)
        if channel_id is None:
            return await self._on_channel(connection, work)
        # Only now: what was accepted already is never refused for a limit.
        await self._limits.check_day(connection, work.account_id)
        way = await self._make_way(connection, work, policy)
        return await self._insert(connection, work, channel_id, way)

    async def _resolve(self, connection: Connection, work: Work) -> tuple[Work, _Policy]:
        """Locks the conversation; fills in its bot and contact, and its policy."""
        if work.conversation_id is None:
            named = {"bot_id": work.bot_id, "contact_id": work.contact_id}
            named["skillset_id"] = work.asked.skillset_id
            await check_owned(connection, work.account_id, named)
            if work.contact is not None:
                contact_id = await contacts.ensure(connection, work.caller, work.contact)
                work = work.model_copy(update={"contact_id": contact_id})
            return work, _Policy("enqueue")
        row = await connection.fetchrow(_SQL["conversation"], work.account_id, work.conversation_id)
        if row is None:
            raise NotFound
        changes = {"bot_id": row["bot_id"], "contact_id": row["contact_id"]}
        on_busy = work.on_busy or row["on_busy"] or "enqueue"
        return work.model_copy(update=changes), _Policy(on_busy, row["gathers"])

    async def _make_way(self, connection: Connection, work: Work, policy: _Policy) -> _Way:
        """What the policy asks while other runs of the conversation are unfinished."""
        steers = policy.on_busy == "steer"
        if steers or (policy.on_busy == "enqueue" and policy.gathers):
            return _Way(joins=await merging.turn_to_join(connection, work, steers=steers))
        if policy.on_busy == "enqueue" or work.conversation_id is None:
            return _Way()
        unfinished = [row["id"] for row in await connection.fetch(_SQL["unfinished"], work.conversation_id)]
        if policy.on_busy in _ENDS:
            return await self._end(connection, unfinished, _ENDS[policy.on_busy](work.caller))
        if unfinished:
            raise Conflict(
                "The conversation is busy: wait for its run, or ask with another onBusy.",
                run_id=unfinished[0],
            )
        return _Way()

    async def _end(self, connection: Connection, unfinished: Sequence[str], how: Ending) -> _Way:
        canceled = []
        for run_id in unfinished:
            held = await hold(connection, run_id, conversation=False)
            if held is not None and held.open:
                await ending.stop(connection, held, how)
                canceled.append(plan_of(held))
        return _Way(tuple(canceled), how.reason)

    async def _insert(self, connection: Connection, work: Work, channel_id: int, way: _Way) -> Accepted:
        await self._write(connection, work, channel_id, way)
        run = await self._runs.fetch(work.account_id, work.run_id, connection)
        return Accepted(run=run, cancel=way.canceled, stopped=way.stopped)

    async def _write(
        self, connection: Connection, work: Work, channel_id: int, way: _Way, *, first: bool = False
    ) -> None:
        targets = await self._targets.of_call(connection, work.account_id, work.destinations)
        waits = await connection.fetchval(
            _SQL["insert_run"],
            work.run_id,
            work.account_id,
            work.kind,
            work.lane,
            work.conversation_id,
            work.bot_id,
            work.contact_id,
            channel_id,
            workflow_id(work),
            work.asked.model_dump_json(exclude_defaults=True),
            work.key.fingerprint,
            work.key.value is not None,
            *self._caps,
            ids.entry(),
            work.about,
            by(work.caller),
            work.traceparent,
            way.joins,
            work.batch_ms,
            work.asked.limits.tokens,
            work.task_id,
            work.ordering_key,
            work.workflow is not None,
            work.backfilled,
            work.trigger_id,
            list(targets) or None,
        )
        await _name_channels(connection, work)
        if waits:
            await self._limits.check_line(connection, work, first=first)

    async def _earlier(self, connection: Connection, work: Work, run_id: str) -> Accepted:
        return Accepted(run=await self._runs.fetch(work.account_id, run_id, connection), again=True)

    async def _on_channel(self, connection: Connection, work: Work) -> Accepted:
        """The named channel exists: the same call again, or somebody else's."""
        row = await connection.fetchrow(_SQL["run_of_channel"], work.account_id, work.channel)
        if row is None or row["run_id"] is None or row["fingerprint"] != work.key.fingerprint:
            raise Conflict(
                f"The channel {work.channel} is already in use by something else; choose another id."
            )
        await repoint(connection, work.account_id, work.key, row["run_id"])
        return await self._earlier(connection, work, row["run_id"])


async def check_owned(connection: Connection, account_id: str, given: Mapping[str, Any]) -> None:
    """Holds what a body names, by its columns, until the transaction ends.

    Raises NotFound when one is not the account's; all sound alike. Called before any of them is changed, and
    before a conversation is locked.
    """
    for noun, held in _OWNED.items():
        named = given.get(f"{noun}_id")
        if named and await connection.fetchval(held, account_id, named) is None:
            raise NotFound(f"{noun}Id: no such {noun} in this account.")


async def _check_secrets(connection: Connection, work: Work) -> None:
    """Raises NotFound for a secret of its own abilities that is not the account's. None is held: one that is
    deleted later is missed by the call that needs it."""
    named = sorted({ability.secret_id for ability in work.asked.abilities if ability.secret_id is not None})
    if named and await connection.fetchval(_SQL["foreign_secret"], work.account_id, named) is not None:
        raise NotFound(
            "extensions.skillsets.abilities.secretId: no such secret in this account; secret/list has yours."
        )


async def _name_channels(connection: Connection, work: Work) -> None:
    """Its functions' channels are its own from now on. Raises Conflict for one of a dispatch."""
    names = sorted({function.channel for function in work.asked.functions if function.channel is not None})
    if not names:
        return
    await connection.execute(_SQL["make_channels"], work.account_id, names)
    taken = await connection.fetchval(_SQL["name_channels"], work.account_id, names, work.run_id)
    if taken is not None:
        raise Conflict(
            f"functions: the channel {taken} carries a run's own events, and no answer is published there; "
            "name another one."
        )


def workflow_id(work: Work) -> str:
    if work.workflow is not None:
        return work.workflow
    if work.trigger_id is not None:
        return ids.trigger_workflow(work.trigger_id, work.run_id)
    if work.task_id is not None:
        return ids.task_workflow(work.task_id, work.run_id)
    call = work.asked.call
    if call is not None and call.source is not None:
        return ids.ability_workflow(call.source, work.run_id)
    if work.conversation_id is None:
        return ids.completion_workflow(work.run_id)
    return ids.turn_workflow(work.conversation_id, work.run_id)
