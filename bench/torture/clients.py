"""What the clients do, one after another, in a seeded mix."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable
from typing import Any

from bench.torture import words
from bench.torture.history import History, Op
from bench.torture.ship import WAITING
from bench.torture.talk import LIMIT, Reading, Refused, Reply, Request, Talk, Unknown
from bench.torture.waiting import until

TURNS = 8
"""Turns after which a client begins a new conversation."""
UNKEYED = 0.15
THINKS = (0.0, 0.3)
LEAVES = 0.35
"""The share of listeners who hang up once and come back."""
LIVES = 1.0
"""Seconds until a conversation that is made to expire does so; upkeep comes every minute."""
STATELESS = "/v1/conversation/complete"
EXPORT = Reading(
    "GET", "/v1/conversation/export", lambda last: {"params": {"cursor": last} if last is not None else {}}
)


Headers = dict[str, str]


class Client:
    """One caller with conversations of its own."""

    def __init__(self, name: str, talk: Talk, history: History, seed: int) -> None:
        self._name = name
        self._talk = talk
        self._history = history
        self._chance = random.Random(f"{seed}/{name}")
        self._count = 0
        self._place: str | None = None
        self._turns = 0

    async def run(self, over: asyncio.Event) -> None:
        """One operation after another until told; the last one is finished."""
        while not over.is_set():
            (act,) = self._chance.choices(list(MIX), list(MIX.values()))
            await self.act(act)
            await asyncio.sleep(self._chance.uniform(*THINKS))

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
        await self.ask_turn(self.op("complete", place), "complete")

    async def streamed(self) -> None:
        """A turn, answered as it comes."""
        place = await self._conversation()
        await self._stream_turn(self.op("stream", place))

    async def dispatched(self) -> None:
        """A turn in the background, read from its channel."""
        op = self.op("dispatch", await self._conversation())
        await self._dispatch(op, f"/v1/conversation/{op.conversation}/dispatch", {"text": op.text})

    async def sent_and_received(self) -> None:
        """A message, then the agent on what is there."""
        sent = self.op("send", await self._conversation())
        reply = await self._ask(sent, f"/v1/conversation/{sent.conversation}/send", {"text": sent.text})
        if reply is not None and reply.status == 200:
            received = self.op("receive", sent.conversation)
            received.plain = False  # what it answers may be another's text, with troubles of its own
            await self._ask(received, f"/v1/conversation/{sent.conversation}/receive", {})

    async def stateless(self) -> None:
        await self.stateless_asked(self.op("stateless"))

    async def stateless_streamed(self) -> None:
        op = self.op("stateless")
        await self._listen(op, _resumable(STATELESS, _messages(op), op))

    async def stateless_dispatched(self) -> None:
        op = self.op("stateless dispatch")
        await self._dispatch(op, "/v1/conversation/dispatch", _messages(op))

    async def canceled(self) -> None:
        """A turn that is told to stop while it speaks."""
        op = self.op("canceled", await self._conversation(), pace=40)
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
        op = self.op(kind, await self._conversation(), pace=40)
        listening = asyncio.create_task(self._stream_turn(op))
        await self._spoken(op, self._chance.randint(1, 8))
        louder = self.op("complete", op.conversation)
        louder.interrupts = op.run or ""
        await self.ask_turn(louder, "complete", onBusy=policy)
        await listening

    async def steered(self) -> None:
        """A turn that two more calls join while it speaks, if they come in time."""
        op = self.op("steered", await self._conversation(), pace=40)
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
        op = self.op("deleted", place, pace=40)
        listening = asyncio.create_task(self._stream_turn(op))
        await self._spoken(op, self._chance.randint(1, 12))
        await self._delete(place)
        await listening

    async def expired(self) -> None:
        """A conversation whose time is up while its turn speaks."""
        place = await self.new_conversation(expiresAt=int((time.time() + LIVES) * 1000))
        self._history.expires(place)
        await self._stream_turn(self.op("stream", place, pace=40))

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
        ops = [self.op("complete", place, pace=10, count=10) for _ in range(WAITING + 4)]
        for op in ops:
            op.refusal = LIMIT
        await asyncio.gather(*(self.ask_turn(op, "complete") for op in ops))
        return ops

    async def failed(self) -> None:
        """One that its model refuses."""
        await self.stateless_asked(self.op("stateless", trouble="status=400"))

    async def stateless_asked(self, op: Op) -> None:
        await self._ask(op, STATELESS, _messages(op))

    async def stream(self, op: Op) -> None:
        """A stateless answer, or a turn's, that somebody watches without leaving."""
        op.keyed = True
        path, body = STATELESS, _messages(op)
        if op.conversation is not None:
            path, body = f"/v1/conversation/{op.conversation}/complete", {"text": op.text}
        await self._listen(op, _resumable(path, body, op), leaves=False)

    # What they consist of.

    def op(self, kind: str, place: str | None = None, **how: Any) -> Op:
        """A new operation with words of its own, noted before it is begun; `how` as words.said takes it."""
        op = self._op(kind, conversation=place)
        said = words.said(op.id, self._chance, **how)
        op.text, op.plain, op.expected = said.text, said.plain, said.answer
        op.keyed = self._chance.random() > UNKEYED
        return self._history.invoke(op)

    def _op(self, kind: str, **known: Any) -> Op:
        self._count += 1
        return Op(f"op.{self._name}.{self._count}", kind, **known)

    async def ask_turn(self, op: Op, how: str, **more: str) -> None:
        await self._ask(op, f"/v1/conversation/{op.conversation}/{how}", {"text": op.text, **more})

    async def _stream_turn(self, op: Op, token: Headers | None = None, **more: str) -> None:
        op.keyed = True
        path = f"/v1/conversation/{op.conversation}/complete"
        await self._listen(op, _resumable(path, {"text": op.text, **more}, op, token))

    async def _token(self, place: str) -> Headers:
        """What a page of a new session of a conversation sends in place of a key."""
        op = self._history.invoke(self._op("session", conversation=place))
        reply = await self._ask(op, f"/v1/conversation/{place}/session/create", {})
        if reply is None or reply.status != 200:
            raise Unknown
        return {"Authorization": f"Bearer {reply.body['token']}"}

    async def _listen_in(self, turn: Op, token: Headers) -> None:
        """To a turn that somebody else began."""
        op = self._op("listening", run=turn.run, conversation=turn.conversation, plain=turn.plain)
        subscribe = Request(f"/v1/run/{turn.run}/subscribe", {}, token, lambda after: ({"after": after}, {}))
        await self._listen(self._history.invoke(op), subscribe)

    async def _in_vain(self, op: Op, refusal: str, path: str, token: Headers) -> None:
        """A call that must be refused."""
        op.refusal, op.forbidden, op.keyed = refusal, True, True
        body = {"text": op.text} if op.text else {}
        await self._settled(op, self._talk.ask(op, Request(f"/v1/{path}", body, _key(op) | token)))

    async def _ask(self, op: Op, path: str, body: dict[str, Any]) -> Reply | None:
        return await self._settled(op, self._talk.ask(op, Request(path, body, _key(op))))

    async def _settled(self, op: Op, asked: Awaitable[Reply]) -> Reply | None:
        """Notes what became of a call that is answered whole."""
        try:
            reply = await asked
        except Unknown:
            self._history.over(op, "unknown")
            return None
        # 422 is the answer of a run that was accepted and failed; what refuses may name somebody else's run.
        accepted = reply.status in (200, 422)
        op.run = (reply.run or reply.body.get("runId") or op.run) if accepted else op.run
        op.made = reply.body.get("id")
        op.answer = reply.body.get("text")
        op.end = (reply.body.get("end") or {}).get("reason")
        op.error = reply.body.get("code")
        self._history.over(op, "ok" if accepted else "fail")
        return reply

    async def _dispatch(self, op: Op, path: str, body: dict[str, Any]) -> None:
        op.keyed = True  # by its channel
        channel = f"torture-channel-{_plain(op)}-{self._chance.randrange(10**9)}"
        try:
            reply = await self._talk.ask(op, Request(path, {**body, "channelId": channel}, {}))
        except Unknown:
            return self._history.over(op, "unknown")
        if reply.status != 200:
            op.error = reply.body.get("code")
            return self._history.over(op, "fail")
        op.run = reply.body["runId"]
        subscribe = Request(f"/v1/channel/{channel}/subscribe", {}, {}, lambda after: ({"after": after}, {}))
        await self._listen(op, subscribe)

    async def _listen(self, op: Op, request: Request, *, leaves: bool = True) -> None:
        leave = self._chance.randint(1, 20) if leaves and self._chance.random() < LEAVES and op.keyed else 0
        try:
            _, kind, data = await self._talk.listen(op, request, leave=leave)
        except Unknown:
            return self._history.over(op, "unknown")
        except Refused as refused:
            op.error = refused.code
            return self._history.over(op, "fail")
        # The run it is told of may be one that answers for its own.
        op.run = op.run or data.get("runId")
        if kind == "error":
            op.error = data["code"]
        else:
            op.answer, op.end = data["text"], data["end"]["reason"]
        self._history.over(op, "ok")

    async def _spoken(self, op: Op, events: int) -> None:
        """Returns once the operation has heard so much, or is over, or after a while."""
        times = self._talk.times[op.id]
        await until(lambda: op.outcome != "unknown" or len(times) >= events, 8)

    async def _conversation(self) -> str:
        self._turns += 1
        if self._place is None or self._turns > TURNS:
            self._place, self._turns = await self.new_conversation(), 0
        return self._place

    async def new_conversation(self, **body: int) -> str:
        """Raises Unknown; one that was to expire may be too late when it is asked for again."""
        op = self._op("create", refusal="BAD_REQUEST" if "expiresAt" in body else "")
        reply = await self._ask(self._history.invoke(op), "/v1/conversation/create", body)
        if reply is None or reply.status != 200:
            raise Unknown
        made: str = reply.body["id"]
        return made

    async def _delete(self, place: str) -> None:
        self._history.dooms(place)
        op = self._history.invoke(self._op("delete", conversation=place))
        await self._settled(op, self._talk.ask(op, Request(f"/v1/conversation/{place}/delete", {}, {})))
        if op.outcome == "ok" or op.error == "NOT_FOUND":  # an earlier try did it
            self._history.deletes(place)


def _messages(op: Op) -> dict[str, Any]:
    return {"messages": [{"type": "user", "text": op.text}]}


def _key(op: Op) -> Headers:
    return {"Idempotency-Key": _plain(op)} if op.keyed else {}


def _plain(op: Op) -> str:
    """An operation's name where it is not a word of its own, so that nobody takes it for what was said."""
    return op.id.replace(".", "-")


def _resumable(path: str, body: dict[str, Any], op: Op, token: Headers | None = None) -> Request:
    """A stream that the same call under the same key takes up again."""
    if not op.keyed:
        return Request(path, body, {})
    return Request(path, body, _key(op) | (token or {}), lambda after: ({}, {"Last-Event-ID": str(after)}))


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
}
"""Operations by the names of their methods, and their weights."""
