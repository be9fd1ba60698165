"""Attempts to deliver results."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from temporalio import activity

from activities.failures import reported
from activities.fence import fence
from activities.patience import beating, patiently
from domain import attempt
from domain.attempt import Came, Pace
from domain.errors import SecretUnusable
from domain.plans import AttemptResult, DeliveryInput

if TYPE_CHECKING:
    from activities.mail import Mail
    from activities.outbound.webhooks import Webhooks
    from starter import Starter
    from store import Store
    from store.sending import Taken
    from telemetry.meters import Meters


AT_ONCE = 64
"""Attempts that are made in places of runs, by one worker; others are made apart (worker.py)."""


class Ways(NamedTuple):
    """Out of here."""

    webhooks: Webhooks
    mail: Mail


class Deliveries:
    def __init__(self, store: Store, ways: Ways, starter: Starter, meters: Meters, pace: Pace) -> None:
        self._store = store
        self._ways = ways
        self._starter = starter
        self._meters = meters
        self._pace = pace
        self._beside = 0

    @activity.defn(name="delivery.attempt")
    async def attempt(self, input: DeliveryInput) -> AttemptResult:
        """Sends it, if its target may be asked now, and says when to try again."""
        if input.apart:
            return await self._tried(input)
        if self._beside >= AT_ONCE:
            return AttemptResult(over=False, crowded=True)
        self._beside += 1
        try:
            return await self._tried(input)
        finally:
            self._beside -= 1

    async def _tried(self, input: DeliveryInput) -> AttemptResult:
        async with reported(), beating():
            grip = (fence(), uuid.uuid4().hex)
            turn = await patiently(lambda: self._store.sending.take(input, *grip, self._pace))
            if turn.gave_up is not None:
                self._meters.delivered(turn.gave_up, "dead")
            if turn.taken is None:
                return AttemptResult(over=turn.over, seconds=turn.seconds)
            return await self._made(turn.taken)

    async def _made(self, taken: Taken) -> AttemptResult:
        came = await self._sent(taken)
        noted = await patiently(lambda: self._store.sending.note(taken.hold, came, self._pace))
        self._meters.attempted(taken.kind, came.code or "delivered", came.seconds)
        if noted.state is not None:
            self._meters.delivered(taken.kind, "retried" if noted.state == "pending" else noted.state)
        for one in noted.next:
            if one.fresh:
                self._starter.deliver_soon(one.errand)
            else:
                self._starter.look_soon(one.errand)
        return AttemptResult(over=noted.state != "pending", seconds=noted.seconds)

    async def _sent(self, taken: Taken) -> Came:
        try:
            if taken.kind == "email":
                return attempt.posted(await self._ways.mail.send(self._store.sending.letter(taken)))
            webhook = self._store.sending.webhook(taken)
            return attempt.heard(await self._ways.webhooks.send(webhook.attempt(datetime.now(UTC))))
        except SecretUnusable as trouble:
            return Came(code=trouble.code, body=trouble.message, ours=True)
