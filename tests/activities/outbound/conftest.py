"""The tools that are called, and the client that calls them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from activities.outbound.client import Outbound
from activities.outbound.guarded import Bounds
from tests.tool_server import ToolServer


@pytest.fixture(scope="module")
async def tools() -> AsyncIterator[ToolServer]:
    async with ToolServer() as server:
        yield server


@pytest.fixture(scope="module")
async def outbound() -> AsyncIterator[Outbound]:
    """May call the tools, which are on this machine."""
    async with Outbound(loopback=True) as client:
        yield client


@pytest.fixture(scope="module")
async def hasty() -> AsyncIterator[Outbound]:
    """The same, with two seconds for everything."""
    async with Outbound(loopback=True, bounds=Bounds(connect_seconds=1, total_seconds=2)) as client:
        yield client


@pytest.fixture(scope="module")
async def guarded() -> AsyncIterator[Outbound]:
    """As it is unless an operator says otherwise."""
    async with Outbound(loopback=False, bounds=Bounds(total_seconds=5)) as client:
        yield client
