"""The servers the providers are asked against."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable

import aiohttp
import pytest

from activities.providers.http import new_session
from activities.providers.openai import OpenAI
from domain.completion import Finish, Token
from tests.activities.providers.recorded import (
    HEAD,
    IDLE,
    KEY,
    Ask,
    Play,
    Recorded,
    call,
    whole,
)
from tests.model_server import ModelServer


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
def ask(model: ModelServer, session: aiohttp.ClientSession) -> Ask:
    """Ask the model of the tests."""
    provider = OpenAI(session, model.base_url, KEY, IDLE, 1_000_000)
    return lambda text: whole(provider.stream(call(text)))


@pytest.fixture
def play(recorded: Recorded, session: aiohttp.ClientSession) -> Play:
    """Answer with these bytes as the body of an event stream."""
    provider = OpenAI(session, recorded.base_url, KEY, IDLE, 1_000_000)

    def played(body: bytes) -> Awaitable[tuple[list[Token], Finish]]:
        recorded.pieces = [HEAD, body]
        return whole(provider.stream(call("hi")))

    return played
