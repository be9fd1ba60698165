"""What the clients do, one after another, in a seeded mix."""

from __future__ import annotations

import asyncio
import time

from bench.torture.caller import messages, resumable, spoken
from bench.torture.history import Op
from bench.torture.ship import WAITING
from bench.torture.talk import LIMIT, Reading, Refused, Request, Unknown
from bench.torture.triggers import Sender

THINKS = (0.0, 0.3)
PAUSES = (2.0, 5.0)
"""Of a source: each event is a run."""
LIVES = 1.0
"""Seconds until a conversation that is made to expire does so; upkeep comes every minute."""
STATELESS = "/v1/conversation/complete"
EXPORT = Reading(
    "GET", "/v1/conversation/export", lambda last: {"params": {"cursor": last} if last is not None else {}}
)


class Client(Sender):
    """One caller with conversations of its own."""

    async def run(self, over: asyncio.Event) -> None:
        """One operation after another until told; the last one is finished."""
        await self._run(over, MIX, THINKS)

    async def post_all(self, over: asyncio.Event) -> None:
        """As `run`, of somebody who is the source of events and nothing else."""
        await self._run(over, EVENTS, PAUSES)

    async def _run(self, over: asyncio.Event, mix: dict[str, int], pauses: tuple[float, float]) -> None:
        while not over.is_set():
            (act,) = self._chance.choices(list(mix), list(mix.values()))
            await self.act(act)
            await asyncio.sleep(self._chance.uniform(*pauses))

    async def act(self, name: str) -> None:
        """One operation by its method's name."""
        try:
            await getattr(self, name)()
        except Unknown:
            await asyncio.sleep(0.2)

    # The operations.

    async def whole(self) -> None:
        """A turn, answered at once."""
        place = await self._conversation()
        await self.ask_turn(self.working("complete", place), "complete")

    async def streamed(self) -> None:
        """A turn, answered as it comes."""
        place = await self._conversation()
        await self._stream_turn(self.working("stream", place))

    async def dispatched(self) -> None:
        """A turn in the background, read from its channel."""
        op = self.working("dispatch", await self._conversation())
        body = spoken(op) | self.to_deliver(op)
        await self._dispatch(op, f"/v1/conversation/{op.conversation}/dispatch", body)

    async def sent_and_received(self) -> None:
        """A message, then the agent on what is there."""
        sent = self.op("send", await self._conversation())
        reply = await self._ask(sent, f"/v1/conversation/{sent.conversation}/send", {"text": sent.text})
        if reply is not None and reply.status == 200:
            received = self.op("receive", sent.conversation)
            received.plain = False  # what it answers may be another's text, with troubles of its own
            await self._ask(received, f"/v1/conversation/{sent.conversation}/receive", {})

    async def stateless(self) -> None:
        await self.stateless_asked(self.working("stateless"))

    async def stateless_streamed(self) -> None:
        op = self.working("stateless")
        await self._listen(op, resumable(STATELESS, messages(op), op))

    async def stateless_dispatched(self) -> None:
        op = self.working("stateless dispatch")
        await self._dispatch(op, "/v1/conversation/dispatch", messages(op) | self.to_deliver(op))

    async def canceled(self) -> None:
        """A turn that is told to stop while it speaks."""
        op = self.working("canceled", await self._conversation(), silent=True, pace=40)
        listening = asyncio.create_task(self._stream_turn(op))
        await self._spoken(op, self._chance.randint(1, 12))
        if op.run is not None:
            cancel = Op(f"{op.id}.cancel", "cancel", run=op.run)
            self._history.invoke(cancel)
            await self._settled(cancel, self._talk.ask(cancel, Request(f"/v1/run/{op.run}/cancel", {}, {})))
        await listening

    async def interrupted(self) -> None:
        """A turn that another one interrupts."""
        await self._overruled("interrupted", "interrupt")

    async def rolled_back(self) -> None:
        """A turn that another one undoes."""
        await self._overruled("rolled_back", "rollback")

    async def _overruled(self, kind: str, policy: str) -> None:
        op = self.working(kind, await self._conversation(), silent=True, pace=40)
        listening = asyncio.create_task(self._stream_turn(op))
        await self._spoken(op, self._chance.randint(1, 8))
        louder = self.op("complete", op.conversation)
        louder.interrupts = op.run or ""
        await self.ask_turn(louder, "complete", onBusy=policy)
        await listening

    async def steered(self) -> None:
        """A turn that two more calls join while it speaks, if they come in time."""
        op = self.working("steered", await self._conversation(), pace=40)
        listening = [asyncio.create_task(self._stream_turn(op))]
        await self._spoken(op, self._chance.randint(1, 8))
        for _ in range(2):
            more = self.op("steering", op.conversation)
            listening.append(asyncio.create_task(self._stream_turn(more, onBusy="steer")))
            await asyncio.sleep(self._chance.uniform(*THINKS))
        await asyncio.gather(*listening)

    async def deleted(self) -> None:
        """A conversation that is deleted while its turn speaks."""
        place = await self.new_conversation()
        await self.ask_turn(self.op("complete", place), "complete")
        op = self.working("deleted", place, silent=True, pace=40)
        listening = asyncio.create_task(self._stream_turn(op))
        await self._spoken(op, self._chance.randint(1, 12))
        await self._delete(place)
        await listening

    async def expired(self) -> None:
        """A conversation whose time is up while its turn speaks."""
        place = await self.new_conversation(expiresAt=int((time.time() + LIVES) * 1000))
        self._history.expires(place)
        await self._stream_turn(self.working("stream", place, pace=40))

    async def in_a_browser(self) -> None:
        """A page with the token of one conversation speaks, listens, and reaches nothing else."""
        elsewhere, place = await self._conversation(), await self.new_conversation()
        token = await self._token(place)
        turn = self.op("stream", place, pace=40)
        speaking = asyncio.create_task(self._stream_turn(turn, token))
        await self._spoken(turn, self._chance.randint(1, 8))
        if turn.run is not None:
            await self._listen_in(turn, token)
        await self._in_vain(self.op("send", elsewhere), "NOT_FOUND", f"conversation/{elsewhere}/send", token)
        closed = self._history.invoke(self._op("forbidden", conversation=place))
        await self._in_vain(closed, "NOT_AUTHORIZED", f"conversation/{place}/update", token)
        await speaking

    async def outlived(self) -> None:
        """A token opens nothing any more once its conversation is deleted."""
        place = await self.new_conversation()
        token = await self._token(place)
        await self._stream_turn(self.op("stream", place), token)
        await self._delete(place)
        if place in self._history.deleted:
            late = self.op("send", place)
            await self._in_vain(late, "NOT_AUTHENTICATED", f"conversation/{place}/send", token)

    async def exported(self) -> None:
        """All conversations there are, page after page."""
        op = self._history.invoke(self._op("export"))
        try:
            await self._talk.read(op, EXPORT)
        except Unknown:
            return self._history.over(op, "unknown")
        except Refused as refused:
            op.error = refused.code
            return self._history.over(op, "fail")
        self._history.over(op, "ok")

    async def crowded(self) -> None:
        """Several turns of one conversation at once: one after another, or refused."""
        place = await self._conversation()
        busy = self._chance.choice(("enqueue", "enqueue", "reject"))
        ops = [self.op("complete", place) for _ in range(3)]
        for op in ops:
            op.refusal = "CONFLICT" if busy == "reject" else ""
        await asyncio.gather(*(self.ask_turn(op, "complete", onBusy=busy) for op in ops))

    async def pressed(self) -> list[Op]:
        """More turns of one conversation than may wait: those too many are refused, and leave nothing."""
        place = await self.new_conversation()
        ops = [self.op("complete", place, pace=10, length=10) for _ in range(WAITING + 4)]
        for op in ops:
            op.refusal = LIMIT
        await asyncio.gather(*(self.ask_turn(op, "complete") for op in ops))
        return ops

    async def failed(self) -> None:
        """One that its model refuses."""
        await self.stateless_asked(self.op("stateless", trouble="status=400"))

    async def stateless_asked(self, op: Op) -> None:
        await self._ask(op, STATELESS, messages(op))

    async def stream(self, op: Op) -> None:
        """A stateless answer, or a turn's, that somebody watches without leaving."""
        op.keyed = True
        path, body = STATELESS, messages(op)
        if op.conversation is not None:
            path, body = f"/v1/conversation/{op.conversation}/complete", spoken(op)
        await self._listen(op, resumable(path, body, op), leaves=False)


MIX = {
    "whole": 12,
    "streamed": 16,
    "dispatched": 20,
    "sent_and_received": 10,
    "stateless": 8,
    "stateless_streamed": 8,
    "stateless_dispatched": 6,
    "canceled": 7,
    "interrupted": 5,
    "rolled_back": 3,
    "steered": 5,
    "deleted": 5,
    "in_a_browser": 5,
    "outlived": 2,
    "expired": 2,
    "exported": 4,
    "crowded": 3,
    "pressed": 2,
    "failed": 1,
    "worked": 6,
    "answered": 8,
    "answered_together": 3,
    "handed_over": 4,
    "settled": 3,
    "triggered": 4,
    "triggered_together": 2,
    "called_off": 2,
    "stopped": 1,
    "renamed": 1,
    "short_lived": 2,
    "followed": 2,
    "set_off": 2,
}
"""Operations by the names of their methods, and their weights."""
EVENTS = {
    "posted": 8,
    "posted_together": 3,
    "posted_shuffled": 3,
    "posted_in_order": 3,
    "posted_otherwise": 2,
    "forged": 1,
    "replayed": 1,
}
"""Of a source."""
