"""What a scenario has at hand: the ship, clients of its own, and what it found wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from bench.torture.clients import Client
from bench.torture.history import History, Op
from bench.torture.ship import APIS, Ship
from bench.torture.talk import Talk
from bench.torture.waiting import until


@dataclass
class Stage:
    ship: Ship
    talk: Talk
    """To every API in turn."""
    client: Client
    one: Client
    """Who speaks to the first API only."""
    other: Client
    """Who speaks to the second one only."""
    runs_before: int
    """Runs that were accepted before the scenario began."""
    wrong: list[str] = field(default_factory=list)

    async def place(self) -> str:
        """A new conversation."""
        return await self.client.new_conversation()

    async def must(self, what: str, met: Callable[[], object], seconds: float) -> None:
        """Waits until it came about; that it did not is wrong."""
        if not await until(met, seconds):
            self.wrong.append(f"{what}: not within {seconds:.0f} s")

    async def heard(self, op: Op, events: int) -> None:
        """Returns once an operation has heard so many events."""
        await self.must(f"{op.id} hears", lambda: len(self.talk.times[op.id]) >= events, 30)

    def begin(self, op: Op) -> asyncio.Task[None]:
        """A streamed turn, or a stateless one, in the background."""
        return asyncio.create_task(self.client.stream(op))


@asynccontextmanager
async def staged(ship: Ship, history: History, seed: int, name: str) -> AsyncIterator[Stage]:
    """A stage whose clients have names of their own."""
    chance = ship.chance
    addresses = [ship.address(name) for name in APIS]
    async with AsyncExitStack() as stack:
        every, first, second = [
            await stack.enter_async_context(Talk(some, ship.key, chance, ship.tools, ship.receiver))
            for some in (addresses, addresses[:1], addresses[1:])
        ]
        client = Client(f"{name}every", every, history, seed)
        one, other = Client(f"{name}one", first, history, seed), Client(f"{name}other", second, history, seed)
        ((before,),) = await ship.rows("SELECT count(*) FROM run")
        yield Stage(ship, every, client, one, other, before)
