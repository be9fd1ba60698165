"""The model steps of a run: taken under a fence, answered or failed under it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from domain import events, prompts
from domain.completion import Prompt
from domain.errors import Stale, TooLong
from domain.events import Numbered
from domain.plans import Plan
from domain.run import Answer
from store import ending
from store.admission import Admission
from store.database import Connection, Database
from store.ending import Grip
from store.held import Held, append, hold
from store.queries import load
from store.turns import begin, plan_of

_SQL = load("steps")

TRANSCRIPT_BYTES = 16_777_216


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A model step an attempt holds, and what it is to do."""

    grip: Grip
    channel_id: int
    attempt: int
    model: str | None
    """The model string of the request, the conversation or the bot; None when nobody named one."""
    prompts: tuple[Prompt, ...]
    plan: Plan
    begins: bool
    """The run began with this."""
    age: float
    """Seconds from the run's acceptance to this."""
    traceparent: str | None


class Answered(NamedTuple):
    ended: bool
    """False when the run was over before."""
    start: Plan | None
    """The next plan of its conversation."""


class Steps:
    def __init__(self, database: Database, admission: Admission, transcript_bytes: int) -> None:
        self._database = database
        self._admission = admission
        self._transcript_bytes = transcript_bytes

    @staticmethod
    def grip(run_id: str, ordinal: int, fence: int, holder: str) -> Grip:
        """What an attempt will hold its step with; `holder` is fresh for every execution of an attempt."""
        return Grip(run_id, ordinal, fence, holder)

    async def take(self, grip: Grip) -> Taken | None:
        """Takes a model step for this attempt; what earlier attempts logged is superseded.

        A queued run begins with it. Returns None when the run is over. Raises Stale when a later attempt
        holds the step, TooLong when the conversation's messages are more than a turn may read.
        """

        async def work(connection: Connection) -> Taken | None:
            held = await hold(connection, grip.run_id)
            if held is None or not held.open:
                return None
            begins = held.state == "queued"
            if begins:
                held = await begin(connection, held)
            attempt = await _take(connection, held, grip)
            model, said = await _context(connection, held, self._transcript_bytes)
            return Taken(
                grip, held.channel_id, attempt, model, said, plan_of(held), begins, held.age, held.traceparent
            )

        return await self._database.transact(work)

    async def answer(self, grip: Grip, said: Answer, tail: Sequence[Numbered]) -> Answered:
        """The final commit of a run; `tail` is what its log may still lack.

        Repeating it after an unknown outcome is harmless: a run that is over is left as it is.
        Raises Stale when the grip is lost.
        """

        async def work(connection: Connection) -> Answered:
            held = await hold(connection, grip.run_id)
            if held is None or not held.open:
                return Answered(False, None)
            await ending.answer(connection, held, grip, said, tail)
            if held.conversation_id is None:
                return Answered(True, None)
            return Answered(True, await self._admission.admit_next(connection, held.conversation_id))

        return await self._database.transact(work)

    async def fail(self, grip: Grip, code: str, message: str) -> int:
        """Notes why this attempt failed, and returns how often the step's model has.

        Repeating it after an unknown outcome is harmless. Raises Stale when the grip is lost.
        """
        failures: int | None = await self._database.fetchval(
            _SQL["fail"], grip.run_id, grip.ordinal, grip.fence, grip.holder, code, message
        )
        if failures is None:
            raise Stale
        return failures


async def _take(connection: Connection, held: Held, grip: Grip) -> int:
    row = await connection.fetchrow(_SQL["take"], grip.run_id, grip.ordinal, grip.fence, grip.holder)
    if row is None:
        raise Stale
    attempt: int = row["attempt"]
    if row["again"]:
        await connection.execute(_SQL["forget_tokens"], held.channel_id, grip.ordinal)
        await connection.execute(_SQL["forget_events"], held.channel_id, grip.ordinal)
    await connection.execute(_SQL["fence_channel"], held.channel_id, grip.ordinal, attempt, grip.fence)
    await append(connection, held.channel_id, [events.complete_begin(grip.ordinal, attempt)])
    return attempt


async def _context(connection: Connection, held: Held, most: int) -> tuple[str | None, tuple[Prompt, ...]]:
    """The model string and the prompts: the request's own words win over the conversation's and the bot's."""
    row = await connection.fetchrow(_SQL["setting"], held.conversation_id, held.bot_id, held.contact_id)
    assert row is not None
    asked = held.asked
    backstory = asked.backstory or row["backstory"] or row["bot_backstory"]
    person = prompts.Person(name=row["name"], nick=row["nick"], preferences=row["preferences"])
    opening = (backstory, prompts.about(person), prompts.clock(held.created_at, asked.timezone))
    model = asked.model or row["model"] or row["bot_model"]
    return model, prompts.prompts(opening, await _messages(connection, held, most))


async def _messages(connection: Connection, held: Held, most: int) -> list[prompts.Said]:
    if held.conversation_id is None:
        return [prompts.Said(m.type, m.text, (m.meta or {}).get("activity")) for m in held.asked.messages]
    place = (held.conversation_id, held.begun_seq, held.id)
    rows = await connection.fetch(_SQL["transcript"], *place, most)
    if rows and rows[0]["text"] is None:
        raise TooLong
    return [prompts.Said(row["type"], row["text"]) for row in rows]
