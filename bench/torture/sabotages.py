"""What the harness must notice: each sabotage takes one safety out of the product."""

from __future__ import annotations

import asyncio
import importlib
import os
from typing import Any

from temporalio.common import RetryPolicy, WorkflowIDReusePolicy

from bench.torture.points import find
from bench.torture.sabotage import Sabotage, nothing, put, swap
from bench.torture.trigger_sabotages import TRIGGER_SABOTAGES
from domain import ids
from domain.account import Caller


def _no_fence() -> None:
    """A late attempt may take, log and finish what another holds."""
    swap("steps", "take", "AND (step.fence < $3 OR (step.fence = $3 AND step.holder = $4))", "")
    swap("log", "flush", "AND l.fence = g.fence", "AND g.fence > 0")
    swap("ending", "finish_step", "AND fence = $3 AND holder = $4", "AND $3::bigint > 0 AND $4::text <> ''")
    settle = find("store.log:_settle")[0]._settle

    def blind(writer: Any, newest: int, taken: dict[int, int | None]) -> None:
        open_ones = {id_: writer.fence for id_, fence in taken.items() if fence is not None}
        settle(writer, newest, {**taken, **open_ones})

    put("store.log:_settle", blind)


def _no_unique_key() -> None:
    again = "ON CONFLICT (account_id, route, key) DO UPDATE SET subject = EXCLUDED.subject"
    swap("claims", "claim", "ON CONFLICT DO NOTHING", again)


def _acknowledged_first() -> None:
    """A message is acknowledged, and committed in a moment."""
    pending: set[asyncio.Task[Any]] = set()
    create = find("store.messages:Messages.create")[0].create

    async def soon(*given: Any) -> None:
        await asyncio.sleep(0.05)
        await create(*given)

    async def eager(*given: Any) -> str:
        pending.add(asyncio.create_task(soon(*given)))
        return ids.message()

    put("store.messages:Messages.create", eager)


def _deaf() -> None:
    """A LISTEN that is lost is not taken up again."""
    original = find("store.listener:Listener._listen")[0]._listen

    async def once(self: Any) -> None:
        try:
            await original(self)
        except Exception:
            await asyncio.Event().wait()

    put("store.listener:Listener._listen", once)


def _duplicates_allowed() -> None:
    class Reuse:
        REJECT_DUPLICATE = WorkflowIDReusePolicy.ALLOW_DUPLICATE

    put("starter:Reuse", Reuse)


def _words_dropped_at_the_end() -> None:
    """What is not logged when the model ends is neither flushed nor handed to the final commit."""

    async def release(self: Any, writer: Any) -> list[Any]:
        writer.pending.clear()
        self._busy.discard(writer)
        return []

    put("store.log:Log.release", release)


def _endless_retries() -> None:
    put("activities.models:TRIES", 1_000_000)
    options = importlib.import_module("workflows.options")
    options.MODEL["retry_policy"] = RetryPolicy(maximum_attempts=0)


def _two_at_a_time() -> None:
    swap("accept", "insert_run", "ahead.conversation_id = $5 AND", "false AND")
    swap("admission", "admit_next", "busy.conversation_id = $1", "false")


def _unbounded_locks() -> None:
    """A process that stops inside a transaction holds its conversation for as long as it likes."""
    session = importlib.import_module("store.database").SESSION
    session |= {"idle_in_transaction_session_timeout": "0", "lock_timeout": "0"}


def _earlier_attempts_kept() -> None:
    for query in ("forget_tokens", "forget_events"):
        swap("steps", query, "WHERE", "WHERE false AND")


def _deleted_runs_go_on() -> None:
    """Deleting a conversation neither ends its runs nor closes their channels."""

    async def none(*_: object) -> tuple[()]:
        return ()

    put("store.conversations:_end_runs", none)
    swap("conversations", "bury", "open = false, closed_at = clock_timestamp(), ", "")


def _never_forgotten() -> None:
    """The words of a stateless completion stay after it was answered."""
    put("store.upkeep:Upkeep.scrub", nothing)
    for ripe in ("scrub_at IS NOT NULL", "$1 IS NULL AND scrub_at"):
        swap("upkeep", "scrub", f"WHERE {ripe}", f"WHERE false AND {ripe}")


def _words_in_temporal() -> None:
    """A step tells its plan the answer itself."""
    original = find("activities.models:ReplyResult")[0].ReplyResult

    def talkative(**fields: Any) -> Any:
        return original(**{**fields, "outcome": "final, canary and all"})

    put("activities.models:ReplyResult", talkative)


def _tokens_for_ever() -> None:
    """A token opens what its signature says, whatever became of its session."""

    async def caller(_self: Any, session: Any, address: str | None) -> Caller:
        return Caller(
            account_id=session.account_id,
            key_id=session.id,
            address=address,
            session_id=session.id,
            conversation_id=session.conversation_id,
        )

    put("store.sessions:Sessions.caller", caller)


def _refused_afterwards() -> None:
    """Whether too many wait is asked when the run was accepted."""
    run, check = find("store.accept:Accept.run")[0].run, find("store.limits:Limits.check_line")[0].check_line

    async def accept(self: Any, work: Any) -> Any:
        accepted = await run(self, work)
        if accepted.run.admitted_at is None and not accepted.again:
            async with self._database.connection() as connection:
                await check(self._limits, connection, accepted.run)
        return accepted

    put("store.limits:Limits.check_line", nothing)
    put("store.accept:Accept.run", accept)


