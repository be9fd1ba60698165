"""What the operations of a client consist of: calls that are repeated, streams that are taken up again."""

from __future__ import annotations

import random
from collections.abc import Awaitable
from typing import Any

from bench.torture import equipment, words
from bench.torture.equipment import Equipment
from bench.torture.history import History, Op
from bench.torture.talk import Refused, Reply, Request, Talk, Unknown
from bench.torture.waiting import until
from bench.torture.words import Manner
from deploy.demo_model import ANSWERED

TURNS = 8
"""Turns after which a client begins a new conversation."""
UNKEYED = 0.15
EQUIPPED = 0.3
"""The share of answers before which tools are called."""
LEAVES = 0.35
"""The share of listeners who hang up once and come back."""

Headers = dict[str, str]


class Caller:
    """One caller with conversations of its own."""

    def __init__(self, name: str, talk: Talk, history: History, seed: int) -> None:
        self._name = name
        self._talk = talk
        self._history = history
        self._chance = random.Random(f"{seed}/{name}")
        self._count = 0
        self._place: str | None = None
        self._turns = 0

    def op(self, kind: str, place: str | None = None, **how: Any) -> Op:
        """A new operation with words of its own, noted before it is begun; `how` as words.Manner has it."""
        return self._history.invoke(self._speaking(self._op(kind, conversation=place), Manner(**how)))

    def equipped(self, op: Op, given: Equipment, **how: Any) -> Op:
        """A new operation (`_op`) whose agent has tools, and whose model calls them."""
        self._speaking(op, Manner(**how, calls=given.calls))
        op.expected, op.body, op.channel = ANSWERED, given.body, given.channel
        return self._history.invoke(op)

    def working(self, kind: str, place: str | None = None, *, silent: bool = False, **how: Any) -> Op:
        """A new operation, now and then of an agent with tools; `silent` if it may wait for nobody."""
        if self._chance.random() > EQUIPPED:
            return self.op(kind, place, **how)
        op = self._op(kind, conversation=place)
        if silent and self._chance.random() < 0.5:
            return self.equipped(op, equipment.silence(self._chance, self._channel(op)), **how)
        return self.equipped(op, equipment.tools(op.id, self._chance, self._talk.tools), **how)

    def _speaking(self, op: Op, manner: Manner) -> Op:
        said = words.said(op.id, self._chance, manner)
        op.text, op.plain, op.expected = said.text, said.plain, said.answer
        op.keyed = self._chance.random() > UNKEYED
        return op

    def _channel(self, op: Op) -> str:
        """A name for a new channel."""
        return f"torture-channel-{_plain(op)}-{self._chance.randrange(10**9)}"

    def _op(self, kind: str, **known: Any) -> Op:
        self._count += 1
        return Op(f"op.{self._name}.{self._count}", kind, **known)

    async def ask_turn(self, op: Op, how: str, **more: str) -> None:
        await self._ask(op, f"/v1/conversation/{op.conversation}/{how}", {"text": op.text, **op.body, **more})

    async def _stream_turn(self, op: Op, token: Headers | None = None, **more: str) -> None:
        op.keyed = True
        path = f"/v1/conversation/{op.conversation}/complete"
        await self._listen(op, resumable(path, spoken(op) | more, op, token))

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
        await self._settled(op, self._talk.ask(op, Request(f"/v1/{path}", body, key(op) | token)))

    async def _ask(self, op: Op, path: str, body: dict[str, Any]) -> Reply | None:
        return await self._settled(op, self._talk.ask(op, Request(path, body, key(op))))

    async def _settled(self, op: Op, asked: Awaitable[Reply]) -> Reply | None:
        """Notes what became of a call that is answered whole."""
        try:
            reply = await asked
        except Unknown:
            self._history.over(op, "unknown")
            return None
        # 422 is the answer of a run that was accepted and failed; what refuses may name somebody else's run.
        accepted = reply.status in (200, 422)
        if accepted:
            op.run = reply.run or reply.body.get("runId") or reply.body.get("executionId") or op.run
        op.made = reply.body.get("id")
        op.answer = reply.body.get("text")
        op.end = (reply.body.get("end") or {}).get("reason")
        op.error = reply.body.get("code")
        self._history.over(op, "ok" if accepted else "fail")
        return reply

    async def _dispatch(self, op: Op, path: str, body: dict[str, Any]) -> None:
        op.keyed = True  # by its channel
        channel = self._channel(op)
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
        return (await self._made(op, "/v1/conversation/create", body)).made or ""

    async def _made(self, op: Op, path: str, body: dict[str, Any]) -> Op:
        """A new operation (`_op`) that makes something. Raises Unknown where nothing was made."""
        reply = await self._ask(self._history.invoke(op), path, body)
        if reply is None or reply.status != 200:
            raise Unknown
        return op

    async def _delete(self, place: str) -> None:
        self._history.dooms(place)
        op = self._history.invoke(self._op("delete", conversation=place))
        await self._settled(op, self._talk.ask(op, Request(f"/v1/conversation/{place}/delete", {}, {})))
        if op.outcome == "ok" or op.error == "NOT_FOUND":  # an earlier try did it
            self._history.deletes(place)


def spoken(op: Op) -> dict[str, Any]:
    """The body of a turn."""
    return {"text": op.text, **op.body}


def messages(op: Op) -> dict[str, Any]:
    """The body of a stateless completion."""
    return {"messages": [{"type": "user", "text": op.text}], **op.body}


def key(op: Op) -> Headers:
    return {"Idempotency-Key": _plain(op)} if op.keyed else {}


def _plain(op: Op) -> str:
    """An operation's name where it is not a word of its own, so that nobody takes it for what was said."""
    return op.id.replace(".", "-")


def resumable(path: str, body: dict[str, Any], op: Op, token: Headers | None = None) -> Request:
    """A stream that the same call under the same key takes up again."""
    if not op.keyed:
        return Request(path, body, {})
    return Request(path, body, key(op) | (token or {}), lambda after: ({}, {"Last-Event-ID": str(after)}))
