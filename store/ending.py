"""The one end of every run: its message, its last events and its state, in its holder's transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from domain import events, ids
from domain.audit import by
from domain.completion import EndReason
from domain.conversation import NewMessage
from domain.events import Event, Numbered, Result
from domain.run import Answer, Ending, Outcome, RunState
from store import checkpoints, results
from store.database import Connection
from store.held import Held, add_message, append
from store.queries import load

_SQL = load("ending")

STOPPED = "Stopped before the ability had answered; whether it was called, run/fetch tells."

SUMMARY = 10_000
"""Characters of an execution's summary."""

_OUTCOMES: dict[str, Outcome] = {"_success": "success", "_failure": "failure"}


@dataclasses.dataclass(frozen=True, slots=True)
class Grip:
    """What an attempt holds of its step."""

    run_id: str
    ordinal: int
    fence: int
    holder: str


class Done(NamedTuple):
    """A model step that is finished."""

    ordinal: int
    iteration: int
    attempt: int


@dataclasses.dataclass(frozen=True, slots=True)
class _End:
    """What is written of a run's end."""

    state: RunState
    reason: EndReason | None = None
    code: str | None = None
    told: str | None = None
    message_id: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    untold: bool = False
    meta: dict[str, str] = dataclasses.field(default_factory=dict)
    added: int = 0
    outcome: Outcome | None = None
    summary: str | None = None
    """Its last words."""
    silent: bool = False
    """Nobody is sent its result."""
    merged_into: str | None = None


async def finish_step(connection: Connection, grip: Grip, said: Answer) -> Done | None:
    """Marks a model step done with what was said; None when the grip is lost, or it is done."""
    row = await connection.fetchrow(
        _SQL["finish_step"],
        grip.run_id,
        grip.ordinal,
        grip.fence,
        grip.holder,
        said.model,
        said.usage.input_tokens,
        said.usage.output_tokens,
        said.reason,
        said.carry,
    )
    return None if row is None else Done(grip.ordinal, row["iteration"], row["attempt"])


def spoken(said: Answer, done: Done) -> list[Event]:
    """What is told of every answer of a model."""
    return [events.used(said), events.complete_end(done.iteration, done.attempt)]


def lacking(held: Held, tail: Sequence[Numbered]) -> list[Event]:
    """What the log has not got of an answer's tail."""
    # A flush whose outcome nobody saw may have logged part of it: the channel's n knows.
    return [event for n, event in tail if n > held.n]


async def answer(
    connection: Connection, held: Held, said: Answer, done: Done, tail: Sequence[Numbered]
) -> None:
    """Ends a held, open run with what its model said; `tail` is what its log may still lack."""
    message = NewMessage(type="bot", text=said.text)
    message_id = await _keep(connection, held, message, f"{held.id}/{done.ordinal}")
    usage = said.usage
    tokens = held.input_tokens + held.output_tokens + usage.input_tokens + usage.output_tokens
    text = said.text
    if done.iteration > 1 and held.asked.limits.continuations:
        text = await connection.fetchval(_SQL["before"], held.id) + text
    result = Result(held.id, message_id, text, tokens, said.reason)
    last = [events.kept(message, message_id), *spoken(said, done), *events.over(result)]
    await append(connection, held.channel_id, [*lacking(held, tail), *last], close=True)
    end = _End(
        "succeeded",
        "length" if said.reason == "length" else "stop",
        message_id=message_id,
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        added=int(message_id is not None),
        summary=text,
    )
    await _finish(connection, held, end)


async def conclude(connection: Connection, held: Held, reason: EndReason, said: int = 0) -> None:
    """Ends a held, open run between two rounds of its model: a limit, its caller's turn, its agent's word.

    `said`: messages that its end has added already.
    """
    handed = reason == "activity"
    row = await connection.fetchrow(_SQL["said"], held.id, handed and held.conversation_id is None)
    assert row is not None
    text, message_id, added = row["text"] or "", row["message_id"], said
    if reason == "iteration" and held.asked.limits.continuations:
        text = await connection.fetchval(_SQL["before"], held.id) or text
    told: list[Event] = []
    # The message with the summary may have been deleted meanwhile.
    if row["summary"]:
        text = row["summary"]
        message = NewMessage(type="bot", text=text)
        message_id = await _keep(connection, held, message, f"{held.id}/summary")
        told, added = [events.kept(message, message_id)], said + int(message_id is not None)
    if reason == "iteration" and not held.exhausted:
        told += await checkpoints.exceeded(connection, held)
    outcome = _OUTCOMES.get(row["settled"] or "")
    asked = row["asked"] if handed else ()
    if handed:
        await connection.execute(_SQL["hand_over"], held.id)
    shown = (message_id or "") if held.conversation_id else None
    result = Result(held.id, shown, text, row["tokens"], reason, asked or (), outcome)
    await append(connection, held.channel_id, [*told, *events.over(result)], close=True)
    kept = message_id if held.conversation_id else None
    await _finish(
        connection,
        held,
        _End("succeeded", reason, message_id=kept, added=added, outcome=outcome, summary=text),
    )


