"""A run under its locks, and what may be written to it there."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime
from functools import cached_property
from typing import NamedTuple

from domain import events, ids
from domain.conversation import NewMessage
from domain.errors import NotFound
from domain.events import Event
from domain.run import OPEN, Asked, Lane, RunKind, RunState
from store.database import Connection
from store.queries import load

_SQL = load("held")


class Kept(NamedTuple):
    """A message a run adds by itself."""

    key: str
    message: NewMessage
    step: int
    """The model step it comes from or goes to."""


@dataclasses.dataclass(frozen=True)
class Held:
    """A run whose conversation (if asked for), row and channel are locked until the transaction ends."""

    id: str
    account_id: str
    kind: RunKind
    lane: Lane
    state: RunState
    conversation_id: str | None
    bot_id: str | None
    contact_id: str | None
    task_id: str | None
    trigger_id: str | None
    workflow_id: str
    request: str | None
    begun_seq: int | None
    created_at: datetime
    keyed: bool
    traceparent: str | None
    input_tokens: int
    output_tokens: int
    wasted_tokens: int
    budget: int | None
    short: bool
    """It waits for a higher budget."""
    age: float
    """Seconds since it was accepted, by Postgres's own clock."""
    channel_id: int
    step: int
    attempt: int
    fence: int
    n: int
    joined: bool
    """Calls wait to be merged into it. Only true to whoever locked the conversation too."""
    names: bool
    """Its functions are answered on channels."""
    delivers: bool
    """Its result may be to be sent somewhere."""

    @property
    def prepared(self) -> bool:
        """It is a run of a thing that was set up before: a task, or a trigger."""
        return self.kind in ("task_run", "trigger_event")

    @property
    def open(self) -> bool:
        return self.state in OPEN

    @property
    def spent(self) -> int:
        """Tokens its model calls have cost, failed ones too."""
        return self.input_tokens + self.output_tokens + self.wasted_tokens

    @property
    def exhausted(self) -> bool:
        """Whether its budget is spent."""
        return self.budget is not None and self.spent >= self.budget

    # A request may be megabytes long. (A cached property needs an instance without slots.)
    @cached_property
    def asked(self) -> Asked:
        return Asked.model_validate_json(self.request) if self.request else Asked()


async def touch(connection: Connection, account_id: str, conversation_id: str) -> None:
    """Somebody does something with a conversation: retention counts its days from now. Raises NotFound."""
    if await connection.fetchval(_SQL["touch"], account_id, conversation_id) is None:
        raise NotFound


async def hold(
    connection: Connection, run_id: str, *, conversation: bool = True, request: bool = True
) -> Held | None:
    """Locks a run; with its conversation first, unless nothing of the conversation will be touched.

    Whoever does not need what was asked leaves the request where it is.
    """
    if conversation:
        await connection.execute(_SQL["lock_conversation"], run_id)
    row = await connection.fetchrow(_SQL["lock_run"], run_id, request)
    return Held(**row) if row else None


async def add_message(
    connection: Connection, conversation_id: str, key: str, message: NewMessage, run_id: str | None = None
) -> tuple[str, int]:
    """Appends to a locked conversation; returns the message's id and seq.

    The key is unique in the conversation; one that is a message id already becomes the id.
    """
    message_id = key if key.startswith("msg_") else ids.message()
    seq = await connection.fetchval(
        _SQL["add_message"],
        message_id,
        conversation_id,
        key,
        message.type,
        message.text,
        message.meta or {},
        run_id,
        message.name,
        message.description,
    )
    return message_id, seq


async def keep(connection: Connection, held: Held, added: Sequence[Kept]) -> list[str]:
    """Adds what a held run says and does to its conversation; a stateless one's stays with the run.

    Returns the messages' ids. A key is unique in its conversation or run.
    """
    if not added:
        return []
    message_ids = [ids.message() for _ in added]
    await connection.execute(
        _SQL["keep_in_conversation" if held.conversation_id else "keep_with_run"],
        held.conversation_id or held.id,
        held.id,
        message_ids,
        [kept.key for kept in added],
        [kept.message.type for kept in added],
        [kept.message.text for kept in added],
        [kept.message.meta or {} for kept in added],
        [kept.step for kept in added],
    )
    return message_ids


def shown(held: Held, kept: Kept, message_id: str) -> Event:
    """The event of an added message; without an id where it does not stay, for it is sent back as it came."""
    return events.kept(kept.message, message_id if held.conversation_id else None)


async def append(
    connection: Connection, channel_id: int, added: Sequence[Event], *, close: bool = False
) -> None:
    """Adds events to a locked channel and wakes its readers at commit; a closed channel takes none."""
    await connection.execute(
        _SQL["append"], channel_id, [e.type for e in added], [e.data for e in added], close
    )
