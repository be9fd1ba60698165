"""What clients do with agents that wait for them: publish, answer with another call, let them settle."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

from bench.torture import equipment
from bench.torture.caller import Caller, messages, resumable, spoken
from bench.torture.history import Op
from bench.torture.waiting import until
from bench.torture.words import CANARY
from deploy.demo_model import ANSWERED

STATELESS = "/v1/conversation/complete"
WAIT = "waitForChannelMessageBegin"
MISTAKES = 0.15
"""The share of publishes that say that something went wrong."""


class Agents(Caller):
    """A caller whose agents need it."""

    async def worked(self) -> None:
        """Tools, several at once, for several rounds."""
        place = await self._conversation() if self._chance.random() < 0.7 else None
        op = self._op("stream" if place else "stateless", conversation=place)
        self.equipped(op, equipment.tools(op.id, self._chance, self._talk.tools))
        await self.begin(op)

    async def answered(self) -> None:
        """A function on a channel, answered whenever the agent waits; now and then before it does."""
        op = await self._waiting(
            self._chance.choice(("stream", "stateless", "dispatch", "stateless dispatch"))
        )
        ahead = self._chance.choice((0, 0, 1))
        for _ in range(ahead):
            await self._publish(op.channel or "")
        await asyncio.gather(self.begin(op), self._answer(op, ahead))

    async def answered_together(self) -> None:
        """Two agents who wait on one channel, each with somebody who answers."""
        first = await self._waiting("dispatch")
        second = await self._waiting("stateless dispatch", first.channel)
        await asyncio.gather(
            *(self.begin(op) for op in (first, second)), *(self._answer(op) for op in (first, second))
        )

    async def handed_over(self) -> None:
        """A function of the caller's own: the run ends, and another goes on with what the caller found."""
        place = await self.new_conversation()
        op = self._op("caller", conversation=place, ends="activity")
        self.equipped(op, equipment.callers(self._chance))
        op.expected = ""
        reply = await self._ask(op, f"/v1/conversation/{place}/complete", spoken(op))
        if reply is None or op.end != "activity":
            return
        found = [await self._respond(place, asked["meta"]["activity"]) for asked in reply.body["messages"]]
        more = self._op("continued", conversation=place, plain=op.plain, body=op.body)
        more.expected = f"{ANSWERED} {' '.join(found)}"
        self._history.invoke(more)
        await self._ask(more, f"/v1/conversation/{place}/receive", op.body)

    async def settled(self) -> None:
        """An agent in the background that pauses, or says itself that it is done."""
        place = await self._conversation() if self._chance.random() < 0.5 else None
        op = self._op("dispatch" if place else "stateless dispatch", conversation=place)
        if self._chance.random() < 0.5:
            self.equipped(op, equipment.settles("_delay", "seconds:1"))
        else:
            self.equipped(op, equipment.settles("_success", f"summary:{op.id}"))
            op.expected = op.id
        await self.begin(op)

    async def call_once(self, ability: str, fault: str) -> None:
        """One call of one ability."""
        op = self._op("stream", conversation=await self.new_conversation())
        self.equipped(op, equipment.one(op.id, self._talk.tools, ability, fault), pace=0)
        await self.begin(op)

    def asking(self) -> Op:
        """A new operation whose agent asks once, on a channel."""
        op = self._op("stateless dispatch")
        return self.equipped(op, equipment.ask(self._channel(op)), pace=0)

    async def _waiting(self, kind: str, channel: str | None = None) -> Op:
        """A new operation whose agent asks on a channel."""
        place = await self._conversation() if kind in ("stream", "dispatch") else None
        op = self._op(kind, conversation=place)
        where = channel or self._channel(op)
        given = equipment.waits(op.id, self._chance, self._talk.tools, where)
        self.equipped(op, given, pace=self._chance.choice((0, 5, 20)))
        op.keyed = True
        return op

    async def begin(self, op: Op) -> None:
        """Listens to an operation of one of the kinds that can be listened to."""
        if op.kind.endswith("dispatch"):
            path = (
                f"/v1/conversation/{op.conversation}/dispatch"
                if op.conversation
                else "/v1/conversation/dispatch"
            )
            return await self._dispatch(op, path, spoken(op) if op.conversation else messages(op))
        if op.conversation:
            return await self._stream_turn(op)
        await self._listen(op, resumable(STATELESS, messages(op), op))

    async def _answer(self, op: Op, done: int = 0) -> None:
        """Publishes once for every wait that is heard to begin, until the operation is over."""
        while not op.over_at:
            if await until(partial(_waits_for, op, done + 1), 1) and not op.over_at:
                await self._publish(op.channel or "")
                done += 1

    async def _publish(self, channel: str) -> None:
        """Once without a key and, if nobody knows what became of it, or from the beginning, under one."""
        if self._chance.random() < 0.3 and (await self.say(channel, keyed=False)).outcome == "ok":
            return
        await self.say(channel, keyed=True)

    async def say(self, channel: str, *, keyed: bool) -> Op:
        op = self._op("publish", channel=channel, keyed=keyed)
        op.text = f"{CANARY} {op.id} answers"
        said = "error" if self._chance.random() < MISTAKES else "result"
        await self._ask(
            self._history.invoke(op), f"/v1/channel/{channel}/publish", {"message": {said: op.text}}
        )
        return op

    async def _respond(self, place: str, asked: dict[str, Any]) -> str:
        """Puts what a caller found into a conversation, and returns it."""
        op = self._op("respond", conversation=place, keyed=True)
        op.text = f"{CANARY} {op.id} found"
        done = asked | {"type": "response", "function": asked["function"] | {"result": op.text}}
        body = {"type": "activity", "text": "", "meta": {"activity": done}}
        await self._ask(self._history.invoke(op), f"/v1/conversation/{place}/message/create", body)
        return op.text


def _waits_for(op: Op, count: int) -> bool:
    """Whether so many waits of an operation have begun, or it is over."""
    begun = sum(kind == WAIT for heard in op.heard for _, kind, _ in heard)
    return op.over_at > 0 or begun >= count