def _told_later() -> None:
    """The audit log hears of a message in a moment, on a connection of its own."""
    pending: set[asyncio.Task[Any]] = set()
    note, connect = find("store.audit:note")[0].note, find("store.database:connect")[0].connect

    async def soon(given: tuple[Any, ...], about: dict[str, Any]) -> None:
        await asyncio.sleep(0.2)
        connection = await connect(os.environ["DATABASE_URL"])
        await note(connection, *given, **about)
        await connection.close()

    async def later(_connection: Any, *given: Any, **about: Any) -> None:
        pending.add(asyncio.create_task(soon(given, about)))

    put("store.messages:note", later)


def _once_and_again() -> None:
    """A call that was cut off is made again, whatever its effect."""
    cut_off = "o.old_state = 'running' AND o.old_fence < o.fence AS interrupted"
    swap("calls", "take", cut_off, "false AS interrupted")


def _taken_by_everybody() -> None:
    """A publish stays for the next wait."""
    swap("waits", "consume", "SET taken = oldest.seq", "SET taken = channel.taken")


def _told_by_nobody() -> None:
    """A plan that was not told of a publish at once is not told of it later."""

    async def none(*_: object) -> tuple[()]:
        return ()

    put("store.looks:Looks.unheard", none)


def _decided_again() -> None:
    """A firing that is repeated decides again what was decided."""
    swap("occurrences", "due", "state = 'due' AND", "(state = 'due' OR at = $2) AND")


def _unwatched() -> None:
    """Nobody looks whether what was due was fired, and whether the schedules are there."""
    for work in ("_heal_all", "_compare"):
        put(f"activities.watch:Watch.{work}", nothing)


SABOTAGES = {
    "fence": Sabotage(
        "the fence of a step", "a frozen worker wakes up", "the stream says what is stored", _no_fence
    ),
    "key": Sabotage(
        "the unique key", "the same key many times", "acknowledged messages are kept once", _no_unique_key
    ),
    "commit": Sabotage(
        "commit before acknowledgement",
        "killed after the answer",
        "acknowledged messages are kept once",
        _acknowledged_first,
    ),
    "listen": Sabotage(
        "LISTEN again after a loss", "nobody listens", "nobody listens: streams stood still", _deaf
    ),
    "duplicate": Sabotage(
        "workflow ids are used once", "a late start", "plans and runs agree", _duplicates_allowed
    ),
    "sweeper": Sabotage(
        "the sweeper starts what was not started",
        "accepted while Temporal is dead",
        "accepted while Temporal is dead: a run has no end",
        lambda: put("sweeper:Sweeper._look", nothing),
    ),
    "flush": Sabotage(
        "flush before the terminal event",
        "quick answers",
        "the stream says what is stored",
        _words_dropped_at_the_end,
    ),
    "retries": Sabotage(
        "retries are bounded",
        "a model that never answers",
        "a model that never answers: a run has no end",
        _endless_retries,
    ),
    "line": Sabotage(
        "one turn at a time",
        "a line of turns",
        "one turn at a time",
        _two_at_a_time,
        "DROP INDEX run_one_at_a_time",
    ),
    "locks": Sabotage(
        "bounded transactions", "stopped with the lock", "stopped with the lock", _unbounded_locks
    ),
    "supersede": Sabotage(
        "earlier attempts are superseded",
        "killed in mid-stream",
        "only the last attempt is kept",
        _earlier_attempts_kept,
    ),
    "delete": Sabotage(
        "deletion ends what runs",
        "deleted in mid-stream",
        "channels are in order and end once",
        _deleted_runs_go_on,
    ),
    "forget": Sabotage(
        "stateless is forgotten",
        "stateless and answered",
        "forgotten words are gone",
        _never_forgotten,
    ),
    "revoke": Sabotage(
        "a session is over with its conversation",
        "the token of a deleted conversation",
        "what is forbidden is refused",
        _tokens_for_ever,
    ),
    "limit": Sabotage(
        "limits are met before acceptance",
        "more turns than may wait",
        "unknown messages are kept at most once",
        _refused_afterwards,
    ),
    "audit": Sabotage(
        "the audit log is written with the act",
        "killed after the answer",
        "every act is told once",
        _told_later,
    ),
    "once": Sabotage(
        "what is done once is not done again",
        "killed in a call",
        "what is done once is done once",
        _once_and_again,
    ),
    "taken": Sabotage(
        "a publish answers one wait",
        "two agents on one channel",
        "a publish answers one wait",
        _taken_by_everybody,
    ),
    "unheard": Sabotage(
        "the sweeper tells plans of publishes",
        "published and killed",
        "published and killed: a run has no end",
        _told_by_nobody,
    ),
    "occurrence": Sabotage(
        "what became of a time is decided once",
        "killed after a decision",
        "an occurrence has one run",
        _decided_again,
    ),
    "watchdog": Sabotage(
        "upkeep finds what nobody fired",
        "a schedule that vanished",
        "every time is decided once",
        _unwatched,
    ),
    "words": Sabotage(
        "no words in Temporal",
        "quick answers",
        "no words are outside of Postgres",
        _words_in_temporal,
    ),
    **TRIGGER_SABOTAGES,
}
