"""Which runs the sweeper looks after: each is claimed by one worker at a time."""

from __future__ import annotations

from collections.abc import Sequence

from domain.plans import Plan
from store.database import Database
from store.queries import load

_SQL = load("looks")
BATCH = 50


class Looks:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def accepted(self) -> list[Plan]:
        """Runs that were just accepted and may begin, for the first worker that asks."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["accepted"], BATCH)]

    async def due(self) -> list[Plan]:
        """Runs not begun 2 s after their admission, or silent for 30 s; the next look backs off."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["due"], BATCH)]

    async def soon(self, run_ids: Sequence[str]) -> None:
        """Nobody could look after these: they are due again in a second."""
        await self._database.execute(_SQL["soon"], run_ids)

    async def untold(self) -> list[Plan]:
        """Runs that ended in Postgres and whose plans Temporal has not been told of."""
        return [Plan(**row) for row in await self._database.fetch(_SQL["untold"], BATCH)]
