"""The failpoints: where in the product a process may be killed, stopped, delayed or fail."""

from __future__ import annotations

import asyncio
import functools
import importlib
import inspect
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args

Effect = Literal["kill", "stop", "raise", "delay"]
Side = Literal["before", "after"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
DELAY = 3.0


class Point(NamedTuple):
    """One place: `module:function` or `module:Class.method` of the product."""

    place: str
    side: Side
    part: Literal["api", "worker"]
    """The process that is armed; some places are in both."""
    by: str = "whole"
    """The client's act that leads there; or `deaf`, the loss of every LISTEN; or `outage`, of Temporal; or
    `upkeep`, a round of it; or `vanished`, the loss of a schedule, and such a round."""
    first: int = 1
    """The first pass that counts: every process listens once when it begins."""
    full: bool = False
    """Only a pass that returned something counts."""


POINTS = {
    "accept.in_transaction": Point("store.accept:Accept._insert", "after", "api"),
    "accept.committed": Point("store.accept:Accept.run", "after", "api"),
    "interrupt.in_transaction": Point("store.accept:Accept._make_way", "after", "api", "interrupted"),
    "merge.in_transaction": Point("store.steps:merge", "after", "worker", "steered"),
    "send.in_transaction": Point("store.messages:add_message", "after", "api", "sent_and_received"),
    "send.committed": Point("store.messages:Messages.create", "after", "api", "sent_and_received"),
    "claim.committed": Point("store.looks:Looks.accepted", "after", "worker", full=True),
    "start.before": Point("starter:Starter.start", "before", "worker"),
    "start.after": Point("starter:Starter.start", "after", "worker"),
    "take.before": Point("store.steps:Steps.take", "before", "worker"),
    "take.in_transaction": Point("store.steps:_take", "after", "worker"),
    "take.committed": Point("store.steps:Steps.take", "after", "worker"),
    "stream.token": Point("store.log:Writer.add", "after", "worker"),
    "flush.before": Point("store.log:Log._flush", "before", "worker"),
    "flush.committed": Point("store.log:Log._flush", "after", "worker"),
    "tail.handed_over": Point("store.log:Writer.close", "after", "worker"),
    "answer.before": Point("store.steps:Steps.answer", "before", "worker"),
    "answer.in_transaction": Point("store.ending:answer", "after", "worker"),
    "answer.committed": Point("store.steps:Steps.answer", "after", "worker"),
    "ask.in_transaction": Point("store.calls:ask", "after", "worker", "answered"),
    "call.taken": Point("store.calls:Calls.take", "after", "worker", "worked"),
    "call.in_transaction": Point("store.calls:answer", "after", "worker", "worked"),
    "call.committed": Point("store.calls:Calls.answer", "after", "worker", "worked"),
    "publish.in_transaction": Point("store.channels:note", "after", "api", "answered"),
    "publish.committed": Point("store.channels:Channels.publish", "after", "api", "answered"),
    "look.in_transaction": Point("store.waits:_look_at", "after", "worker", "answered"),
    "look.committed": Point("store.waits:Waits.look", "after", "worker", "answered"),
    "failure.noted": Point("store.steps:Steps.fail", "after", "worker", "failed"),
    "finish.before": Point("store.turns:Turns.finish", "before", "worker", "failed"),
    "finish.committed": Point("store.turns:Turns.finish", "after", "worker", "failed"),
    "admit.before": Point("store.admission:Admission._admit_head", "before", "worker", "dispatched"),
    "admit.committed": Point("store.admission:Admission._admit_head", "after", "worker", "dispatched"),
    "sweep.begin": Point("sweeper:Sweeper._round", "before", "worker"),
    "sweep.look": Point("sweeper:Sweeper._look_after", "before", "worker", "outage"),
    "sweep.tell": Point("starter:Starter.cancel", "before", "worker", "outage"),
    "listen.again": Point("store.listener:Listener._listen", "before", "api", "deaf", first=2),
    "feed.read": Point("store.feed:Feed._find_rows", "before", "api"),
    "cancel.in_transaction": Point("store.turns:Turns._stop", "after", "api", "canceled"),
    "cancel.committed": Point("store.turns:Turns.cancel", "after", "api", "canceled"),
    "tell.before": Point("api.desk:Desk._tell", "before", "api", "canceled"),
    "delete.in_transaction": Point("store.conversations:_end_runs", "after", "api", "deleted"),
    "delete.committed": Point("store.conversations:Conversations.delete", "after", "api", "deleted"),
    "note.in_transaction": Point("store.conversations:note", "after", "api", "deleted"),
    "session.in_transaction": Point("store.sessions:_begin", "after", "api", "in_a_browser"),
    "session.committed": Point("store.sessions:Sessions.create", "after", "api", "in_a_browser"),
    "list.page": Point("api.lists:_insisted", "before", "api", "exported"),
    "expire.in_transaction": Point("store.expiry:remove", "after", "worker", "upkeep"),
    "limit.in_transaction": Point("store.limits:Limits.check_line", "before", "api", "pressed"),
    "trigger.in_transaction": Point("store.task_runs:TaskRuns.meet", "after", "api", "triggered"),
    "trigger.committed": Point("store.task_runs:TaskRuns.trigger", "after", "api", "triggered"),
    "fire.before": Point("store.occurrences:Ledger.fire", "before", "worker", "renamed"),
    "fire.in_transaction": Point("store.occurrences:settle", "after", "worker", "renamed"),
    "fire.committed": Point("store.occurrences:Ledger.fire", "after", "worker", "renamed"),
    "catch_up.committed": Point("store.occurrences:Ledger.catch_up", "after", "worker", "vanished"),
    "watch.begin": Point("activities.watch:Watch._heal_all", "before", "worker", "vanished"),
    "watch.told": Point("store.projection:Projections.again", "after", "worker", "vanished"),
    "project.before": Point("schedules:Schedules.keep", "before", "worker", "short_lived"),
    "project.told": Point("schedules:Schedules.keep", "after", "worker", "short_lived"),
    "project.dropped": Point("schedules:Schedules.drop", "after", "worker", "short_lived"),
    "remove.committed": Point("store.tasks:Tasks.delete", "after", "api", "short_lived"),
    "change.in_transaction": Point("store.tasks:_change", "after", "api", "renamed"),
    "event.in_transaction": Point("store.trigger_runs:TriggerRuns.set_off", "after", "api", "followed"),
    "event.committed": Point("store.trigger_events:TriggerEvents.take", "after", "api", "followed"),
    "deliver.in_transaction": Point("store.results:send", "after", "worker", "followed"),
    "deliver.claimed": Point("store.sending:Sending.due", "after", "worker", "followed", full=True),
    "deliver.started": Point("starter:Starter.deliver", "after", "worker", "followed"),
    "attempt.taken": Point("store.sending:Sending.take", "after", "worker", "followed"),
    "attempt.sent": Point("activities.outbound.webhooks:Webhooks.send", "after", "worker", "followed"),
    "attempt.posted": Point("activities.mail:Mail.send", "after", "worker", "followed"),
    "attempt.noted": Point("store.sending:Sending.note", "after", "worker", "followed"),
    "answered": Point("api.answers:_forget", "before", "api", "stateless"),
    "scrub": Point("store.upkeep:Upkeep.scrub", "before", "api", "stateless"),
}


class Failpoint:
    """Armed for one pass of one point: `name:pass:effect`, told in the file `hits` before it happens."""

    def __init__(self, spelled: str, hits: Path) -> None:
        self.name, count, effect = spelled.split(":")
        self._point = POINTS[self.name]
        self._pass = int(count) + self._point.first - 1
        self._effect = effect
        self._hits = hits
        self._passed = 0
        self._struck = False

    def due(self, result: object = True) -> bool:
        self._passed += bool(result) or not self._point.full
        if self._passed != self._pass or self._struck:
            return False
        self._struck = True
        with self._hits.open("a") as file:
            file.write(f"{self.name} {self._effect} {time.time()}\n")
        return True

    def strike(self) -> None:
        """The effects that need no event loop."""
        if self._effect == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif self._effect == "stop":
            os.kill(os.getpid(), signal.SIGSTOP)
        elif self._effect == "raise":
            raise RuntimeError(f"failpoint {self.name}")

    async def reached(self, result: object = True) -> None:
        if self.due(result):
            self.strike()
            if self._effect == "delay":
                await asyncio.sleep(DELAY)

    def reached_in_passing(self) -> None:
        """In code that does not await."""
        if self.due():
            self.strike()
            if self._effect == "delay":
                time.sleep(DELAY)


def arm(spelled: str, hits: Path) -> None:
    """Puts a failpoint into the product as loaded in this process."""
    failpoint = Failpoint(spelled, hits)
    point = POINTS[failpoint.name]
    owner, name = find(point.place)
    wrapped = _awaited if inspect.iscoroutinefunction(getattr(owner, name)) else _passed
    setattr(owner, name, wrapped(getattr(owner, name), failpoint, point.side))


def find(place: str) -> tuple[Any, str]:
    """The module or class that a place is in, and its name there. Raises AttributeError: no such place."""
    module, _, path = place.partition(":")
    *outer, name = path.split(".")
    owner = functools.reduce(getattr, outer, importlib.import_module(module))
    getattr(owner, name)
    return owner, name


def _awaited(function: Callable[..., Any], failpoint: Failpoint, side: Side) -> Callable[..., Any]:
    @functools.wraps(function)
    async def wrapped(*arguments: Any, **named: Any) -> Any:
        if side == "before":
            await failpoint.reached()
        result = await function(*arguments, **named)
        if side == "after":
            await failpoint.reached(result)
        return result

    return wrapped


def _passed(function: Callable[..., Any], failpoint: Failpoint, side: Side) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*arguments: Any, **named: Any) -> Any:
        if side == "before":
            failpoint.reached_in_passing()
        result = function(*arguments, **named)
        if side == "after":
            failpoint.reached_in_passing()
        return result

    return wrapped
