"""Calls of tools: asked for by a model, taken under a fence, answered once."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg

from domain import events
from domain.activity import Activity, Called, read
from domain.calls import CALLS_LIMIT, TOOL_FAILED, Outcome
from domain.conversation import NewMessage
from domain.errors import Stale
from domain.events import Event, Numbered
from domain.plans import Plan
from domain.run import Answer, Asked
from domain.toolbox import Asking, settled
from domain.tools import CALLS, Effect, Standing
from store import ability_runs
from store.database import Connection, Database
from store.ending import Done, Grip, lacking, spoken
from store.held import Held, Kept, append, hold, keep, shown
from store.queries import load
from store.together import Together
from store.turns import plan_of

_SQL = load("calls")

REFUSED = "Not called: this run has made as many calls as it may."


@dataclasses.dataclass(frozen=True, slots=True)
class TakenCall:
    """A call an attempt holds, and what it is to do."""

    grip: Grip
    attempt: int
    name: str
    arguments: dict[str, Any] | None
    """None where its request was deleted meanwhile, or has none any more that a call could be made with."""
    effect: Effect
    source: str
    interrupted: bool
    """An earlier attempt was cut off in the middle: it may have had its effect."""
    account_id: str
    asked: Asked
    plan: Plan
    begins: bool
    """The run began with this."""
    age: float
    """Seconds from the run's acceptance to this."""
    traceparent: str | None


async def standing(connection: Connection, run_id: str) -> Standing:
    row = await connection.fetchrow(_SQL["standing"], run_id)
    assert row is not None
    return Standing(**row)


async def ask(
    connection: Connection, held: Held, said: Answer, how: tuple[Done, Sequence[Numbered], int]
) -> None:
    """Stores what a model asked for in an answer that is done: each call a step, what is known at once
    answered. `how`: the answer's step, what its log may lack, the seconds a channel is waited on.
    """
    done, tail, wait_seconds = how
    asked = settled(await _within_limit(connection, held, said.calls))
    first = done.ordinal + 1
    kept = _kept(held, said, asked, done.ordinal)
    message_ids = await keep(connection, held, kept)
    by_key = dict(zip((one.key for one in kept), message_ids, strict=True))
    ordinals = range(first, first + len(asked))
    await connection.execute(
        _SQL["ask"],
        held.id,
        [*ordinals],
        [call.name for call in asked],
        [call.kind for call in asked],
        [call.effect for call in asked],
        [call.source for call in asked],
        [call.channel for call in asked],
        [_patience(call, wait_seconds) for call in asked],
        [call.last for call in asked],
        [by_key[f"{held.id}/{ordinal}/request"] for ordinal in ordinals],
        [by_key.get(f"{held.id}/{ordinal}/response") for ordinal in ordinals],
        [call.code for call in asked],
        done.iteration,
        held.account_id,
    )
    messages = [shown(held, one, message_id) for one, message_id in zip(kept, message_ids, strict=True)]
    last = [*messages, *spoken(said, done), *_begun(held, asked, first)]
    await append(connection, held.channel_id, [*lacking(held, tail), *last])
    # Only now: what is said before belongs to the attempt, what comes after to nobody.
    usage = said.usage
    await connection.execute(_SQL["asked"], held.id, held.channel_id, usage.input_tokens, usage.output_tokens)


async def answer(connection: Connection, held: Held, given: Mapping[int, Outcome]) -> None:
    """Answers calls of a held, open run, in this order; one that has an answer keeps it."""
    rows = {row["ordinal"]: row for row in await connection.fetch(_SQL["open"], held.id, [*given])}
    came = [(rows[ordinal], outcome) for ordinal, outcome in given.items() if ordinal in rows]
    if not came:
        return
    functions = [called(row) for row, _ in came]
    kept = [
        _response(held.id, row["ordinal"], function, outcome, row["model_step"])
        for (row, outcome), function in zip(came, functions, strict=True)
    ]
    message_ids = await keep(connection, held, kept)
    codes = [(outcome.code or TOOL_FAILED) if outcome.failed else None for _, outcome in came]
    await connection.execute(_SQL["answer"], held.id, [row["ordinal"] for row, _ in came], message_ids, codes)
    told: list[Event] = []
    for (row, _), function, one, message_id in zip(came, functions, kept, message_ids, strict=True):
        ended = events.operation_end(held.id, row["ordinal"], row["kind"], function)
        told += [shown(held, one, message_id), ended]
    await append(connection, held.channel_id, told)


