"""A house for each file of this room; what a test broke is mended before the next one begins."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable

import pytest

from tests.crash.witness import Witness
from tests.house import House, standing
from tests.http import Api

Note = Callable[[str, object], None]

_log = logging.getLogger("figures")
_ONE_OF_EACH = ("postgres", "temporal", "model", "worker", "api")


@pytest.fixture(scope="module")
async def _standing(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    async with standing(tmp_path_factory.mktemp("house")) as built:
        yield built


@pytest.fixture
async def house(_standing: House) -> House:
    """One of each process, whole and ready; second ones (worker2, api2) are for the test to start."""
    for name in ("worker2", "api2"):
        _standing.stop(name)
    for name in _ONE_OF_EACH:
        if not _standing.runs(name):
            _standing.stop(name)
            _standing.start(name)
        _standing.thaw(name)
    await _standing.ready()
    async with _standing.api() as client:
        # Temporal counts a dead worker as there for minutes: only an answer proves one.
        await client.ok("/v1/conversation/complete", {"messages": [{"type": "user", "text": "hello"}]})
    return _standing


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    async with house.api() as client:
        yield client


@pytest.fixture
def witness(house: House) -> Witness:
    return Witness(house)


@pytest.fixture
def note() -> Note:
    """Tells a measured figure to whoever runs the tests with `--log-cli-level=INFO`."""
    return lambda what, value: _log.info("%s: %s", what, value)
