"""Retention."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from temporalio import activity

from activities.failures import reported
from activities.patience import beating

if TYPE_CHECKING:
    from starter import Starter
    from store import Store
    from telemetry.meters import Meters


class Days(NamedTuple):
    """How long things are kept."""

    audit: int
    conversations: int
    """0: until somebody removes them."""
    deliveries: int
    """Those that have come."""
    events: int
    """What came with events of triggers."""


class Upkeep:
    def __init__(self, store: Store, starter: Starter, meters: Meters, days: Days) -> None:
        self._store = store
        self._starter = starter
        self._meters = meters
        self._days = days

    @activity.defn(name="upkeep.tidy")
    async def tidy(self) -> None:
        """One round; what it leaves, the next one takes."""
        async with reported(), beating():
            try:
                days = self._days
                await self._store.upkeep.tidy(days.audit, days.deliveries, days.events)
            finally:
                await self._store.usage.fold()

    @activity.defn(name="upkeep.expire")
    async def expire(self) -> None:
        """Removes tasks and conversations whose time is up; what it leaves, the next round takes."""
        expiry = self._store.expiry
        async with reported(), beating():
            for due in (expiry.tasks(), expiry.round(self._days.conversations)):
                async for gone in due:
                    for plan in gone.ended:
                        self._meters.stopped(plan, "deleted")
                    for plan in gone.start:
                        self._starter.start_soon(plan)