async def cut(connection: Connection, held: Held) -> None:
    """Ends a held, open run of a task whose time is up; what it was saying is kept, marked."""
    partial = await _partial(connection, held)
    if partial:
        message = NewMessage(type="bot", text=partial, meta={"partial": True, "reason": "time"})
        await _keep(connection, held, message, f"{held.id}/partial")
    await conclude(connection, held, "iteration", int(bool(partial)))
    await connection.execute(_SQL["abandon_steps"], held.id)


async def close(connection: Connection, held: Held, last: Sequence[Event]) -> None:
    """Ends a held, open run that came to its own end with what is told of it."""
    await append(connection, held.channel_id, last, close=True)
    await _finish(connection, held, _End("succeeded", "stop"))


async def stop(connection: Connection, held: Held, ending: Ending) -> None:
    """Ends a held, open run without its model; what it had said so far is kept, marked.

    Of one that is rolled back, nothing it said is seen any more, its request included.
    """
    added = 0
    if held.state == "queued" and ending.keep_request:
        added += await keep_request(connection, held) is not None
    failed = ending.state == "failed"
    partial = "" if failed else await _partial(connection, held)
    marks = {"partial": True, "reason": ending.reason}
    message = NewMessage(type="bot", text=partial, meta=marks)
    message_id = await _keep(connection, held, message, f"{held.id}/partial") if partial else None
    shown = message_id if held.conversation_id is None else message_id or ""
    result = Result(held.id, shown, partial, held.input_tokens + held.output_tokens, "abort")
    told = events.stopped(result if held.kind != "ability" else events.Executed(held.id, STOPPED), ending)
    await append(connection, held.channel_id, told, close=True)
    await connection.execute(_SQL["abandon_steps"], held.id)
    end = _End(
        ending.state,
        "error" if failed else "abort",
        ending.code,
        ending.message,
        message_id,
        summary="" if ending.state == "rolled_back" else partial,
        untold=True,
        silent=ending.reason == "deleted",
        meta=by(ending.by) | ({"code": ending.code} if ending.code else {}),
        added=added + (message_id is not None),
    )
    await _finish(connection, held, end)
    if ending.state == "rolled_back" and held.begun_seq is not None:
        await connection.execute(_SQL["hide"], held.conversation_id, held.begun_seq, held.id)


async def merged(connection: Connection, held: Held, into: str) -> None:
    """Ends a held run that never began: another one answers for it. Its channel is closed."""
    await results.hand_on(connection, held, into)
    await _finish(connection, held, _End("merged", meta={"mergedInto": into}, merged_into=into, silent=True))


async def keep_request(connection: Connection, held: Held) -> tuple[str, int] | None:
    """Puts the user message of a turn into its conversation; returns its id and seq, if there is one."""
    text = held.asked.text
    if text is None or held.conversation_id is None:
        return None
    return await add_message(
        connection, held.conversation_id, f"{held.id}/user", NewMessage(type="user", text=text), held.id
    )


async def error_told(connection: Connection, run_id: str, code: str) -> str | None:
    """What the newest step that failed with this code was told, for people."""
    told: str | None = await connection.fetchval(_SQL["step_error"], run_id, code)
    return told


async def _partial(connection: Connection, held: Held) -> str:
    """What the log has of the step that was running; of a failed run nobody may take it for an answer."""
    said: str = await connection.fetchval(_SQL["partial"], held.channel_id, held.step, held.attempt)
    return said


async def _finish(connection: Connection, held: Held, end: _End) -> None:
    if held.names:
        await connection.execute(_SQL["lock_named"], held.id)
        await connection.execute(_SQL["release"], held.id)
    if held.kind == "task_run":
        await connection.execute(_SQL["summarize"], held.id, (end.summary or end.told or "")[:SUMMARY])
    if held.delivers and not end.silent:
        await results.send(connection, held, _said(held, end))
    await connection.execute(
        _SQL["finish_run"],
        held.id,
        end.state,
        end.reason,
        end.code,
        end.told,
        end.message_id,
        end.input_tokens,
        end.output_tokens,
        end.untold,
        ids.entry(),
        end.meta,
        end.added,
        end.outcome,
        end.merged_into,
    )


def _said(held: Held, end: _End) -> results.Said:
    return results.Said(
        end.state,
        end.reason,
        end.outcome,
        end.summary or "",
        end.code,
        end.told,
        end.message_id,
        held.input_tokens + held.output_tokens + end.input_tokens + end.output_tokens,
    )


async def _keep(connection: Connection, held: Held, message: NewMessage, key: str) -> str | None:
    if held.conversation_id is None:
        return None
    message_id, _ = await add_message(connection, held.conversation_id, key, message, held.id)
    return message_id
