"""Triggers for tests that need one and not the way to it."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from domain import ids
from store import Store
from tests.house import House, eventually
from tests.http import Answer, Api

JSON = dict[str, Any]
DONE = "[model calls=1 tool=_success args=summary:finished]"


async def new_trigger(store: Store, account: str, **columns: Any) -> str:
    """A trigger with these columns, and the hidden task of its schedule; nobody tells Temporal of it."""
    trigger_id, database = ids.trigger(), store.database
    timing = {name: columns.pop(name, None) for name in ("schedule", "timezone")}
    given = {"id": trigger_id, "account_id": account, "secret": b"", "secret_key": ""} | columns
    names, places = ", ".join(given), ", ".join(f"${n}" for n in range(1, len(given) + 1))
    query = f"INSERT INTO trigger ({names}) VALUES ({places})"  # noqa: S608 our own names
    await database.execute(query, *given.values())
    hidden = "INSERT INTO task (id, account_id, trigger_id, schedule, timezone) VALUES ($1, $2, $3, $4, $5)"
    await database.execute(hidden, ids.task(), account, trigger_id, *timing.values())
    return trigger_id


class Source(NamedTuple):
    """Who sends a trigger its events."""

    id: str
    secret: str
    house: House
    part: str = "api"

    @property
    def path(self) -> str:
        return f"/v1/integration/trigger/{self.id}/event"

    async def send(self, body: Any = None, query: str = "", verb: str = "POST", **headers: str) -> Answer:
        """As its source would; bytes are sent as they stand, all else as JSON."""
        raw = body if isinstance(body, bytes) else json.dumps({} if body is None else body).encode()
        shown = {"Authorization": f"Bearer {self.secret}"} if self.secret else {}
        sent = {"Content-Type": "application/json"} | shown | headers
        async with self.house.api(self.part, key="") as api:
            status, answer, told = await api.raw(
                verb, self.path + query, None if verb == "GET" else raw, **sent
            )
        return Answer(status, json.loads(answer) if answer else None, told)

    async def ok(self, body: Any = None, query: str = "", **more: str) -> JSON:
        """What it is told of an event that is taken."""
        status, answer, _ = await self.send(body, query, **more)
        assert status == 200, (status, answer)
        told: JSON = answer
        return told


async def source(house: House, api: Api, description: str = DONE, **fields: Any) -> Source:
    """A trigger, made through the API, and who sends it events with its secret."""
    made = await api.ok("/v1/integration/trigger/create", {"description": description, **fields})
    shown = (await api.get(f"/v1/integration/trigger/{made['id']}/fetch")).body
    signs = shown["authenticate"] is False or "verification" in shown
    return Source(made["id"], "" if signs else shown["secret"], house)


def github(secret: str, body: bytes, delivery: str) -> Mapping[str, str]:
    """The headers of an event as GitHub sends it."""
    mark = hmac.digest(secret.encode(), body, "sha256").hex()
    return {"X-Hub-Signature-256": f"sha256={mark}", "X-GitHub-Delivery": delivery, "X-GitHub-Event": "push"}


def slack(secret: str, body: bytes, at: int) -> Mapping[str, str]:
    """The headers of an event as Slack sends it."""
    mark = hmac.digest(secret.encode(), f"v0:{at}:".encode() + body, "sha256").hex()
    return {"X-Slack-Request-Timestamp": str(at), "X-Slack-Signature": f"v0={mark}"}


def standard(secret: str, body: bytes, name: str, at: int) -> Mapping[str, str]:
    """The headers of an event by Standard Webhooks; `secret` is what comes after `whsec_`."""
    key = base64.b64decode(secret)
    mark = hmac.new(key, f"{name}.{at}.".encode() + body, hashlib.sha256).digest()
    signature = f"v1,{base64.b64encode(mark).decode()}"
    return {"webhook-id": name, "webhook-timestamp": str(at), "webhook-signature": signature}


async def over(api: Api, run: str) -> JSON:
    """The run, once it has ended."""

    async def check() -> JSON:
        found: JSON = (await api.get(f"/v1/run/{run}/fetch")).body
        assert found.get("endedAt"), found
        return found

    return await eventually(check)