class Calls:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._taking = Together(self._take)
        self._answering = Together(self._answer)

    async def take(self, grip: Grip) -> TakenCall | None:
        """Takes a call for this attempt. None when the run is over or the call answered.

        Raises Stale when a later attempt holds it.
        """
        return await self._taking.do(grip, None)

    async def answer(self, grip: Grip, outcome: Outcome) -> bool:
        """Commits what came of a call; returns whether that ended its run.

        Repeating it is harmless; after the run's end nothing is written.

        Raises Stale when the grip is lost.
        """
        return await self._answering.do(grip, outcome)

    async def _take(self, calls: Sequence[tuple[Grip, None]]) -> list[TakenCall | Stale | None]:
        grips = [grip for grip, _ in calls]
        run_id = grips[0].run_id

        async def work(connection: Connection) -> list[TakenCall | Stale | None]:
            held = await hold(connection, run_id, conversation=False)
            if held is None or not held.open:
                return [None] * len(grips)
            begins = held.state == "queued"
            if begins:
                await ability_runs.begin(connection, held)
            rows = await connection.fetch(_SQL["take"], run_id, *_columns(grips))
            found = {row["ordinal"]: row for row in rows}
            return [_taken(held, grip, found.get(grip.ordinal), begins) for grip in grips]

        return await self._database.transact(work)

    async def _answer(self, calls: Sequence[tuple[Grip, Outcome]]) -> list[bool | Stale]:
        grips = [grip for grip, _ in calls]
        run_id = grips[0].run_id

        async def work(connection: Connection) -> list[bool | Stale]:
            held = await hold(connection, run_id, request=False)
            if held is None or not held.open:
                return [False] * len(grips)
            ours = {row["ordinal"] for row in await connection.fetch(_SQL["ours"], run_id, *_columns(grips))}
            came = {grip.ordinal: outcome for grip, outcome in calls if grip.ordinal in ours}
            if came:
                await answer(connection, held, came)
            over = held.kind == "ability" and bool(came)
            if over:
                (outcome,) = came.values()
                await ability_runs.close(connection, held, outcome)
            return [over if grip.ordinal in ours else Stale() for grip in grips]

        return await self._database.transact(work)

    async def fail(self, grip: Grip, code: str, message: str) -> int:
        """Notes an attempt that surely had no effect, or may be repeated; returns how many have failed.

        Raises Stale when the grip is lost.
        """
        failures: int | None = await self._database.fetchval(
            _SQL["fail"], grip.run_id, grip.ordinal, grip.fence, grip.holder, code, message
        )
        if failures is None:
            raise Stale
        return failures


def _columns(grips: Sequence[Grip]) -> tuple[list[int], list[int], list[str]]:
    return (
        [grip.ordinal for grip in grips],
        [grip.fence for grip in grips],
        [grip.holder for grip in grips],
    )


def _taken(held: Held, grip: Grip, row: asyncpg.Record | None, begins: bool) -> TakenCall | Stale | None:
    """What an attempt has of a call: nothing where it is answered."""
    if row is None:
        return None
    if row["attempt"] is None:
        return Stale()
    asked = read(row["activity"])
    arguments = None if asked is None else asked.function.arguments
    return TakenCall(
        grip,
        row["attempt"],
        row["name"],
        arguments if isinstance(arguments, dict) else None,
        row["effect"],
        row["source"],
        row["interrupted"],
        held.account_id,
        held.asked,
        plan_of(held),
        begins,
        held.age,
        held.traceparent,
    )


def called(row: asyncpg.Record) -> Called:
    """What is called; without its arguments when its request was deleted, or is none any more."""
    asked = read(row["activity"])
    return Called(name=row["name"], arguments={}) if asked is None else asked.function


async def _within_limit(connection: Connection, held: Held, asked: Sequence[Asking]) -> list[Asking]:
    """Calls over the run's limit are answered with that; how its agent ends it is heard all the same."""
    made = (await standing(connection, held.id)).calls
    left = max((held.asked.limits.calls or CALLS) - made, 0)
    refused = {"answered": True, "failed": True, "code": CALLS_LIMIT, "result": REFUSED, "last": False}
    return [
        call if at < left or (call.kind == "settle" and call.last) else call.model_copy(update=refused)
        for at, call in enumerate(asked)
    ]


def _kept(held: Held, said: Answer, asked: Sequence[Asking], ordinal: int) -> list[Kept]:
    """The messages of an answer with calls: what was said, what is asked, what is known at once."""
    kept = []
    if said.text.strip():
        message = NewMessage(type="bot", text=said.text)
        kept.append(Kept(f"{held.id}/{ordinal}", message, ordinal))
    answers = []
    for place, call in enumerate(asked, ordinal + 1):
        function = Called(name=call.name, arguments=call.arguments)
        activity = Activity(type="request", function=function, id=f"{held.id}/{place}")
        message = NewMessage(type="activity", text="", meta=activity.meta())
        kept.append(Kept(f"{held.id}/{place}/request", message, ordinal))
        if call.answered:
            outcome = Outcome(result=call.result, failed=call.failed)
            answers.append(_response(held.id, place, function, outcome, ordinal))
    return kept + answers


def _response(run_id: str, ordinal: int, function: Called, outcome: Outcome, step: int) -> Kept:
    done = Called(name=function.name, arguments=function.arguments, result=outcome.result)
    activity = Activity(type="response", function=done, id=f"{run_id}/{ordinal}")
    if outcome.failed:
        activity = activity.model_copy(update={"failed": True})
    message = NewMessage(type="activity", text="", meta=activity.meta())
    return Kept(f"{run_id}/{ordinal}/response", message, step)


def _patience(call: Asking, wait_seconds: int) -> int | None:
    """Seconds until waiting ends; None for what is not waited for."""
    if call.answered or call.kind not in ("channel", "settle"):
        return None
    return call.wait_seconds or wait_seconds


def _begun(held: Held, asked: Sequence[Asking], first: int) -> list[Event]:
    begun = []
    for ordinal, call in enumerate(asked, first):
        function = Called(name=call.name, arguments=call.arguments)
        begun.append(events.operation_begin(held.id, ordinal, call.kind, function))
        if call.answered:
            begun.append(events.operation_end(held.id, ordinal, call.kind, function))
        elif call.channel is not None:
            begun.append(events.wait_begin(call.channel, function))
    return begun
