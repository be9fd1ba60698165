"""A house that shows all there is to be seen: traces, logs as JSON down to DEBUG, lines that wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

from domain import ids
from tests.api.test_ability_runs import made
from tests.api.test_budget import LOOK, asking
from tests.collector import Collector
from tests.house import House
from tests.http import Api


class Watched(NamedTuple):
    house: House
    api: Api
    collector: Collector


@pytest.fixture(scope="package")
async def _watched(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Collector]]:
    async with Collector() as collector:
        house = House(
            tmp_path_factory.mktemp("watched"),
            OTEL_EXPORTER_OTLP_ENDPOINT=collector.url,
            OTEL_BSP_SCHEDULE_DELAY="50",
            HOLDFAST_LOG_FORMAT="json",
            HOLDFAST_LOG_LEVEL="DEBUG",
            HOLDFAST_ACTIVE_BACKGROUND_RUNS="1",
            OPENAI_API_KEY="sk-canary-key-of-the-model",
        )
        try:
            await house.open()
            yield house, collector
        finally:
            await house.close()


@pytest.fixture
async def watched(_watched: tuple[House, Collector]) -> AsyncIterator[Watched]:
    house, collector = _watched
    async with house.api() as api:
        yield Watched(house, api, collector)


INSTRUCTIONS = (
    "```prompt\nThe canary sings: {word: string}.\n```",
    '```fetch\nPOST http://10.0.0.1/canary\nX-Canary: {word: string}\n\n"canary"\n```',
)


async def canary_calls(api: Api) -> None:
    """Calls of tools whose names, arguments, results and failures are words."""
    channel = f"canary-{ids.channel()}"
    mine = {name: value for name, value in LOOK.items() if name != "result"}
    functions = [
        LOOK | {"name": "canary", "description": "canary", "result": {"data": {"canary": "canary"}}},
        LOOK | {"name": "canary_heard", "result": {"channel": channel}},
        mine | {"name": "canary_mine"},
    ]
    await api.ok(f"/v1/channel/{channel}/publish", {"message": {"error": "the canary fell"}})
    for calls in (
        "calls=2 tool=canary,canary_heard args=word:canary",
        "calls=1 tool=canary_of_nobody",
        "calls=1 tool=canary args=broken",
        "calls=1 tool=canary_mine args=word:canary",
    ):
        await api.ok(
            "/v1/conversation/complete", asking(f"canary [model {calls} tokens=1]", 10**6, *functions)
        )
    for instruction in INSTRUCTIONS:
        execute, _ = await made(api, instruction, "the canary sings")
        await api.ok(execute, {"input": "canary"})
        assert (await api.post(execute, {"input": '{"canary": 1}'})).status == 400
