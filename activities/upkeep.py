"""Retention."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import reported
from activities.patience import beating

if TYPE_CHECKING:
    from store import Store


class Upkeep:
    def __init__(self, store: Store, audit_days: int) -> None:
        self._store = store
        self._audit_days = audit_days

    @activity.defn(name="upkeep.tidy")
    async def tidy(self) -> None:
        """One round; what it leaves, the next one takes."""
        async with reported(), beating():
            await self._store.upkeep.tidy(self._audit_days)
            await self._store.usage.fold()
