"""Expiry: a conversation whose time is up goes as if its caller had deleted it, within a minute."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from domain import ids
from tests.conftest import Build
from tests.crash.witness import Witness, inner_error, some
from tests.house import House, eventually
from tests.http import Api
from tests.tenant import Tenant


def in_seconds(seconds: float) -> int:
    return int((time.time() + seconds) * 1000)


async def upkeep(house: House) -> None:
    """Asks for a round of upkeep; one comes every minute anyway."""
    await (await house.temporal()).get_schedule_handle(ids.UPKEEP_SCHEDULE).trigger()


async def gone(api: Api, house: House, conversation: str) -> None:
    """Returns once the conversation is not there any more; a minute and a little is the bound."""
    asked = time.monotonic()

    async def check() -> None:
        nonlocal asked
        if time.monotonic() > asked + 2:
            await upkeep(house)
            asked = time.monotonic()
        assert (await api.get(f"/v1/conversation/{conversation}/fetch")).status == 404

    await eventually(check, 120)


async def test_a_time_of_expiry_is_shown_changed_and_cleared(tenant: Tenant) -> None:
    later, latest = in_seconds(1_000), in_seconds(2_000)
    conversation = await tenant.api.conversation(expiresAt=later)
    path = f"/v1/conversation/{conversation}"

    async def shown() -> Any:
        return (await tenant.api.get(f"{path}/fetch")).body.get("expiresAt")

    at_first = await shown()
    listed = (await tenant.api.get("/v1/conversation/list")).body["items"][0]["expiresAt"]
    await tenant.api.ok(f"{path}/update", {"expiresAt": latest})
    moved = await shown()
    await tenant.api.ok(f"{path}/update", {"name": "x"})
    kept = await shown()
    await tenant.api.ok(f"{path}/update", {"expiresAt": None})

    assert (at_first, listed, moved, kept, await shown()) == (later, later, latest, latest, None)


@pytest.mark.parametrize("expires", [0, 1_000, in_seconds(-5), -1, 1.5, "2030-01-01", 10**15, True])
@pytest.mark.parametrize("path", ["create", "{}/update"])
async def test_a_time_that_is_past_or_none_is_refused(tenant: Tenant, path: str, expires: Any) -> None:
    conversation = await tenant.api.conversation()

    status, body, _ = await tenant.api.post(
        f"/v1/conversation/{path.format(conversation)}", {"expiresAt": expires}
    )

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert "expiresAt" in body["message"]
    assert (await tenant.belongings())["conversation"] == 1


@pytest.mark.slow
async def test_a_conversation_whose_time_is_up_goes_with_every_word_and_ends_its_runs(
    house: House, tenant: Tenant
) -> None:
    witness, word = Witness(house), ids.new("canary")
    conversation = await tenant.api.conversation(
        name=word, messages=[{"type": "user", "text": word}], expiresAt=in_seconds(1_000)
    )
    kept = await tenant.api.conversation(expiresAt=in_seconds(1_000))
    path = f"/v1/conversation/{conversation}"
    told = await tenant.api.ok(f"{path}/dispatch", {"text": f"{word} [model tokens=4000 delay=25]"})
    waiting = await tenant.api.ok(f"{path}/dispatch", {"text": f"{word} waits"})
    async with tenant.api.streaming(f"/v1/run/{told['runId']}/subscribe") as events:
        await some(events, 5)
        await tenant.api.ok(f"{path}/update", {"expiresAt": in_seconds(5)})
        await gone(tenant.api, house, conversation)
        live = [event async for event in events]

    assert inner_error(live) == "NOT_FOUND"
    for run in (told["runId"], waiting["runId"]):
        assert inner_error(await tenant.api.stream(f"/v1/run/{run}/subscribe")) == "NOT_FOUND"
        found = (await tenant.api.get(f"/v1/run/{run}/fetch")).body
        assert (found["state"], found["error"]["code"]) == ("canceled", "NOT_FOUND")
    await witness.closed(told["runId"])
    assert await witness.tables_with(word) == []
    assert (await tenant.api.get(f"/v1/conversation/{kept}/fetch")).status == 200
    entries = await tenant.acts("conversation.delete", "run.canceled")
    assert [entry["type"] for entry in entries].count("conversation.delete") == 1
    assert all(entry["conversationId"] == conversation for entry in entries)
    assert [entry["meta"].get("actor") for entry in entries] == ["server"] * 3


@pytest.mark.slow
async def test_conversations_that_nobody_touched_for_the_days_of_retention_go(build: Build) -> None:
    house = await build(HOLDFAST_RETENTION_DAYS="30")
    async with house.api() as api:
        old, touched, fresh = [await api.conversation() for _ in range(3)]
        for conversation in (old, touched):
            await _aged(house, conversation, timedelta(days=31))
        await api.ok(f"/v1/conversation/{touched}/send", {"text": "still here"})

        await gone(api, house, old)

        for conversation in (touched, fresh):
            assert (await api.get(f"/v1/conversation/{conversation}/fetch")).status == 200


@pytest.mark.slow
async def test_what_a_killed_worker_left_of_a_round_the_next_one_takes(build: Build) -> None:
    house = await build()
    async with house.api() as api:
        due = [await api.conversation() for _ in range(150)]
        kept = await api.conversation()
        await house.rows(
            "UPDATE conversation SET expires_at = now() - interval '1 second' WHERE id = ANY ($1)", due
        )
        left = _left(house, due)

        await upkeep(house)
        await eventually(_fewer(left, 150))
        house.kill("worker")
        there = await left()
        house.start("worker")
        await eventually(_fewer(left, 1), 120)

        assert (await api.get(f"/v1/conversation/{kept}/fetch")).status == 200
        (acts,) = await house.rows(
            "SELECT count(*)::int AS told, count(DISTINCT about)::int AS different FROM audit"
            " WHERE type = 'conversation.delete'"
        )
        assert (acts["told"], acts["different"]) == (150, 150)
        assert there < 150


async def _aged(house: House, conversation: str, age: timedelta) -> None:
    """As if it had been touched so long ago for the last time."""
    at: datetime = (await house.rows("SELECT now() - $1::interval AS at", age))[0]["at"]
    query = (
        "UPDATE conversation SET updated_at = $2, touched_on = ($2 AT TIME ZONE 'UTC')::date WHERE id = $1"
    )
    await house.rows(query, conversation, at)


def _left(house: House, due: list[str]) -> Callable[[], Awaitable[int]]:
    async def count() -> int:
        found = await house.rows("SELECT count(*)::int FROM conversation WHERE id = ANY ($1)", due)
        there: int = found[0][0]
        return there

    return count


def _fewer(left: Callable[[], Awaitable[int]], than: int) -> Callable[[], Awaitable[None]]:
    async def check() -> None:
        assert await left() < than

    return check
