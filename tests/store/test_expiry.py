"""Expiry: what is due goes, once, whole, and whatever breaks off in the middle."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain import events
from domain.conversation import NewMessage
from domain.rating import Vote
from store import Store, expiry
from store.expiry import BATCH
from tests.store.conftest import Desk, key
from tests.store.test_sessions import holder


async def conversations(desk: Desk, count: int, due: bool = True) -> list[str]:
    """As many, whose time is up or is to come."""
    expires = datetime.now(UTC) + timedelta(seconds=-1 if due else 1_000)
    given = {"expires_at": expires}
    return [await desk.store.conversations.create(desk.caller, key(), given) for _ in range(count)]


async def idle(desk: Desk, days: float) -> str:
    """One that was touched so many days ago for the last time."""
    conversation = await desk.conversation()
    await aged(desk, conversation, days)
    return conversation


async def aged(desk: Desk, conversation: str, days: float) -> None:
    await desk.rows(
        "UPDATE conversation SET updated_at = now() - $2::interval,"
        " touched_on = ((now() - $2::interval) AT TIME ZONE 'UTC')::date WHERE id = $1",
        conversation,
        timedelta(days=days),
    )


async def round_of(desk: Desk, days: int = 0) -> int:
    """How many a round removed."""
    return len([gone async for gone in desk.store.expiry.round(days)])


async def left(desk: Desk) -> set[str]:
    return {row["id"] for row in await desk.rows("SELECT id FROM conversation")}


async def test_what_is_due_goes_and_nothing_else(desk: Desk) -> None:
    await conversations(desk, 3)
    kept = {*await conversations(desk, 2, due=False), await desk.conversation(), await idle(desk, 1_000)}

    gone = await round_of(desk)

    assert gone == 3
    assert await left(desk) == kept


async def test_a_round_takes_more_than_a_batch(desk: Desk) -> None:
    await conversations(desk, BATCH + 20)

    assert await round_of(desk) == BATCH + 20
    assert await left(desk) == set()


async def test_who_removes_it_is_the_server_in_the_audit_log(desk: Desk) -> None:
    (conversation,) = await conversations(desk, 1)
    run = (await desk.accept(conversation)).run.id

    await round_of(desk)

    told = await desk.rows(
        "SELECT type, about, meta FROM audit WHERE type IN ('conversation.delete', 'run.canceled')"
    )
    assert {row["type"]: row["meta"] for row in told} == {
        "conversation.delete": {"actor": "server"},
        "run.canceled": {"actor": "server", "code": "NOT_FOUND"},
    }
    assert all(row["about"]["conversationId"] == conversation for row in told)
    assert (await desk.store.runs.fetch(desk.account, run)).state == "canceled"


async def test_its_runs_end_and_their_plans_are_left_to_be_told(desk: Desk) -> None:
    (conversation,) = await conversations(desk, 1)
    running, waiting = [(await desk.accept(conversation)).run for _ in range(2)]
    await desk.taken(running.id)

    (gone,) = [one async for one in desk.store.expiry.round(0)]

    last = [await desk.store.channels.terminal(run.channel_id) for run in (running, waiting)]
    assert last == [events.error("NOT_FOUND", "The conversation was deleted.")] * 2
    assert [plan.run_id for plan in gone.ended] == [running.id, waiting.id]
    untold = await desk.rows("SELECT id FROM run WHERE untold_at IS NOT NULL")
    assert [row["id"] for row in untold] == [running.id]


async def test_a_conversation_goes_after_so_many_days_without_a_change(desk: Desk) -> None:
    old = await idle(desk, 30.01)
    kept = {await idle(desk, 29.99), await desk.conversation()}

    assert await round_of(desk, 30) == 1
    assert await left(desk) == kept
    assert old not in kept


@pytest.mark.parametrize("act", ["message", "update", "run"])
async def test_a_conversation_that_was_touched_since_stays(desk: Desk, act: str) -> None:
    conversation = await idle(desk, 31)
    if act == "message":
        run = (await desk.accept(conversation)).run.id
        await desk.store.turns.finish(run, "PLAN_LOST")
    elif act == "update":
        await desk.store.conversations.update(desk.caller, conversation, {"name": "x"})
    else:
        await desk.accept(conversation)

    assert await round_of(desk, 30) == 0
    assert await left(desk) == {conversation}


@pytest.mark.parametrize(
    "act", ["message update", "message delete", "message vote", "vote", "session", "contact"]
)
async def test_what_callers_do_with_a_conversation_touches_it(desk: Desk, act: str) -> None:
    store, caller = desk.store, desk.caller
    conversation = await desk.conversation()
    message = await store.messages.create(caller, conversation, key(), NewMessage(type="user", text="x"))
    await aged(desk, conversation, 31)

    if act == "message update":
        await store.messages.update(caller, (conversation, message), {"name": "x"})
    elif act == "message delete":
        await store.messages.delete(caller, conversation, message)
    elif act == "message vote":
        await store.ratings.of_message(caller, key(), (conversation, message), Vote(value=100))
    elif act == "vote":
        await store.ratings.of_conversation(caller, key(), conversation, Vote(value=100))
    elif act == "session":
        await store.sessions.create(await holder(desk), conversation, key(), 1_800)
    else:
        await store.contacts.upsert(caller, conversation, {"fingerprint": "x"})

    assert await round_of(desk, 30) == 0
    (row,) = await desk.rows("SELECT touched_on >= current_date - 1 AS lately FROM conversation")
    assert row["lately"]


async def test_a_later_time_of_expiry_does_not_outlast_retention(desk: Desk) -> None:
    conversation = await idle(desk, 31)
    await desk.rows(
        "UPDATE conversation SET expires_at = now() + interval '1 year' WHERE id = $1", conversation
    )

    assert await round_of(desk, 30) == 1


async def test_what_somebody_holds_is_left_and_goes_with_the_next_round(desk: Desk) -> None:
    held, free = await conversations(desk, 2)
    async with desk.store.database.connection() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute("SELECT FROM conversation WHERE id = $1 FOR UPDATE", held)
        first = await round_of(desk)
        there = await left(desk)
        await transaction.rollback()

    assert (first, there) == (1, {held})
    assert await round_of(desk) == 1
    assert free not in there


async def test_whose_time_was_put_off_while_a_round_was_under_way_stays(desk: Desk) -> None:
    """A round asks again under the lock: between its look and the lock, the caller may have changed it."""
    (conversation,) = await conversations(desk, 1)
    later = {"expires_at": datetime.now(UTC) + timedelta(days=1)}
    looked = [row["id"] for row in await desk.rows(expiry._SQL["due"], 0, BATCH)]
    await desk.store.conversations.update(desk.caller, conversation, later)

    gone = await desk.store.expiry._removed(looked[0], 0)

    assert (gone, await left(desk)) == (None, {conversation})


async def test_two_rounds_at_once_remove_each_once(desk: Desk) -> None:
    await conversations(desk, 40)
    other = await Store.open(desk.store.database.url)

    gone = await asyncio.gather(round_of(desk), round_of(Desk(other, desk.account)))
    await other.close()
    await round_of(desk)

    assert sum(gone) <= 40
    told = await desk.rows("SELECT about FROM audit WHERE type = 'conversation.delete'")
    assert len(told) == len({row["about"]["conversationId"] for row in told}) == 40
    assert await left(desk) == set()


async def test_a_round_that_breaks_off_leaves_nothing_half_done(desk: Desk) -> None:
    due = await conversations(desk, 60)
    for conversation in due:
        await desk.accept(conversation)
    rounds = asyncio.create_task(round_of(desk))
    while len(await left(desk)) == 60:
        pass

    rounds.cancel()
    await asyncio.gather(rounds, return_exceptions=True)
    there = await left(desk)
    broken = await desk.rows(
        "SELECT r.id FROM run r LEFT JOIN conversation v ON v.id = r.conversation_id"
        " WHERE (v.id IS NULL) <> (r.ended_at IS NOT NULL)"
    )
    await round_of(desk)

    assert 0 < len(there) < 60
    assert broken == []
    assert await left(desk) == set()
