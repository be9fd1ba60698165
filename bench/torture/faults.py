"""What the nemesis does to the platform; each fault heals by itself and says from when recovery counts."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NamedTuple

from bench.torture.proxy import FAULTS as LINK_FAULTS
from bench.torture.proxy import LINKS
from bench.torture.ship import APIS, RECEIVERS, WORKERS, Ship
from deploy import postgres

FREEZE = (4.0, 15.0)
"""Mostly just over a heartbeat."""
SHORT, LONG = (1.0, 4.0), (5.5, 8.0)
"""Seconds that a fault lasts."""

Moment = float
"""time.time()"""


class Fault(NamedTuple):
    name: str
    strike: Callable[[Ship, random.Random], Coroutine[Any, Any, Moment]]
    aim: float | None = None
    """Seconds within which whoever listens or calls shall be served again; None where none is promised."""


async def kill_worker(ship: Ship, chance: random.Random) -> Moment:
    ship.strike(await ship.victim(WORKERS))
    return time.time()


async def kill_every_worker(ship: Ship, chance: random.Random) -> Moment:
    seconds = chance.uniform(*SHORT)
    for name in WORKERS:
        ship.hold(name, seconds)
        ship.strike(name)
    await asyncio.gather(*(ship.up(name) for name in WORKERS))
    return time.time()


async def kill_api(ship: Ship, chance: random.Random) -> Moment:
    ship.strike(await ship.victim(APIS))
    return time.time()


async def kill_temporal(ship: Ship, chance: random.Random) -> Moment:
    return await _outage(ship, chance, "temporal", SHORT)


async def kill_temporal_for_long(ship: Ship, chance: random.Random) -> Moment:
    return await _outage(ship, chance, "temporal", LONG)


async def kill_model(ship: Ship, chance: random.Random) -> Moment:
    return await _outage(ship, chance, "model", SHORT)


async def kill_receivers(ship: Ship, chance: random.Random) -> Moment:
    """Of webhooks and e-mails, for as long as it takes to use up some attempts."""
    await asyncio.gather(*(_outage(ship, chance, name, LONG) for name in RECEIVERS))
    return time.time()


async def stop_postgres_at_once(ship: Ship, chance: random.Random) -> Moment:
    """Its immediate shutdown: what a crash of its machine leaves."""
    return await _outage(ship, chance, "postgres", SHORT)


async def freeze_worker(ship: Ship, chance: random.Random) -> Moment:
    return await _freeze(ship, await ship.victim(WORKERS), chance.triangular(*FREEZE, FREEZE[0]))


async def freeze_api(ship: Ship, chance: random.Random) -> Moment:
    return await _freeze(ship, await ship.victim(APIS), chance.triangular(*FREEZE, FREEZE[0]))


async def freeze_temporal(ship: Ship, chance: random.Random) -> Moment:
    return await _freeze(ship, "temporal", chance.uniform(*SHORT))


async def roll(ship: Ship, chance: random.Random) -> Moment:
    """A worker and an API are told to go and replaced, as a deployment does it."""
    for name in (chance.choice(WORKERS), chance.choice(APIS)):
        await ship.replace(name)
    return time.time()


async def deploy(ship: Ship, chance: random.Random) -> Moment:
    """Workers with later plans beside the old ones for a while, then everywhere."""
    version = int(ship.env.get("PLAN_VERSION", "1")) + 1
    ship.arm(WORKERS[0], {"PLAN_VERSION": str(version)})
    await ship.replace(WORKERS[0])
    await asyncio.sleep(chance.uniform(*SHORT))
    ship.env["PLAN_VERSION"] = str(version)
    for name in WORKERS[1:]:
        await ship.replace(name)
    return time.time()


async def cut_every_connection(ship: Ship, chance: random.Random) -> Moment:
    """Postgres throws everybody out, several times."""
    for _ in range(chance.randint(2, 5)):
        await _terminate(ship)
        await asyncio.sleep(chance.uniform(0.1, 0.4))
    return time.time()


async def disk_full(ship: Ship, chance: random.Random) -> Moment:
    """Nothing more fits beside Postgres's data, for a while."""
    await ship.up("postgres")
    ballast = ship.home / "postgres" / "ballast"
    try:
        await asyncio.to_thread(fill, ballast)
        await asyncio.sleep(chance.uniform(*SHORT))
    finally:
        ballast.unlink(missing_ok=True)
    await _answering(ship)
    return time.time()


def link(fault: str) -> Callable[[Ship, random.Random], Coroutine[Any, Any, Moment]]:
    """A fault of one of the links that go through the proxy."""

    async def strike(ship: Ship, chance: random.Random) -> Moment:
        name, seconds = chance.choice(tuple(LINKS)), chance.uniform(*SHORT)
        await ship.up("proxy")
        ship.note(name)
        await ship.proxy.begin(name, fault, seconds)
        await asyncio.sleep(seconds)
        return time.time()

    return strike


FAULTS = (
    Fault("kill a worker", kill_worker, 7),
    Fault("kill every worker", kill_every_worker),
    Fault("kill an API", kill_api, 2),
    Fault("kill Temporal, briefly", kill_temporal, 3),
    Fault("kill Temporal, for longer", kill_temporal_for_long, 10),
    Fault("kill the model", kill_model),
    Fault("kill the receivers", kill_receivers),
    Fault("stop Postgres at once", stop_postgres_at_once, 4),
    Fault("freeze a worker", freeze_worker),
    Fault("freeze an API", freeze_api),
    Fault("freeze Temporal", freeze_temporal),
    Fault("roll a worker and an API", roll),
    Fault("deploy later plans", deploy),
    Fault("cut every connection to Postgres", cut_every_connection),
    *(Fault(f"link: {fault}", link(fault)) for fault in LINK_FAULTS),
)
DISK_FULL = Fault("disk full", disk_full)
"""Only where Postgres's data lies on a file system of its own."""


async def _outage(ship: Ship, chance: random.Random, name: str, lasts: tuple[float, float]) -> Moment:
    await ship.up(name)
    ship.hold(name, chance.uniform(*lasts))
    ship.note(name)
    ship.strike(name)
    await ship.up(name)
    if name == "postgres":
        await _answering(ship)
    elif name == "temporal":
        await _reachable(ship)
    return time.time()


async def _answering(ship: Ship) -> None:
    await postgres.ready(ship.home, ship.ports["postgres"], 60)


async def _reachable(ship: Ship) -> None:
    """Returns once Temporal takes connections."""
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", ship.ports["temporal"])
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


async def _freeze(ship: Ship, name: str, seconds: float) -> Moment:
    await ship.up(name)
    ship.send(name, signal.SIGSTOP)
    began = time.time()
    await asyncio.sleep(seconds)
    ship.send(name, signal.SIGCONT)
    return began


async def _terminate(ship: Ship) -> None:
    everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'holdfast'"
    await ship.tell_postgres(everybody)


def fill(ballast: Path) -> None:
    """Until nothing more fits."""
    piece = bytes(2**20)
    # What a buffer held back would be tried again, and fail again, when the file is closed.
    with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(piece)
    os.sync()
