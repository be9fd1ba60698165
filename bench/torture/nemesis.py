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

MEASURED = 0.5
"""The share of faults after which nothing else happens until everybody is served again."""
PAUSE = (0.3, 1.5)


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
    _probes: list[Probes] = field(default_factory=list)

    async def run(self, ends: float) -> None:
        """Every fault once before any comes again, until `ends` (time.monotonic())."""
        while True:
            for fault in self.chance.sample(self.faults, len(self.faults)):
                if time.monotonic() > ends:
                    await asyncio.gather(*(probes.end() for probes in self._probes))
                    return
                await self.strike(fault, measured=self.chance.random() < MEASURED)
                await asyncio.sleep(self.chance.uniform(*PAUSE))

    async def strike(self, fault: Fault, *, measured: bool) -> None:
        probes = Probes(self.client, self.talk)
        if measured:
            self._probes.append(probes)
            await probes.begin()
        suffered = Suffered(fault.name, time.time())
        self.suffered.append(suffered)
        moment = await fault.strike(self.ship, self.chance)
        if measured:
            suffered.recovery = await probes.recovery(moment)
