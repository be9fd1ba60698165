"""What clients do with triggers: post events as their sources do, once and again, set them off by hand."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any
from urllib.parse import quote

from bench.torture import signing
from bench.torture.history import Op
from bench.torture.signing import Source
from bench.torture.talk import Reply, Request
from bench.torture.tasks import MAIL, QUICK, Owner
from bench.torture.words import CANARY, Manner

AGAIN = 0.3
"""The share of events that are posted again when they were answered."""
TOGETHER = 5
"""Copies of one event at once."""
SESSION = 20_000
OWN = {"sessionDuration": 0}
"""Each event has its own conversation."""
KEYS = ("a", "b")
"""Of each client, whose events of one key go one after another."""
SESSIONS = ("s1", "s2", "s3", None)
HEADER, POINTER = "X-Order", "/key"
"""Where an event says its ordering key."""
MINUTELY = "* * * * *"
CALLED = {"call/1": 5, "call/2": 5, "tide/call": 4, "never": 1}
"""Where the results of calls go at the sink, with weights."""
DELIVERS = 0.25
"""The share of dispatches whose result is to be delivered."""


def standing(sink: str) -> tuple[dict[str, Any], ...]:
    """The triggers that are there all the while; the last one has a schedule too."""
    webhook, mail = {"webhook": {"url": f"{sink}/trigger"}}, {"email": {"to": [MAIL]}}
    tide = {"webhook": {"url": f"{sink}/tide/trigger", "headers": {"X-Of": "torture"}}}
    return (
        {"verification": {"preset": "github"}, "sessionDuration": SESSION, "delivery": webhook},
        {
            "verification": {"preset": "standard-webhooks"},
            "orderingKey": {"header": HEADER},
            "delivery": tide | mail,
            **OWN,
        },
        {"eventId": {"pointer": "/id"}, "orderingKey": {"pointer": POINTER}, "delivery": mail, **OWN},
        {"schedule": MINUTELY, "delivery": webhook, **OWN},
    )


class Sender(Owner):
    """A caller who has triggers, and is their sources too."""

    async def connect_all(self) -> None:
        """Makes those that everybody uses. Raises Unknown."""
        for given in standing(self._talk.sink):
            self._history.sources.append(await self.connect(given))

    async def calm(self) -> None:
        """No trigger is due by its schedule any more."""
        for source in self._history.sources[-1:]:
            op = self._history.invoke(self._op("change trigger", trigger=source.trigger))
            await self._ask(op, f"/v1/integration/trigger/{source.trigger}/update", {"schedule": None})

    async def connect(self, given: dict[str, Any]) -> Source:
        """A new trigger. Raises Unknown."""
        op, preset = self._op("connect"), given.get("verification", {}).get("preset", "secret")
        self._speaking(op, Manner(**QUICK))
        op.keyed, secret = True, signing.secret(self._chance, preset)
        if preset != "secret":
            given = given | {"verification": {"preset": preset, "secrets": [secret]}}
        await self._made(op, "/v1/integration/trigger/create", {"description": op.text, **given})
        shown = await self._talk.fetch(f"/v1/integration/trigger/{op.made}/fetch")
        secret = secret if preset != "secret" else shown["secret"]
        source = Source(op.made or "", preset, secret, "orderingKey" in given)
        self._history.triggers[source.trigger] = source
        return source

    # The operations.

    async def posted(self) -> None:
        """An event; now and then its source does not believe that it was taken."""
        op = self.event(self._source())
        await self.post(op)
        if self._chance.random() < AGAIN:
            await self.post(op)

    async def followed(self) -> None:
        """An event whose run is listened to."""
        op = self.event(self._source())
        await self.post(op)
        if op.run is not None:
            await self._listen_in(op, {})

    async def posted_together(self) -> None:
        """Copies of one event at once."""
        op = self.event(self._source())
        await asyncio.gather(*(self.post(op) for _ in range(TOGETHER)))

    async def posted_shuffled(self) -> None:
        """Several events, some of them more than once, in any order, some at once."""
        ops = [self.event(self._source()) for _ in range(3)]
        copies = [op for op in ops for _ in range(1 + (self._chance.random() < AGAIN))]
        self._chance.shuffle(copies)
        await asyncio.gather(*(self.post(op) for op in copies[::2]))
        for op in copies[1::2]:
            await self.post(op)

    async def posted_in_order(self) -> None:
        """Events of one key, each when the one before it was taken; an early one once more at the end."""
        source = self._chance.choice([one for one in self._history.sources if one.ordered])
        order = f"{self._name}-{self._chance.choice(KEYS)}"
        ops = list[Op]()
        for _ in range(3):
            ops.append(self.event(source, order))
            await self.post(ops[-1])
        if self._chance.random() < AGAIN:
            await self.post(ops[0])

    async def posted_otherwise(self) -> None:
        """Another event under a name that was given already."""
        op = self.event(self._source())
        await self.post(op)
        if op.outcome == "ok":
            other = self._op("other event", trigger=op.trigger, event=op.event, refusal="CONFLICT")
            other.forbidden, other.text, other.order = True, f"{CANARY} {other.id} is another", op.order
            await self.post(self._history.invoke(other))

    async def forged(self) -> None:
        """What its source did not sign is refused."""
        op = self.event(self._source(), kind="forged event")
        op.forbidden, op.refusal = True, "NOT_AUTHENTICATED"
        await self.post(op, forged=True)

    async def set_off(self) -> None:
        """A trigger set off by hand, now and then several times under one key."""
        source = self._chance.choice(self._history.sources)
        op = self._history.invoke(self._op("invoke", trigger=source.trigger, keyed=True))
        path = f"/v1/integration/trigger/{source.trigger}/invoke"
        times = self._chance.choice((1, 1, 3))
        for reply in await asyncio.gather(*(self._ask(op, path, {}) for _ in range(times))):
            _note(op, reply)

    async def replayed(self) -> None:
        """An event whose run is to be made anew."""
        first = self.event(self._source())
        await self.post(first)
        if first.outcome == "ok":
            op = self._history.invoke(self._op("replay", trigger=first.trigger, keyed=True))
            path = f"/v1/integration/trigger/{op.trigger}/event/{first.told[0]['eventId']}/replay"
            _note(op, await self._ask(op, path, {}))

    # What they consist of.

    def to_deliver(self, op: Op) -> dict[str, Any]:
        """What a dispatch says of where its result goes, which it now and then does."""
        if self._chance.random() > DELIVERS:
            return {}
        (place,) = self._chance.choices([*CALLED], [*CALLED.values()])
        op.delivers = f"{self._talk.sink}/{place}"
        return {"delivery": {"webhook": {"url": op.delivers}}}

    def _source(self) -> Source:
        return self._chance.choice(self._history.sources)

    def event(self, source: Source, order: str | None = None, kind: str = "event") -> Op:
        """A new one with words of its own, under a name of its own."""
        op = self._op(kind, trigger=source.trigger, order=order, keyed=True)
        op.event, op.text = op.id.replace(".", "-"), f"{CANARY} {op.id} happened"
        op.session = self._chance.choice(SESSIONS)
        return self._history.invoke(op)

    async def post(self, op: Op, *, forged: bool = False) -> None:
        """One copy of an event, until somebody can tell what became of it."""
        source = self._history.triggers[op.trigger or ""]
        body = body_of(op)
        headers = _signed(source._replace(secret=f"no {source.secret}") if forged else source, op, body)
        base = self._chance.choice(("/v1", "/api/v1"))
        query = "" if op.session is None else f"?session={quote(op.session)}&kept=also"
        path = f"{base}/integration/trigger/{source.trigger}/event{query}"
        _note(op, await self._settled(op, self._talk.ask(op, Request(path, {}, headers, raw=body))))


def body_of(op: Op) -> bytes:
    """The very bytes of an event."""
    return json.dumps({"id": op.event, "key": op.order, "text": op.text}).encode()


def _signed(source: Source, op: Op, body: bytes) -> dict[str, str]:
    assert op.event is not None
    order = {HEADER: op.order} if op.order and source.preset == "standard-webhooks" else {}
    if source.preset == "github":
        return order | signing.github(source.secret, op.event, body)
    if source.preset == "standard-webhooks":
        secret = source.secret.removeprefix("no ")
        broken = body + b" " if secret != source.secret else body
        return order | signing.standard(secret, op.event, broken)
    return order | {"Idempotency-Key": op.event, "Authorization": f"Bearer {source.secret}"}


def _note(op: Op, reply: Reply | None) -> None:
    if reply is not None and reply.status == 200:
        op.told.append(reply.body)
        op.acknowledged_at = op.acknowledged_at or time.time()
