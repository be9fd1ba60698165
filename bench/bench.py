"""What every measurement has at hand: the callers, the meters, the amount of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client

from bench.callers import Direct, Floored, Http, Ours
from bench.house import House
from bench.meters import Meters
from bench.report import Report


@dataclass(frozen=True)
class Amount:
    """How much is done; seconds are seconds."""

    latencies: int = 80
    rounds: int = 3
    round_seconds: float = 8
    streams: int = 200
    tokens: int = 40
    """Of one stream."""
    gate_seconds: float = 20
    """How long the streams' first tokens are held back, so that all have begun."""
    growth: int = 20
    turns: int = 64


QUICK = Amount(
    latencies=20, rounds=1, round_seconds=4, streams=50, tokens=20, gate_seconds=4, growth=8, turns=32
)


@dataclass(frozen=True)
class Bench:
    house: House
    ours: Ours
    direct: Direct
    floor: Floored
    client: Client
    meters: Meters
    amount: Amount
    report: Report


@asynccontextmanager
async def prepared(house: House, amount: Amount, report: Report) -> AsyncIterator[Bench]:
    """The callers of a house that is open."""
    headers = {"Authorization": f"Bearer {house.key}"}
    client = await Client.connect(house.temporal)
    async with Http(headers) as http, Http({}) as bare:
        yield Bench(
            house=house,
            ours=Ours(house, http),
            direct=Direct(house, bare),
            floor=Floored(client),
            client=client,
            meters=Meters(house.pids),
            amount=amount,
            report=report,
        )
