"""Results that are to be sent somewhere: a delivery to each target that wants one, made with a run's end."""

from __future__ import annotations

from typing import NamedTuple

from domain import ids
from domain.delivery import EMAIL_BYTES, WEBHOOK_BYTES, Told
from domain.run import Outcome, RunState
from store.database import Connection
from store.held import Held
from store.queries import load

_SQL = load("results")
_MOST = {"webhook": WEBHOOK_BYTES, "email": EMAIL_BYTES}


class Said(NamedTuple):
    """How a held run ends."""

    state: RunState
    reason: str | None
    outcome: Outcome | None
    text: str
    code: str | None
    message: str | None
    message_id: str | None
    tokens: int


async def send(connection: Connection, held: Held, said: Said) -> None:
    """Makes the deliveries of a held run that ends; a worker hears of them at the commit."""
    told = _told(held, said)
    targets = await connection.fetch(_SQL["targets"], held.id, told.wanted)
    if not targets:
        return
    now = await connection.fetchval(_SQL["now"])
    bodies = {kind: told.body(now, _MOST[kind]) for kind in {row["kind"] for row in targets}}
    await connection.execute(
        _SQL["send"],
        held.id,
        told.type,
        [ids.delivery() for _ in targets],
        [row["id"] for row in targets],
        [bodies[row["kind"]] for row in targets],
    )


async def hand_on(connection: Connection, held: Held, into: str) -> None:
    """The run that a held one was merged into answers at its targets too."""
    await connection.execute(_SQL["hand_on"], held.id, into)


def _told(held: Held, said: Said) -> Told:
    failed = said.state not in ("succeeded", "canceled", "interrupted")
    concerned = {
        "conversationId": held.conversation_id,
        "messageId": said.message_id,
        "taskId": None if held.trigger_id else held.task_id,
        "executionId": held.id if held.kind == "task_run" else None,
        "triggerId": held.trigger_id,
        "botId": held.bot_id,
        "contactId": held.contact_id,
    }
    return Told(
        run_id=held.id,
        state=said.state,
        outcome=said.outcome,
        reason=said.reason,
        # Of what failed nobody may take the words for an answer.
        text="" if failed else said.text,
        code=said.code or (None if said.state == "succeeded" else said.state.upper()),
        message=said.message,
        tokens=said.tokens,
        of={name: value for name, value in concerned.items() if value},
    )
