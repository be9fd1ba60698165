"""Runs whose model has asked for calls, made in one line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from domain.calls import Outcome
from domain.completion import Usage
from domain.conversation import NewMessage
from domain.plans import ReplyResult
from domain.run import Answer, Asked
from domain.toolbox import Asking
from domain.tools import Function
from store.calls import TakenCall
from store.ending import Grip
from tests.store.conftest import Desk, grip, key

ONE = Outcome(result="one")


def ability(n: int = 1) -> Asking:
    return Asking(name="look", arguments={"n": n}, kind="ability", effect="idempotent", source="request/0")


def on(channel: str, name: str = "look", seconds: int = 300) -> Asking:
    """A call that waits on a channel."""
    return Asking(name=name, arguments={}, kind="channel", channel=channel, wait_seconds=seconds)


def _function(call: Asking) -> Function:
    return Function(name=call.name, description="d", parameters={}, kind="channel", channel=call.channel)


async def asking(desk: Desk, *calls: Asking, stateless: bool = False, text: str = "") -> str:
    """A run whose first answer asks for these calls."""
    functions = tuple(_function(call) for call in calls if call.kind == "channel")
    if stateless:
        asked = Asked(messages=(NewMessage(type="user", text="hello"),), functions=functions)
        run = (await desk.accept(asked=asked)).run.id
    else:
        asked = Asked(text="hello", functions=functions)
        run = (await desk.accept(await desk.conversation(), asked=asked)).run.id
    await desk.taken(run)
    await desk.store.steps.answer(grip(run), said(calls, text), [])
    return run


def said(calls: Sequence[Asking], text: str = "") -> Answer:
    return Answer(text=text, reason="calls", usage=Usage(), model="m", calls=tuple(calls), carry="signed")


def holding(run: str, ordinal: int = 2, fence: int = 1, holder: str = "me") -> Grip:
    return Grip(run, ordinal, fence, holder)


async def taken(desk: Desk, held: Grip) -> TakenCall:
    call = await desk.store.calls.take(held)
    assert call is not None
    return call


async def next_of(desk: Desk, run: str, fence: int = 9) -> ReplyResult:
    """What a plan that begins anew is told to do."""
    moved = await desk.store.steps.take(grip(run, fence, "another plan"))
    assert not hasattr(moved, "prompts")
    return moved.result


async def publish(desk: Desk, channel: str, result: Any) -> None:
    await desk.store.channels.publish(desk.caller, channel, key(), {"result": result})


async def results(desk: Desk, run: str) -> list[Any]:
    """What each call of a run was answered, in the order of the answers."""
    rows = await desk.rows(
        "SELECT meta -> 'activity' AS act FROM message WHERE run_id = $1 AND type = 'activity' ORDER BY seq",
        run,
    )
    acts = [row["act"] if isinstance(row["act"], dict) else json.loads(row["act"]) for row in rows]
    return [act["function"]["result"] for act in acts if act["type"] == "response"]


async def types(desk: Desk, run: str) -> list[str]:
    """The types of a run's events, in order."""
    rows = await desk.rows(
        "SELECT type FROM event JOIN run USING (channel_id) WHERE run.id = $1 ORDER BY seq", run
    )
    return [row["type"] for row in rows]


async def states(desk: Desk, run: str) -> list[str]:
    """Of every step, in order."""
    rows = await desk.rows("SELECT state FROM step WHERE run_id = $1 ORDER BY ordinal", run)
    return [row["state"] for row in rows]
