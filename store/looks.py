"""Which runs the sweeper looks after: each is claimed by one worker at a time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from domain.plans import Plan
from domain.run import Lane, Place, Wait
from store.database import Database
from store.queries import load

_SQL = load("looks")
BATCH = 50
COUNTED = 50_000
"""The most runs a look at the queue counts of each place."""


class Line(NamedTuple):
    place: Place
    lane: Lane
    runs: int
    oldest: float
    """Seconds since the oldest of them was accepted."""


class Looks:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def accepted(self) -> list[Plan]:
        """Runs that were just accepted and may begin, for the first worker that asks."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["accepted"], BATCH)]

    async def due(self) -> list[Plan]:
        """Runs not begun 2 s after their admission, or silent for 30 s; the next look backs off."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["due"], BATCH)]

    async def queue(self) -> list[Line]:
        """How long the lines are, where there is one."""
        return [Line(**row) for row in await self._database.fetch(_SQL["queue"], COUNTED)]

    async def waits(self) -> dict[Wait, int]:
        """What runs that only wait are waiting for, as far as they wait for anything."""
        rows = await self._database.fetch(_SQL["waits"], COUNTED)
        return {row["what"]: row["waits"] for row in rows}

    async def soon(self, run_ids: Sequence[str]) -> None:
        """Nobody could look after these: they are due again in a second."""
        await self._database.execute(_SQL["soon"], run_ids)

    async def unheard(self) -> list[Plan]:
        """Runs that wait for what is there, a publish or a higher budget: their plans are to be told."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["unheard"], BATCH)]

    async def untold(self) -> list[Plan]:
        """Runs that ended in Postgres and whose plans Temporal has not been told of."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["untold"], BATCH)]
