"""Breaks one thing after another."""

from __future__ import annotations

import asyncio
import random
import time
from dataclasses import dataclass, field

from bench.torture.clients import Client
from bench.torture.faults import FAULTS, Fault
from bench.torture.recovery import Probes
from bench.torture.ship import Ship
from bench.torture.talk import Talk

MEASURED = 0.2
"""Of the faults without an aim, the share that is measured. Nothing else happens meanwhile."""
PAUSE = (0.5, 3.0)
"""Seconds between the beginnings of two that are not measured, which may overlap."""


@dataclass
class Suffered:
    """One fault as it happened; `recovery` in seconds where it was measured."""

    name: str
    at: float
    recovery: float | None = None


@dataclass
class Nemesis:
    ship: Ship
    client: Client
    talk: Talk
    chance: random.Random
    faults: tuple[Fault, ...] = FAULTS
    suffered: list[Suffered] = field(default_factory=list)
    measured: float = MEASURED
    _probes: list[Probes] = field(default_factory=list)
    _under_way: list[asyncio.Task[float]] = field(default_factory=list)

    async def run(self, ends: float) -> None:
        """Every fault once before any comes again, until `ends` (time.monotonic())."""
        while True:
            for fault in self.chance.sample(self.faults, len(self.faults)):
                if time.monotonic() > ends:
                    return
                if fault.aim is not None or self.chance.random() < self.measured:
                    await self._measure(fault)
                else:
                    await self._strike(fault)

    async def _strike(self, fault: Fault) -> None:
        """Begins a fault, and leaves it to itself."""
        self.suffered.append(Suffered(fault.name, time.time()))
        self._under_way.append(asyncio.create_task(fault.strike(self.ship, self.chance)))
        await asyncio.sleep(self.chance.uniform(*PAUSE))

    async def _measure(self, fault: Fault) -> None:
        await asyncio.gather(*self._under_way)
        probes = Probes(self.client, self.talk)
        self._probes.append(probes)
        await probes.begin()
        suffered = Suffered(fault.name, time.time())
        self.suffered.append(suffered)
        suffered.recovery = await probes.recovery(await fault.strike(self.ship, self.chance))

    async def rest(self, seconds: float) -> None:
        """Returns when what was begun is over, or after so many seconds."""
        begun = [*self._under_way, *(asyncio.create_task(probes.end()) for probes in self._probes)]
        if begun:
            await asyncio.wait(begun, timeout=seconds)
