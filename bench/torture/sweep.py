"""Every failpoint in turn: one process is armed, led there, and what happens to it is healed."""

from __future__ import annotations

import asyncio
import random
import signal
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from temporalio.service import RPCError

from bench.torture.clients import Client
from bench.torture.faults import cut_every_connection
from bench.torture.points import EFFECTS, POINTS, Effect
from bench.torture.ship import APIS, WORKERS, Ship
from bench.torture.waiting import until

REACHED = 20.0
"""Seconds within which an armed process must come to its point."""
FROZEN = (4.0, 8.0)
OUTAGE = 3.0
"""Longer than a start is tried for."""
BY = {"deaf": "whole", "outage": "canceled", "upkeep": "expired", "vanished": "renamed"}
"""What clients do where it is no act of theirs that leads to a point."""


@dataclass
class Sweep:
    ship: Ship
    clients: Sequence[Client]
    """Who lead the armed process to its point."""
    chance: random.Random
    reached: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    untried: list[str] = field(default_factory=list)
    _frozen: set[str] = field(default_factory=set)
    _aside: list[asyncio.Task[None]] = field(default_factory=list)
    """What is finished while the next point is under way."""

    async def run(self, points: Sequence[tuple[str, Effect]], ends: float) -> None:
        """As many as there is time for; one of an API and one of a worker at a time."""
        of_apis = [point for point in points if POINTS[point[0]].part == "api"]
        of_workers = [point for point in points if POINTS[point[0]].part == "worker"]
        await asyncio.gather(
            self._in_turn(of_apis, ends, self.clients[::2]),
            self._in_turn(of_workers, ends, self.clients[1::2]),
        )

    async def _in_turn(
        self, points: Sequence[tuple[str, Effect]], ends: float, leaders: Sequence[Client]
    ) -> None:
        for place, (name, effect) in enumerate(points):
            if time.monotonic() > ends:
                self.untried += [f"{name} {effect}" for name, effect in points[place:]]
                return
            spelled = f"{name}:{self._passes(name)}:{effect}"
            reached = await self.strike(name, spelled, leaders)
            (self.reached if reached else self.missed).append(spelled)

    async def rest(self, seconds: float) -> None:
        """Returns when what it began is over, or after so many seconds."""
        if self._aside:
            await asyncio.wait(self._aside, timeout=seconds)

    async def strike(self, name: str, spelled: str, leaders: Sequence[Client]) -> bool:
        """Whether the process came to the point."""
        victim = self._victim(APIS if POINTS[name].part == "api" else WORKERS)
        before = self._struck(name)
        self.ship.arm_failpoint(victim, spelled)
        self.ship.strike(victim)
        await self.ship.up(victim)
        pid = self.ship.pid(victim)
        over = asyncio.Event()
        self._aside += [asyncio.create_task(self._lead(client, name, over)) for client in leaders]
        reached = await until(lambda: self._struck(name) > before, REACHED)
        over.set()
        if reached and spelled.endswith("stop"):
            self._frozen.add(victim)
            self._aside.append(asyncio.create_task(self._thaw(victim, pid)))
        return reached

    def _victim(self, names: Sequence[str]) -> str:
        """One that is not frozen by an earlier point."""
        return self.chance.choice([name for name in names if name not in self._frozen] or names)

    async def _lead(self, client: Client, name: str, over: asyncio.Event) -> None:
        by = POINTS[name].by
        while not over.is_set():
            if by == "deaf":
                await cut_every_connection(self.ship, self.chance)
            if by == "outage":
                self.ship.hold("temporal", OUTAGE)
                self.ship.strike("temporal")
            await client.act(BY.get(by, by))
            if by in ("upkeep", "vanished"):
                await self._tidy(client, by)

    async def _tidy(self, client: Client, by: str) -> None:
        # Temporal may be out of order, and what is to vanish may have vanished.
        with suppress(RPCError, RuntimeError):
            if by == "vanished" and client.scheduled:
                await self.ship.lose_schedule(self.chance.choice(client.scheduled).made or "")
        with suppress(RPCError, RuntimeError):
            await self.ship.tidy()

    async def _thaw(self, victim: str, pid: int) -> None:
        await asyncio.sleep(self.chance.uniform(*FROZEN))
        self._frozen.discard(victim)
        with suppress(KeyError):
            if self.ship.pid(victim) == pid:
                self.ship.send(victim, signal.SIGCONT)

    def _passes(self, name: str) -> int:
        """Tokens and rounds are many; of what a client does, one of the first."""
        return self.chance.randint(1, 30) if name == "stream.token" else 1

    def _struck(self, name: str) -> int:
        told = self.ship.hits.read_text() if self.ship.hits.exists() else ""
        return sum(line.startswith(f"{name} ") for line in told.splitlines())


def chosen(chance: random.Random, *, third: int | None) -> list[tuple[str, Effect]]:
    """All points with all effects in a seeded order; of a third, each point once."""
    names = sorted(POINTS)
    if third is not None:
        return [
            (name, chance.choice(EFFECTS)) for name in chance.sample(names[third::3], len(names[third::3]))
        ]
    effects = {name: chance.sample(EFFECTS, len(EFFECTS)) for name in names}
    # Every point once before any comes again, should time run out.
    return [
        (name, effects[name][turn])
        for turn in range(len(EFFECTS))
        for name in chance.sample(names, len(names))
    ]
