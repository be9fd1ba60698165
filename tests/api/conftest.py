"""An API process behind low walls: its bounds are small, so that tests of them are short."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import psutil
import pytest

from domain import ids
from tests.house import House, eventually
from tests.http import Api
from tests.raw import line

BOUNDS = {
    "HOLDFAST_BODY_BYTES": "200000",
    "HOLDFAST_HEADER_BYTES": "4096",
    "HOLDFAST_RECEIVE_SECONDS": "1",
    "HOLDFAST_BODY_SECONDS": "2.5",
    "HOLDFAST_SEND_SECONDS": "1",
    "HOLDFAST_IDLE_SECONDS": "1.5",
    "HOLDFAST_CONNECTIONS": "240",
    "HOLDFAST_TRUSTED_PROXIES": "127.0.0.0/8",
    "HOLDFAST_LOG_LEVEL": "DEBUG",
}


class Fort(NamedTuple):
    house: House
    process: psutil.Process
    port: int

    @property
    def key(self) -> bytes:
        """A header that lets in."""
        return b"Authorization: Bearer " + self.house.key.encode()

    @property
    def log(self) -> str:
        return (self.house.home / "log" / "api2.log").read_text()

    @property
    def memory(self) -> int:
        """Bytes resident."""
        return int(self.process.memory_info().rss)

    def connected(self, port: int | None = None) -> int:
        """How many clients it has; with a client's port: whether it has that one."""
        mine = [c for c in self.process.net_connections("tcp4") if c.laddr and c.laddr.port == self.port]
        return sum(1 for c in mine if c.raddr and port in (None, c.raddr.port))

    async def entered(self, port: int) -> None:
        """Returns once a client is inside."""

        async def check() -> None:
            assert self.connected(port) == 1

        await eventually(check)

    async def empty(self) -> None:
        """Returns once no client is inside any more."""

        async def check() -> None:
            assert self.connected() == 0

        await eventually(check)

    def api(self, key: str | None = None) -> Api:
        return self.house.api("api2", key)


@pytest.fixture(scope="module")
async def _standing(request: pytest.FixtureRequest, session_house: House) -> AsyncIterator[Fort]:
    """It leaves nothing running, and its log tells of no failure."""
    session_house.start("api2", **BOUNDS | getattr(request.module, "PATIENT", {}))
    await session_house.ready("api2")
    fort = Fort(session_house, psutil.Process(session_house.pid("api2")), session_house.ports["api2"])
    try:
        yield fort
        await fort.empty()
    finally:
        session_house.stop("api2")
    for word in ("Traceback", "ERROR", "CRITICAL", "Cancel"):
        assert word not in fort.log, fort.log[-4_000:]


@pytest.fixture
async def fort(_standing: Fort) -> AsyncIterator[Fort]:
    """It still stands after the test."""
    yield _standing

    assert _standing.house.runs("api2")
    async with line(_standing.port) as client:
        await client.send(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert await client.status() == 200


@pytest.fixture
def channel() -> str:
    """The name of a channel nobody has used."""
    return ids.channel()
