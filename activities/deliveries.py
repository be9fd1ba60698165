"""Attempts to deliver results."""

from __future__ import annotations

from typing import TYPE_CHECKING

from temporalio import activity

from activities.failures import reported
from domain.plans import AttemptResult, DeliveryInput

if TYPE_CHECKING:
    from store import Store


class Deliveries:
    def __init__(self, store: Store) -> None:
        self._store = store

    @activity.defn(name="delivery.attempt")
    async def attempt(self, input: DeliveryInput) -> AttemptResult:
        """Sends it, if its target may be asked now, and says when to try again."""
        async with reported():
            raise NotImplementedError
