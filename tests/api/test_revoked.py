"""What a key that is revoked goes on hearing: nothing, after some seconds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from domain import ids
from tests.house import PATIENCE
from tests.tenant import Tenant


@pytest.mark.parametrize("log", ["event/log", f"channel/{ids.channel()}"])
async def test_who_holds_a_revoked_key_hears_no_more_of_what_has_no_end(tenant: Tenant, log: str) -> None:
    accounts = tenant.house.store.accounts
    key = await accounts.create_key(tenant.account, "lost")
    lost = (await tenant.acts("key.create"))[-1]["keyId"]

    async def happens() -> None:
        await tenant.api.ok("/v1/bot/create")
        if log != "event/log":
            await tenant.api.ok(f"/v1/{log}/publish", {"message": {"n": 1}})

    async with tenant.house.api(key=key) as thief, thief.streaming(f"/v1/{log}/subscribe") as events:
        before = await heard(events, happens)
        await accounts.revoke_key(lost)
        async with asyncio.timeout(PATIENCE):
            while await heard(events, happens) is not None:
                pass

    assert before is not None


async def heard(events: AsyncIterator[dict[str, Any]], happens: Callable[[], Awaitable[None]]) -> Any:
    """The next event, something having happened; None at the end."""
    await happens()
    return await anext(events, None)
