"""A house that shows all there is to be seen: traces, logs as JSON down to DEBUG, lines that wait."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest

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
