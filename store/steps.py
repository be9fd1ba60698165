"""The model steps of a run: taken under a fence, answered or failed under it."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from domain import events
from domain.completion import Prompt
from domain.errors import Stale
from domain.events import Numbered
from domain.plans import Plan, ReplyResult
from domain.run import Answer
from domain.toolbox import WAIT_SECONDS, Toolbox
from domain.tools import over
from store import budgets, calls, checkpoints, ending
from store.admission import Admission
from store.calls import standing
from store.database import Connection, Database
from store.ending import Grip
from store.held import Held, append, hold
from store.merging import merge
from store.queries import load
from store.transcript import Told, told
from store.turns import begin, plan_of

_SQL = load("steps")


class Reach(NamedTuple):
    """How much a turn reads, and how long it waits."""

    transcript_bytes: int = 16_777_216
    wait_seconds: int = WAIT_SECONDS
    """For a publish on a function's channel, where the function does not say."""


@dataclasses.dataclass(frozen=True, slots=True)
class Taken:
    """A model step an attempt holds, and what it is to do."""

    grip: Grip
    channel_id: int
    iteration: int
    attempt: int
    model: str | None
    """The model string of the request, the conversation or the bot; None when nobody named one."""
    prompts: tuple[Prompt, ...]
    toolbox: Toolbox
    plan: Plan
    begins: bool
    """The run began with this."""
    age: float
    """Seconds from the run's acceptance to this."""
    traceparent: str | None
    merged: tuple[Plan, ...] = ()
    """Runs that were merged into this one with this."""
    overdue: float | None = None
    """Seconds from the time its task was due to this, where a scheduled run began with this; None where that
    was days ago."""


class Moved(NamedTuple):
    """Where a run is after a commit of one of its model steps, or without one."""

    result: ReplyResult
    start: Plan | None = None
    """The next plan of its conversation."""
    reason: str | None = None
    """Why the run ended here."""
    ended: Plan | None = None
    """The run's own plan, where it ended here."""


ENDED = ReplyResult(outcome="ended")


