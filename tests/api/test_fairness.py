"""Fairness: who asks for much waits for it alone, and keeps nobody else waiting."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence

import pytest

from tests.conftest import Build
from tests.house import House
from tests.http import Api
from tests.pace import pace

CROWD, AT_ONCE, TURNS, DISPATCHES = 2_000, 20, 20, 3
SLOW = "[model tokens=20 delay=100]"

_log = logging.getLogger("figures")

_BEGUN = """
SELECT extract(epoch FROM begun_at - created_at)::float AS seconds FROM run
WHERE account_id = $1 AND lane = $2 ORDER BY 1
"""
_WAITING = "SELECT count(*) FROM run WHERE account_id = $1 AND admitted_at IS NULL AND ended_at IS NULL"


@pytest.mark.slow
async def test_with_two_thousand_dispatches_of_one_account_queued_a_turn_of_another_begins_within_a_second(
    build: Build,
) -> None:
    house = await build()
    crowd, crowd_key = await house.new_account("asks for much")
    account, key = await house.new_account("asks for little")

    async with house.api() as idle:
        slow = await pace(idle)
    async with house.api(key=crowd_key) as many, house.api(key=key) as few:
        await flood(many)
        conversation = await few.conversation()
        for n in range(TURNS):
            await few.ok(f"/v1/conversation/{conversation}/complete", {"text": f"{n} [model tokens=5]"})
        for n in range(DISPATCHES):
            await in_background(few, n)
        left = await waiting(house, crowd)

    turns, dispatches = await begun(house, account, "interactive"), await begun(house, account, "background")
    _log.info("with %d still waiting, turns began after %s s, dispatches after %s s", left, turns, dispatches)
    assert left > CROWD / 4
    assert len(turns) == TURNS
    assert turns[int(TURNS * 0.95) - 1] <= 1 * slow
    # Nobody waits for them, yet they come in turn: not after those who were there first.
    assert len(dispatches) == DISPATCHES
    assert dispatches[-1] <= 5 * slow


async def flood(api: Api) -> None:
    """Thousands of dispatches: half of them stateless, the others ten to a conversation."""
    conversations = [await api.conversation() for _ in range(CROWD // 20)]
    places = asyncio.Semaphore(AT_ONCE)

    async def dispatch(n: int) -> None:
        async with places:
            if n % 2:
                place = conversations[n // 2 % len(conversations)]
                await api.ok(f"/v1/conversation/{place}/dispatch", {"text": SLOW})
            else:
                ask = {"messages": [{"type": "user", "text": SLOW}]}
                await api.ok("/v1/conversation/dispatch", ask)

    await asyncio.gather(*(dispatch(n) for n in range(CROWD)))


async def in_background(api: Api, n: int) -> None:
    """A dispatch, heard to its end."""
    ask = {"messages": [{"type": "user", "text": f"{n} [model tokens=5]"}]}
    dispatched = await api.ok("/v1/conversation/dispatch", ask)
    events = await api.stream(f"/v1/channel/{dispatched['channelId']}/subscribe")
    assert events[-1]["data"]["type"] == "result"


async def begun(house: House, account: str, lane: str) -> Sequence[float]:
    """Seconds from the acceptance of each run to its beginning, the shortest first."""
    return [row["seconds"] for row in await house.rows(_BEGUN, account, lane)]


async def waiting(house: House, account: str) -> int:
    """How many runs of an account wait for a place."""
    (row,) = await house.rows(_WAITING, account)
    return int(row[0])
