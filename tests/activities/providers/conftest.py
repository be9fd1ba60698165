"""The servers the providers are asked against, in each wire format."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

import aiohttp
import pytest

from activities.providers.http import new_session
from domain.completion import Finish, Token
from tests.activities.providers.dialects import ANTHROPIC, OPENAI, Dialect
from tests.activities.providers.recorded import HEAD, Ask, Hear, Play, Recorded, call, whole
from tests.model_server import ModelServer


@pytest.fixture(scope="module", params=[OPENAI, ANTHROPIC], ids=["openai", "anthropic"])
def dialect(request: pytest.FixtureRequest) -> Dialect:
    """Every test that asks for it, or for what is built on it, runs once in each wire format."""
    given: Dialect = request.param
    return given


@pytest.fixture(scope="module")
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer() as server:
        yield server


@pytest.fixture(scope="module")
async def recorded() -> AsyncIterator[Recorded]:
    async with Recorded().running() as server:
        yield server


@pytest.fixture(scope="module")
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with new_session() as opened:
        yield opened


@pytest.fixture
def ask(dialect: Dialect, model: ModelServer, session: aiohttp.ClientSession) -> Ask:
    """Ask the model of the tests."""
    provider = dialect.provider(session, model.url)
    return lambda text: whole(provider.stream(call(text)))


@pytest.fixture(scope="module")
def hear(dialect: Dialect, recorded: Recorded, session: aiohttp.ClientSession) -> Hear:
    """Answer with an event stream whose body comes in these pieces."""
    provider = dialect.provider(session, recorded.url, idle=5)

    def heard(pieces: list[bytes]) -> Awaitable[tuple[list[Token], Finish]]:
        recorded.pieces = [HEAD, *pieces]
        return whole(provider.stream(call("hi")))

    return heard


@pytest.fixture
def play(hear: Hear) -> Play:
    """Answer with these bytes as the body of an event stream."""
    return lambda body: hear([body])
