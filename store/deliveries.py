"""Deliveries, as their owners see them: listed, shown, sent again, removed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from domain.accept import Key
from domain.account import Caller
from domain.base import Frozen
from domain.delivery import Again, Delivery, DeliveryState, Kept
from domain.paging import Page
from store.database import Database


class DeliveryFilter(Frozen):
    """What a list of deliveries is narrowed to; None narrows nothing."""

    states: Sequence[DeliveryState] | None = None
    types: Sequence[str] | None = None
    target_ids: Sequence[str] | None = None
    task_ids: Sequence[str] | None = None
    trigger_ids: Sequence[str] | None = None
    run_ids: Sequence[str] | None = None
    since: datetime | None = None
    until: datetime | None = None
    """When it was made: at `since` or later, before `until`."""


class Deliveries:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, account_id: str, page: Page, narrow: DeliveryFilter) -> Sequence[Delivery]:
        raise NotImplementedError

    async def fetch(self, account_id: str, delivery_id: str) -> Kept:
        """Raises NotFound."""
        raise NotImplementedError

    async def redeliver(self, caller: Caller, key: Key, delivery_id: str) -> None:
        """Sends one again under its id; one on its way is tried now. A worker hears of it at the commit.

        Raises NotFound, and Conflict where its words or its target are gone, or that one is disabled.
        """
        raise NotImplementedError

    async def redeliver_dead(self, caller: Caller, key: Key, narrow: DeliveryFilter) -> Again:
        """Sends dead ones again, the oldest first, 1,000 at most; those whose words are gone, or whose
        target takes nothing, are left out. `narrow.states` is not looked at."""
        raise NotImplementedError

    async def delete(self, caller: Caller, delivery_id: str) -> None:
        """Removes one in any state; one on its way is not tried again. Raises NotFound."""
        raise NotImplementedError

    async def ping(self, caller: Caller, key: Key, target_id: str) -> str:
        """Makes a delivery of the type `test.ping` (target/test) and returns its id.

        Raises NotFound, and Conflict where the target is removed or disabled.
        """
        raise NotImplementedError
