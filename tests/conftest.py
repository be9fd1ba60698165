"""The fixtures of every room: a house to live in, and houses to break."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.house import House, standing
from tests.http import Api
from tests.tenant import Tenant
from tests.tool_server import ToolServer

Build = Callable[..., Awaitable[House]]

# How fast an example is made and tried is the machine's, and no word on what is tried.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("house")


@pytest.fixture(scope="session")
async def session_house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    """One for the whole session; who uses it leaves its processes alone."""
    async with standing(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture
async def house(session_house: House) -> AsyncIterator[House]:
    """The house of the session; nothing that a test leaves in it is due in the middle of another one."""
    yield session_house
    await session_house.rest()


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    async with house.api() as client:
        yield client


@pytest.fixture
async def tools() -> AsyncIterator[ToolServer]:
    """A server of tools in this process, which nobody kills."""
    async with ToolServer() as server:
        yield server


@pytest.fixture
async def tenant(house: House) -> AsyncIterator[Tenant]:
    """An account of one's own."""
    account, key = await house.new_account("a tenant")
    async with house.api(key=key) as client:
        yield Tenant(account, client, house)


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    """Builds houses of one's own: `house = await build("worker2", HOLDFAST_ANSWER_SECONDS="1")`."""
    built: list[House] = []

    async def make(*extra: str, **env: str) -> House:
        home = tmp_path / f"house{len(built)}"
        home.mkdir()
        built.append(House(home, **env))
        await built[-1].open(*extra)
        return built[-1]

    yield make
    for house in built:
        await house.close()
