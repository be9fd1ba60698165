"""Work on the steps of one run: what comes while it goes on is done at once, in the next transaction."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, NamedTuple, TypeVar

from store.ending import Grip

Given = TypeVar("Given")
Got = TypeVar("Got")

MOMENT = 0.001
"""Seconds. Calls that are asked for together come, and are answered, a little apart."""
MOST = 16
"""Of one transaction: what they bring may be long, and is written while the loop waits."""


class Waiting(NamedTuple, Generic[Given, Got]):
    """One who waits for a place in a transaction."""

    grip: Grip
    given: Given
    got: asyncio.Future[Got]


class Together(Generic[Given, Got]):
    """Steps of one run would wait for each other's commits anyway, for all of them lock it.

    `work` does one transaction for steps of one run, each of them once; what it raises for one of them alone
    it returns.
    """

    def __init__(
        self, work: Callable[[Sequence[tuple[Grip, Given]]], Awaitable[Sequence[Got | Exception]]]
    ) -> None:
        self._work = work
        self._waiting: dict[str, list[Waiting[Given, Got]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def do(self, grip: Grip, given: Given) -> Got:
        """Who is cancelled here waits no longer; the transaction is the others' too, and goes on."""
        got: asyncio.Future[Got] = asyncio.get_running_loop().create_future()
        one = Waiting(grip, given, got)
        if grip.run_id in self._waiting:
            self._waiting[grip.run_id].append(one)
        else:
            self._waiting[grip.run_id] = [one]
            task = asyncio.create_task(self._until_done(grip.run_id))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await got

    async def _until_done(self, run_id: str) -> None:
        while self._waiting[run_id]:
            group: list[Waiting[Given, Got]] = []
            later: list[Waiting[Given, Got]] = []
            for one in await self._gathered(run_id):
                fits = len(group) < MOST and all(one.grip.ordinal != other.grip.ordinal for other in group)
                (group if fits else later).append(one)
            self._waiting[run_id] = later
            await self._settle(group)
        del self._waiting[run_id]

    async def _gathered(self, run_id: str) -> list[Waiting[Given, Got]]:
        """All who wait, once nobody more has come for a moment."""
        count = 0
        while count < len(self._waiting[run_id]):
            count = len(self._waiting[run_id])
            await asyncio.sleep(MOMENT)
        return self._waiting[run_id]

    async def _settle(self, group: Sequence[Waiting[Given, Got]]) -> None:
        try:
            found = await self._work([(one.grip, one.given) for one in group])
        except Exception as trouble:
            if len(group) > 1:
                # One may have spoilt it for all.
                await asyncio.gather(*(self._settle([one]) for one in group))
                return
            found = [trouble]
        for one, got in zip(group, found, strict=True):
            if one.got.done():
                continue
            if isinstance(got, Exception):
                one.got.set_exception(got)
            else:
                one.got.set_result(got)
