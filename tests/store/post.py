"""What a worker does with deliveries, by hand."""

from __future__ import annotations

from collections.abc import Sequence

from domain.attempt import Came, Pace
from domain.plans import DeliveryInput
from store.sending import Due, Noted, Taken, Turn
from tests.deliveries import change, new_delivery, new_target, row_of
from tests.store.conftest import Desk

PACE = Pace(schedule=(0, 10, 100), pauses=(60, 900))
TAKEN = Came(taken=True, status=200, headers={"server": "test"}, body="thanks")
FAILED = Came(code="HTTP_503", status=503)
LATER = "clock_timestamp() - interval '1 second'"


class Post:
    """What a worker does with deliveries, one step at a time."""

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self.store = desk.store
        self._fence = 0

    async def target(self, url: str = "https://receiver.example/hook", **more: object) -> str:
        return await new_target(self.store, self.desk.account, url, **more)

    async def delivery(self, target: str, **columns: object) -> str:
        return await new_delivery(self.store, target, **columns)

    async def turn(self, delivery: str, fence: int = 0, holder: str = "me", round: int = 1) -> Turn:
        self._fence = fence or self._fence + 1
        asked = DeliveryInput(delivery_id=delivery, round=round)
        return await self.store.sending.take(asked, self._fence, holder, PACE)

    async def take(self, delivery: str, fence: int = 0, holder: str = "me") -> Taken:
        turn = await self.turn(delivery, fence, holder)
        assert turn.taken is not None, turn
        return turn.taken

    async def note(self, taken: Taken, came: Came) -> Noted:
        return await self.store.sending.note(taken.hold, came, PACE)

    async def due_ones(self) -> Sequence[Due]:
        """What a sweeper is to look after now."""
        return (await self.store.sending.due())[0]

    async def due(self, *deliveries: str) -> None:
        """Their time has come."""
        for delivery in deliveries:
            await change(self.store, "delivery", delivery, next_at=LATER)

    async def fail(self, delivery: str, came: Came = FAILED, times: int = 1) -> Noted:
        for _ in range(times):
            await self.due(delivery)
            noted = await self.note(await self.take(delivery), came)
        return noted

    async def attempts(self, delivery: str) -> Sequence[dict[str, object]]:
        rows = await self.desk.rows(
            "SELECT number, ended_at IS NOT NULL AS ended, status, error_code, body FROM delivery_attempt "
            "WHERE delivery_id = $1 ORDER BY number",
            delivery,
        )
        return [dict(row) for row in rows]

    async def state(self, delivery: str) -> tuple[str, str | None]:
        row = await row_of(self.store, "delivery", delivery)
        return row["state"], row["error_code"]
