"""Databases of one's own in the house's Postgres, where no worker is at work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import asyncpg
import pytest

from domain import ids
from domain.accept import Accepted, Key, Work
from domain.account import Caller
from domain.run import Asked, Lane
from store import Caps, Store
from store.ending import Grip
from store.migrate import migrate
from store.steps import Taken
from tests.house import House

HELLO = Asked(text="hello")


@asynccontextmanager
async def database(house: House, template: str = "template1") -> AsyncIterator[str]:
    """The URL of a fresh database; it goes with everybody who is still connected."""
    name = ids.new("db")
    async with administrator(house) as postgres:
        await postgres.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    try:
        yield url_of(house, name)
    finally:
        async with administrator(house) as postgres:
            await postgres.execute(f"DROP DATABASE {name} WITH (FORCE)")


@asynccontextmanager
async def administrator(house: House) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(url_of(house, "postgres"))
    try:
        yield connection
    finally:
        await connection.close()


def url_of(house: House, name: str) -> str:
    return urlsplit(house.database_url)._replace(path=f"/{name}").geturl()


def name_of(url: str) -> str:
    return urlsplit(url).path[1:]


@pytest.fixture
async def empty(house: House) -> AsyncIterator[str]:
    """The URL of a database without anything."""
    async with database(house) as url:
        yield url


@pytest.fixture(scope="session")
async def migrated(session_house: House) -> AsyncIterator[str]:
    """The name of a migrated database, to be copied."""
    async with database(session_house) as url:
        await migrate(url)
        store = await Store.open(url)
        await store.upkeep.make_days()
        await store.close()
        yield name_of(url)


@pytest.fixture
async def url(house: House, migrated: str) -> AsyncIterator[str]:
    """The URL of a fresh migrated database."""
    async with database(house, migrated) as made:
        yield made


class Desk:
    """A store with an account, and runs made in one line."""

    def __init__(self, store: Store, account: str) -> None:
        self.store = store
        self.account = account
        self.caller = caller(account)

    async def rows(self, query: str, *arguments: object) -> list[asyncpg.Record]:
        return await self.store.database.fetch(query, *arguments)

    async def conversation(self) -> str:
        return await self.store.conversations.create(self.caller, key(), {})

    async def accept(
        self,
        conversation: str | None = None,
        lane: Lane = "interactive",
        account: str | None = None,
        asked: Asked = HELLO,
    ) -> Accepted:
        work = Work(
            run_id=ids.run(),
            caller=caller(account or self.account),
            lane=lane,
            key=key(),
            asked=asked,
            conversation_id=conversation,
            channel=ids.channel(),
        )
        return await self.store.accept.run(work)

    async def admitted(self) -> str:
        """A run of a fresh conversation, which may begin."""
        return (await self.accept(await self.conversation())).run.id

    async def taken(self, run: str, fence: int = 1, holder: str = "me") -> Taken:
        taken = await self.store.steps.take(grip(run, fence, holder))
        assert isinstance(taken, Taken)
        return taken


def caller(account: str) -> Caller:
    return Caller(account_id=account, key_id="key_tests")


def grip(run: str, fence: int = 1, holder: str = "me") -> Grip:
    return Grip(run, 1, fence, holder)


def key(value: str | None = None) -> Key:
    return Key(route="a/route", value=value, fingerprint=b"a body")


@pytest.fixture
async def desk(url: str) -> AsyncIterator[Desk]:
    store = await Store.open(url, Caps())
    yield Desk(store, await store.accounts.create("an account"))
    await store.close()
