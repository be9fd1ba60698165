"""The order in which the audit log is followed."""

from __future__ import annotations

import asyncpg
import pytest

from store.audit import Position
from store.migrate import migrate
from tests.house import eventually
from tests.store.conftest import Desk, key

ENTRY = """
INSERT INTO audit (id, account_id, type, about, meta, xid)
VALUES ($1, $2, 'conversation.create', '{}', '{}', $3::text::xid8)
"""
LOG = ["a of 8", "b of 9", "a of 10", "b of 11", "a of 100"]
"""Five entries and their transactions, whose numbers have one digit, two and three."""


async def written(desk: Desk) -> None:
    await desk.rows("DELETE FROM audit")
    for name in LOG:
        await desk.rows(ENTRY, name, desk.account, name.rpartition(" ")[2])


async def test_entries_are_followed_by_the_number_of_their_transaction(desk: Desk) -> None:
    await written(desk)

    entries, position = await desk.store.audit.after(desk.account, Position())

    assert [entry.id for entry in entries] == LOG
    assert position == Position("100", "a of 100")


async def test_a_log_restored_from_another_cluster_is_followed_on_once_it_was_migrated(desk: Desk) -> None:
    await written(desk)
    far = str(2**40)
    await desk.rows(ENTRY, "c of elsewhere", desk.account, far)

    await migrate(desk.store.database.url)
    before = await desk.store.audit.position(desk.account, "c of elsewhere")
    bot = await desk.store.bots.create(desk.caller, key(), {})
    assert before is not None

    async def followed() -> None:
        entries, _ = await desk.store.audit.after(desk.account, before)
        assert [entry.about for entry in entries if entry.type == "bot.create"] == [{"botId": bot}]

    # Who is at work anywhere in this Postgres may still come before it.
    await eventually(followed)
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await desk.rows("UPDATE audit SET type = 'nothing'")


async def test_a_key_that_is_revoked_again_is_told_once(desk: Desk) -> None:
    await desk.store.accounts.create_key(desk.account, "lost")
    (lost,) = await desk.store.accounts.keys(desk.account)

    for _ in range(2):
        await desk.store.accounts.revoke_key(lost["id"])

    told = [entry.type for entry in await desk.store.audit.newest(desk.account)]
    assert told == ["key.revoke", "key.create", "account.create"]


async def test_the_newest_entries_are_those_of_the_latest_transactions(desk: Desk) -> None:
    await written(desk)

    position = await desk.store.audit.before_newest(desk.account, 2)

    assert position == Position("10", "a of 10")


async def test_entries_that_a_long_transaction_holds_back_count_among_the_newest(desk: Desk) -> None:
    await written(desk)
    async with desk.store.database.connection() as slow, slow.transaction():
        await slow.execute("SELECT pg_current_xact_id()")
        await desk.store.bots.create(desk.caller, key(), {})

        positions = [await desk.store.audit.before_newest(desk.account, count) for count in (0, 1, 2)]

    assert positions == [Position("100", "a of 100")] * 2 + [Position("11", "b of 11")]
