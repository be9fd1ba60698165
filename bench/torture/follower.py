"""Somebody who follows the audit log from its first entry, whatever breaks, until all is over."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from bench.torture.history import History, Op
from bench.torture.ship import APIS, Ship
from bench.torture.talk import Reading, Refused, Talk
from bench.torture.waiting import until

FOLLOW = Reading(
    "POST",
    "/v1/event/log/subscribe",
    lambda last: {"json": {"historyLength": 10_000} if last is None else {"after": last}},
)
CAUGHT_UP = 20.0
"""Seconds after all is over within which the last entry must be heard."""
_LAST = "SELECT id FROM audit WHERE account_id IS NOT NULL ORDER BY xid DESC, id DESC LIMIT 1"


class Follower:
    def __init__(self, ship: Ship, history: History, talk: Talk) -> None:
        self._ship = ship
        self._history = history
        self._talk = talk
        self.op = history.invoke(Op("op.follower.1", "follow"))

    async def follow(self) -> None:
        """Without an end, unless it is refused."""
        try:
            while True:
                await self._talk.read_on(self.op, FOLLOW)
        except Refused as refused:
            self.op.error = refused.code
            self._history.over(self.op, "fail")

    async def finish(self) -> None:
        """Returns once the last entry was heard, or after a while."""
        ((last,),) = await self._ship.rows(_LAST)
        heard = await until(lambda: last in self.op.listed or self.op.outcome == "fail", CAUGHT_UP)
        if self.op.outcome != "fail":
            self._history.over(self.op, "ok" if heard else "unknown")


@asynccontextmanager
async def following(ship: Ship, history: History) -> AsyncIterator[Follower]:
    addresses = [ship.address(name) for name in APIS]
    async with Talk(addresses, ship.key, ship.chance) as talk:
        follower = Follower(ship, history, talk)
        task = asyncio.create_task(follower.follow())
        try:
            yield follower
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
