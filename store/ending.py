"""The one end of every run: its message, its last events and its state, in its holder's transaction."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

from domain import events, ids
from domain.audit import by
from domain.conversation import NewMessage
from domain.errors import Stale
from domain.events import Numbered
from domain.run import Answer, Ending
from store.database import Connection
from store.held import Held, add_message, append
from store.queries import load

_SQL = load("ending")


@dataclasses.dataclass(frozen=True, slots=True)
class Grip:
    """What an attempt holds of its step."""

    run_id: str
    ordinal: int
    fence: int
    holder: str


async def answer(
    connection: Connection, held: Held, grip: Grip, said: Answer, tail: Sequence[Numbered]
) -> None:
    """Ends a held, open run with what its model said; `tail` is what its log may still lack.

    Raises `Stale` when the grip is lost.
    """
    usage = said.usage
    attempt = await connection.fetchval(
        _SQL["finish_step"],
        grip.run_id,
        grip.ordinal,
        grip.fence,
        grip.holder,
        said.model,
        usage.input_tokens,
        usage.output_tokens,
    )
    if attempt is None:
        raise Stale
    message_id = await _keep(connection, held, said.text, {}, f"{held.id}/{grip.ordinal}")
    # A flush whose outcome nobody saw may have logged part of the tail: the channel's n knows.
    lacking = [event for n, event in tail if n > held.n]
    last = events.answered(held.id, message_id, said, (grip.ordinal, attempt))
    await append(connection, held.channel_id, [*lacking, *last], close=True)
    await connection.execute(
        _SQL["finish_run"],
        held.id,
        "succeeded",
        said.reason,
        None,
        None,
        message_id,
        usage.input_tokens,
        usage.output_tokens,
        False,
        ids.entry(),
        {},
        int(message_id is not None),
    )


async def stop(connection: Connection, held: Held, ending: Ending) -> None:
    """Ends a held, open run without its model; what it had said so far is kept, marked."""
    added = 0
    if held.state == "queued" and ending.keep_request:
        added += await keep_request(connection, held) is not None
    partial = "" if ending.state == "failed" else await _partial(connection, held)
    marks: dict[str, Any] = {
        "partial": True,
        "reason": ending.reason if ending.state != "failed" else ending.code,
    }
    message_id = await _keep(connection, held, partial, marks, f"{held.id}/partial") if partial else None
    shown = message_id if held.conversation_id is None else message_id or ""
    last = events.stopped(held.id, shown, partial, ending)
    await append(connection, held.channel_id, last, close=True)
    await connection.execute(_SQL["abandon_steps"], held.id)
    await connection.execute(
        _SQL["finish_run"],
        held.id,
        ending.state,
        "error" if ending.state == "failed" else "abort",
        ending.code,
        ending.message,
        message_id,
        0,
        0,
        True,
        ids.entry(),
        by(ending.by) | ({"code": ending.code} if ending.code else {}),
        added + (message_id is not None),
    )


async def _partial(connection: Connection, held: Held) -> str:
    """What the log has of the step that was running; of a failed run nobody may take it for an answer."""
    said: str = await connection.fetchval(_SQL["partial"], held.channel_id, held.step, held.attempt)
    return said


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


async def _keep(connection: Connection, held: Held, text: str, meta: dict[str, Any], key: str) -> str | None:
    if held.conversation_id is None:
        return None
    message = NewMessage(type="bot", text=text, meta=meta)
    message_id, _ = await add_message(connection, held.conversation_id, key, message, held.id)
    return message_id
