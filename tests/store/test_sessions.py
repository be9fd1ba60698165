"""Sessions at rest: over with their conversation, their key or their time, and removed some days later."""

from __future__ import annotations

import asyncio

import pytest

from domain.account import Caller
from domain.errors import Conflict, NotAuthenticated, NotFound
from domain.session import USUAL, Session
from tests.house import eventually
from tests.store.conftest import Desk, key


async def holder(desk: Desk) -> Caller:
    """A caller with a key that is there."""
    await desk.store.accounts.create_key(desk.account, "a key")
    (row,) = await desk.store.accounts.keys(desk.account)
    return Caller(account_id=desk.account, key_id=row["id"])


async def session(desk: Desk, name: str | None = None) -> tuple[Caller, Session]:
    caller = await holder(desk)
    return caller, await desk.store.sessions.create(caller, await desk.conversation(), key(name), USUAL)


async def test_a_session_acts_for_its_account_within_its_conversation(desk: Desk) -> None:
    caller, made = await session(desk)

    visitor = await desk.store.sessions.caller(made, "192.0.2.1")

    assert visitor == Caller(
        account_id=desk.account,
        key_id=caller.key_id,
        address="192.0.2.1",
        session_id=made.id,
        conversation_id=made.conversation_id,
    )
    assert (visitor.actor, caller.actor) == (made.id, caller.key_id)


async def test_what_is_kept_of_a_session_and_not_what_its_token_says_decides(desk: Desk) -> None:
    _, made = await session(desk)
    other = made.model_copy(update={"account_id": "acct_x", "conversation_id": "conv_x"})

    visitor = await desk.store.sessions.caller(other, None)

    assert (visitor.account_id, visitor.conversation_id) == (desk.account, made.conversation_id)


async def test_a_session_made_while_its_conversation_is_being_deleted_is_not_made(desk: Desk) -> None:
    """It waits for the one who deletes, and then finds nothing."""
    caller, conversation = await holder(desk), await desk.conversation()
    async with desk.store.database.connection() as other:
        transaction = other.transaction()
        await transaction.start()
        await other.execute("DELETE FROM conversation WHERE id = $1", conversation)
        making = asyncio.create_task(desk.store.sessions.create(caller, conversation, key(), USUAL))

        async def waits() -> None:
            assert await desk.rows(
                "SELECT FROM pg_stat_activity"
                " WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE conversation%'"
            )

        await eventually(waits)
        await transaction.commit()

    with pytest.raises(NotFound):
        await making
    assert await desk.rows("SELECT FROM session") == []


async def test_an_expired_session_goes_when_no_repeated_call_can_ask_for_it_any_more(desk: Desk) -> None:
    caller, made = await session(desk, "k")
    await desk.rows("UPDATE session SET expires_at = now() - interval '47 hours'")
    await desk.store.upkeep.tidy(365)
    with pytest.raises(NotAuthenticated):
        await desk.store.sessions.caller(made, None)
    with pytest.raises(Conflict, match="new Idempotency-Key"):
        await desk.store.sessions.create(caller, made.conversation_id, key("k"), USUAL)
    await desk.rows("UPDATE session SET expires_at = now() - interval '49 hours'")

    await desk.store.upkeep.tidy(365)

    assert await desk.rows("SELECT FROM session") == []
