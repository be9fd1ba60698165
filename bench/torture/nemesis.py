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
    failed: list[str] = field(default_factory=list)
    """Faults that could not be done, and why."""
    _under_way: list[asyncio.Task[tuple[Suffered, float]]] = field(default_factory=list)

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
        self._under_way.append(asyncio.create_task(self._suffer(fault)))
        await asyncio.sleep(self.chance.uniform(*PAUSE))

    async def _suffer(self, fault: Fault) -> tuple[Suffered, float]:
        """A fault to its end, and the moment from which recovery counts; one that cannot be done is noted."""
        suffered = Suffered(fault.name, time.time())
        try:
            moment = await fault.strike(self.ship, self.chance)
        except Exception as trouble:
            self.failed.append(f"{fault.name}: {trouble!r}")
            return suffered, time.time()
        self.suffered.append(suffered)
        return suffered, moment

    async def _measure(self, fault: Fault) -> None:
        await asyncio.gather(*self._under_way)
        # What an earlier fault still costs is not this one's.
        await self.ship.sound()
        probes = Probes(self.client, self.talk)
        self._probes.append(probes)
        await probes.begin()
        suffered, moment = await self._suffer(fault)
        suffered.recovery = await probes.recovery(moment)

    async def rest(self, seconds: float) -> None:
        """Returns when what was begun is over, or after so many seconds."""
        begun = [*self._under_way, *(asyncio.create_task(probes.end()) for probes in self._probes)]
        if begun:
            await asyncio.wait(begun, timeout=seconds)
