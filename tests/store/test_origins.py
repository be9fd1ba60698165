"""Web origins: listed by accounts, and remembered for some seconds by whoever asks."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.errors import BadRequest, NotFound, Unavailable
from store.database import Database
from store.origins import FRESH, MOST, Origins
from tests.store.conftest import Desk

SITE = "https://www.example.com"


@pytest.fixture
async def own(url: str) -> AsyncIterator[Database]:
    database = Database(url, size=2)
    await database.open()
    yield database
    await database.close()


async def test_several_accounts_may_list_an_origin_each_once(desk: Desk) -> None:
    other = await desk.store.accounts.create("another")
    for account in (desk.account, desk.account, other):
        await desk.store.origins.add(account, SITE)

    assert await desk.store.origins.accounts(SITE) == {desk.account, other}
    assert await desk.store.origins.list(desk.account) == [SITE]
    told = await desk.rows(
        "SELECT about FROM audit WHERE type = 'origin.add' AND account_id = $1", desk.account
    )
    assert [row["about"] for row in told] == [{"origin": SITE}]


async def test_what_cannot_be_listed_or_removed_is_refused(desk: Desk) -> None:
    with pytest.raises(BadRequest):
        await desk.store.origins.add(desk.account, "*")
    with pytest.raises(NotFound):
        await desk.store.origins.add("acct_nobody", SITE)
    with pytest.raises(NotFound):
        await desk.store.origins.remove(desk.account, SITE)

    assert await desk.rows("SELECT FROM origin") == []


async def test_who_lists_an_origin_is_asked_again_only_after_some_seconds(desk: Desk, own: Database) -> None:
    remembering, asking = Origins(own), Origins(own, fresh=0)
    before = [await each.accounts(SITE) for each in (remembering, asking)]

    await desk.store.origins.add(desk.account, SITE)

    assert before == [frozenset(), frozenset()]
    assert await remembering.accounts(SITE) == frozenset()
    assert await asking.accounts(SITE) == {desk.account}
    assert 1 <= FRESH <= 10


async def test_while_postgres_is_away_what_was_known_is_still_known(desk: Desk, own: Database) -> None:
    await desk.store.origins.add(desk.account, SITE)
    asking = Origins(own, fresh=0)
    await asking.accounts(SITE)
    await own.close()

    assert await asking.accounts(SITE) == {desk.account}
    with pytest.raises(Unavailable):
        await asking.accounts("https://www.example.org")


async def test_strangers_who_name_many_origins_fill_no_memory(own: Database) -> None:
    origins = Origins(own)

    for number in range(MOST + 5):
        await origins.accounts(f"https://{number}.example")

    assert len(origins._known) <= MOST
