"""What every measurement has at hand: the callers, the meters, the amount of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from temporalio.client import Client, GrpcCompression

from bench.callers import Direct, Floored, Http, Ours
from bench.house import House
from bench.meters import Meters
from bench.report import Report


@dataclass(frozen=True)
class Amount:
    """How much is done; seconds are seconds."""

    rounds: int = 5
    """Of the measurements of single turns."""
    repeats: int = 3
    """Of the measurements of crowds and sizes, whose rounds are longer."""
    latencies: int = 20
    """Turns of each kind in one round: with fewer, the p95 of a round would be its maximum."""
    round_seconds: float = 3.5
    growth: int = 4
    turns: int = 48
    streams: int = 200
    tokens: int = 30
    """Of one stream."""
    gate_seconds: float = 12
    """How long the streams' first tokens are held back, so that all have begun."""
    listeners: int = 1_000
    fan_tokens: int = 100
    join_seconds: float = 6
    """How long the first token is held back, so that all listeners have come."""
    tasks: int = 10_000
    """Saved at once, a fifth of them in each round."""
    event_seconds: float = 60
    """How long events come at a steady rate."""
    deliveries: int = 200
    """In each round."""
    total_seconds: float = 940
    """What is not measured by then, the start included, has failed."""


QUICK = Amount(
    rounds=3,
    repeats=1,
    latencies=6,
    round_seconds=1.5,
    growth=2,
    turns=32,
    streams=50,
    tokens=20,
    gate_seconds=3,
    listeners=250,
    fan_tokens=40,
    join_seconds=3,
    tasks=600,
    event_seconds=5,
    deliveries=80,
    total_seconds=150,
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
    client = await Client.connect(house.temporal, grpc_compression=GrpcCompression.NONE)
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