class Steps:
    def __init__(self, database: Database, admission: Admission, reach: Reach) -> None:
        self._database = database
        self._admission = admission
        self._reach = reach

    @staticmethod
    def grip(run_id: str, ordinal: int, fence: int, holder: str) -> Grip:
        """What an attempt will hold its step with; `holder` is fresh for every execution of an attempt."""
        return Grip(run_id, ordinal, fence, holder)

    async def take(self, grip: Grip) -> Taken | Moved:
        """Takes a model step for this attempt; what earlier attempts logged is superseded.

        A queued run begins with it. Where nothing is left to ask the model, it says where the run is: the
        step was done before, or the run is over, or ends here. Raises Stale when a later attempt holds the
        step, TooLong when the messages are more than a turn may read.
        """

        async def work(connection: Connection) -> tuple[Taken, Told] | Moved:
            held = await hold(connection, grip.run_id)
            if held is None or not held.open:
                return Moved(ENDED)
            begins = held.state == "queued"
            if begins:
                held = await begin(connection, held)
            elif (moved := await self._elsewhere(connection, held, grip)) is not None:
                return moved
            return await self._take(connection, held, grip, begins)

        taken = await self._database.transact(work)
        if isinstance(taken, Moved):
            return taken
        step, said = taken
        return dataclasses.replace(step, prompts=await said.prompts(), toolbox=await said.toolbox())

    async def answer(self, grip: Grip, said: Answer, tail: Sequence[Numbered]) -> Moved:
        """The commit of an answer; `tail` is what its log may still lack. It ends the run, unless it asks for
        calls or another call has joined the turn meanwhile.

        Repeating it after an unknown outcome is harmless: what is committed is left as it is.
        Raises Stale when the grip is lost.
        """

        async def work(connection: Connection) -> Moved:
            held = await hold(connection, grip.run_id)
            if held is None or not held.open:
                return Moved(ENDED)
            done = await ending.finish_step(connection, grip, said)
            if done is None:
                return await self._repeated(connection, held, grip)
            if not said.calls and not await self._goes_on(connection, held, said):
                await ending.answer(connection, held, said, done, tail)
                return await self._ended(connection, held, done.attempt, said.reason)
            await calls.ask(connection, held, said, (done, tail, self._reach.wait_seconds))
            if held.prepared:
                await checkpoints.mark(connection, held)
            return await self._go_on(connection, held, done.attempt)

        return await self._database.transact(work)

    async def fail(self, grip: Grip, code: str, message: str, spent: int = 0) -> int:
        """Notes why this attempt failed and what it spent; returns how often the step's model has failed.

        Repeating it after an unknown outcome is harmless. Raises Stale when the grip is lost.
        """

        async def work(connection: Connection) -> int | None:
            # The run before the step, as everywhere.
            await connection.execute(_SQL["lock"], grip.run_id)
            failures: int | None = await connection.fetchval(
                _SQL["fail"], grip.run_id, grip.ordinal, grip.fence, grip.holder, code, message, spent
            )
            return failures

        failures = await self._database.transact(work)
        if failures is None:
            raise Stale
        return failures

    async def _goes_on(self, connection: Connection, held: Held, said: Answer) -> bool:
        """Whether an answer without calls is not the last."""
        if await self._continues(connection, held, said):
            return True
        # A call has joined that its model has not heard of, and may be asked about.
        spent = held.spent + said.usage.input_tokens + said.usage.output_tokens
        paid = held.budget is None or spent < held.budget
        return held.joined and paid and over(await standing(connection, held.id), held.asked.limits) is None

    async def _continues(self, connection: Connection, held: Held, said: Answer) -> bool:
        """Whether an answer that was cut at its greatest length is gone on with."""
        most = held.asked.limits.continuations or 0
        if said.reason != "length" or most == 0:
            return False
        cuts: int = await connection.fetchval(_SQL["cuts"], held.id)
        return cuts <= most

    async def _elsewhere(self, connection: Connection, held: Held, grip: Grip) -> Moved | None:
        """Where a begun run is, when that is not before this step."""
        state = await connection.fetchval(_SQL["state"], held.id, grip.ordinal)
        if state == "done":
            return await self._resumed(connection, held)
        if state == "running":
            held = await self._cut_off(connection, held, grip)
        if state is None and grip.ordinal > 1:
            over = await self._over(connection, held)
            if over is not None:
                return over
        return await self._unpaid(connection, held, grip.ordinal)

    async def _cut_off(self, connection: Connection, held: Held, grip: Grip) -> Held:
        """Counts what an earlier attempt had spent when its worker was lost."""
        streamed = await budgets.streamed(connection, held, grip)
        if not streamed:
            return held
        said = await told(connection, held, self._reach.transcript_bytes)
        return await budgets.waste(connection, held, said.size, streamed)

    async def _unpaid(self, connection: Connection, held: Held, ordinal: int) -> Moved | None:
        """Where a run is whose budget is spent."""
        what = await budgets.spent(connection, held, ordinal)
        if what == "end":
            await ending.conclude(connection, held, "iteration")
            return await self._ended(connection, held, 0, "iteration")
        return Moved(ReplyResult(outcome="next", waits=True, next=ordinal)) if what == "wait" else None

    async def _take(self, connection: Connection, held: Held, grip: Grip, begins: bool) -> tuple[Taken, Told]:
        merged = await merge(connection, held)
        iteration, attempt = await _take(connection, held, grip)
        said = await told(connection, held, self._reach.transcript_bytes)
        scheduled = begins and held.lane == "scheduled"
        overdue = await connection.fetchval(_SQL["overdue"], held.id) if scheduled else None
        taken = Taken(
            grip,
            held.channel_id,
            iteration,
            attempt,
            said.model,
            (),
            Toolbox(()),
            plan_of(held),
            begins,
            held.age,
            held.traceparent,
            merged,
            overdue,
        )
        return taken, said

    async def _repeated(self, connection: Connection, held: Held, grip: Grip) -> Moved:
        """An answer whose step is not ours to finish: committed before by this very execution, or lost."""
        if await connection.fetchval(_SQL["ours"], grip.run_id, grip.ordinal, grip.fence, grip.holder):
            return await self._resumed(connection, held)
        raise Stale

    async def _go_on(self, connection: Connection, held: Held, attempt: int) -> Moved:
        """After an answer that asked for calls: what is to be done, or the end when nobody is to do it."""
        moved = await self._resumed(connection, held)
        if not moved.result.calls and not moved.result.waits:
            over = await self._over(connection, held)
            if over is not None:
                return over
        return moved._replace(result=moved.result.model_copy(update={"attempt": attempt}))

    async def _resumed(self, connection: Connection, held: Held) -> Moved:
        """What lies between a run's newest answer and its next model step."""
        row = await connection.fetchrow(_SQL["resume"], held.id)
        assert row is not None
        return Moved(
            ReplyResult(outcome="next", calls=tuple(row["calls"]), waits=row["waits"], next=row["next"])
        )

    async def _over(self, connection: Connection, held: Held) -> Moved | None:
        """Ends a run whose model is not to be asked again."""
        reason = over(await standing(connection, held.id), held.asked.limits)
        if reason is None:
            return None
        await ending.conclude(connection, held, reason)
        return await self._ended(connection, held, 0, reason)

    async def _ended(self, connection: Connection, held: Held, attempt: int, reason: str) -> Moved:
        result = ReplyResult(outcome="final", attempt=attempt)
        start = None
        if held.conversation_id is not None:
            start = await self._admission.admit_next(connection, held.conversation_id)
        return Moved(result, start, reason, plan_of(held))


async def _take(connection: Connection, held: Held, grip: Grip) -> tuple[int, int]:
    row = await connection.fetchrow(_SQL["take"], grip.run_id, grip.ordinal, grip.fence, grip.holder)
    if row is None:
        raise Stale
    iteration, attempt = row["iteration"], row["attempt"]
    if row["again"]:
        await connection.execute(_SQL["forget_tokens"], held.channel_id, grip.ordinal)
        await connection.execute(_SQL["forget_events"], held.channel_id, grip.ordinal)
    await connection.execute(_SQL["fence_channel"], held.channel_id, grip.ordinal, attempt, grip.fence)
    await append(connection, held.channel_id, [events.complete_begin(iteration, attempt)])
    return iteration, attempt
