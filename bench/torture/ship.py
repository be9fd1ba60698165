"""The platform under torture: two APIs, three workers and what they stand on, each restarted when it dies."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import asyncpg

from bench.torture.proxy import LINKS, Proxy
from bench.torture.waiting import until
from deploy import postgres, tether
from domain import ids
from domain.errors import Unavailable
from tests.house import House

APIS = ("api", "api2")
WORKERS = ("worker", "worker2", "worker3")
RECEIVERS = ("sink", "postbox")
"""Of webhooks and of e-mails."""
BEHIND_LINKS = ("worker3", "api2")
"""What these say to Postgres, Temporal and the model goes through the proxy; the others stay direct."""
TICK = 0.05
PATIENCE = 60.0
SETTLED = 3.0
"""Seconds after which a worker that was started is at work."""
WAITING = 6
"""Turns of one conversation that may wait; nobody has as many by accident."""
TUNED = {
    # A prompt that the model leaves without an answer shall not take a minute of the run.
    "HOLDFAST_MODEL_IDLE_SECONDS": "3",
    "HOLDFAST_MODEL_OUTPUT_BYTES": "65536",
    "HOLDFAST_ANSWER_SECONDS": "60",
    "HOLDFAST_WAITING_RUNS_PER_CONVERSATION": str(WAITING),
    # More than are ever open at once, and few enough to notice places that are not given back.
    "HOLDFAST_SUBSCRIBERS_PER_ACCOUNT": "60",
    # So few that some wait for the sweeper's round.
    "HOLDFAST_ACTIVE_BACKGROUND_RUNS": "4",
    # A wait that ends before somebody may have published is nobody's fault.
    "HOLDFAST_WAIT_SECONDS": "120",
    "HOLDFAST_SHORTEST_PERIOD_MS": "2000",
    # Three days in a quarter of a minute.
    "HOLDFAST_DELIVERY_SCHEDULE": "0,0.2,0.4,0.8,1.5,2,2.5,3,3.5,4",
    "HOLDFAST_DELIVERY_PAUSES": "0.5,1,2,3",
}


class Ship(House):
    """A house whose processes may be armed with a failpoint, and that keeps itself alive."""

    # What the tools count they must not forget: they are never killed, only their link breaks.
    parts: tuple[str, ...] = (
        *("postgres", "temporal", "model", "proxy", "tools", *RECEIVERS),
        *(*WORKERS, *APIS),
    )
    extra: tuple[str, ...] = ("temporal_ui", *(f"link_{link}" for link in LINKS))

    def __init__(self, home: Path, seed: int, **rigging: str) -> None:
        super().__init__(home, **TUNED, **rigging)
        self.env |= {
            "HOLDFAST_SMTP_HOST": "127.0.0.1",
            "HOLDFAST_SMTP_PORT": str(self.ports["postbox"]),
            "HOLDFAST_SMTP_TLS": "none",
            "HOLDFAST_SMTP_FROM": "Holdfast <torture@example.com>",
        }
        self._seed = seed
        self.proxy = Proxy(self.ports["proxy"])
        self.hits = home / "hits"
        self._earlier: list[str] = []
        self.deaths: list[str] = []
        """Processes that ended though nobody had told them: by themselves, or by a failpoint."""
        self.struck: list[tuple[str, float]] = []
        """Parts that were put out of order, themselves or on their link, and when (time.time())."""
        self._armed: dict[str, Mapping[str, str]] = {}
        self._held: dict[str, float] = {}
        self._ordered: set[str] = set()
        self._begun: dict[str, float] = {}
        self.chance = random.Random(seed)
        self._keeper: asyncio.Task[None] | None = None

    async def sail(self) -> None:
        """Returns when everything is up; from then on what dies is started again."""
        self.start("proxy")
        self.start("tools")
        for name in RECEIVERS:
            self.start(name)
        await self.open("api2", "worker2", "worker3")
        for name in APIS:
            await self.ready(name)
        for name in WORKERS:
            await self.working(name)
        self._keeper = asyncio.create_task(self._keep())

    async def sink(self) -> None:
        """Ends what was started."""
        if self._keeper is not None:
            self._keeper.cancel()
        if hasattr(self, "store"):
            await self.store.close()
        await asyncio.gather(*(asyncio.to_thread(self.stop, name) for name in self.parts[3:]))
        for name in ("model", "temporal", "postgres"):
            await asyncio.to_thread(self.stop, name)

    def address(self, name: str) -> str:
        """Where clients reach an API: the second one only through the proxy."""
        port = self.ports["link_api"] if name in BEHIND_LINKS else self.ports[name]
        return f"http://127.0.0.1:{port}"

    @property
    def tools(self) -> str:
        """Where agents find the tools: through the proxy."""
        return f"http://127.0.0.1:{self.ports['link_tools']}"

    @property
    def receiver(self) -> str:
        """Where webhooks are received: through the proxy."""
        return f"http://127.0.0.1:{self.ports['link_sink']}"

    def received(self, name: str) -> list[dict[str, Any]]:
        """What a receiver took, in the order in which it came; see sink.py and postbox.py."""
        file = self._lines(name)
        # Of one that is killed while it writes, the last line may be half of one.
        lines = file.read_text().split("\n")[:-1] if file.exists() else []
        return [json.loads(line) for line in lines if line.endswith("}")]

    def _lines(self, name: str) -> Path:
        return self.home / f"{name}.jsonl"

    async def tool_calls(self) -> dict[str, Any]:
        """What the tools counted, by name; see tests/tool_server.py."""
        async with self.api("tools") as tools:
            told: dict[str, Any] = (await tools.get("/calls")).body
            return told

    def arm_failpoint(self, name: str, spelled: str) -> None:
        """Like `arm`, with a failpoint (see points.py); that it was reached is a line in `hits`."""
        self.arm(name, {"FAILPOINT": spelled, "HITS": str(self.hits)})

    def reached(self) -> list[str]:
        """Every failpoint that was reached so far: its name, its effect and when."""
        now = self.hits.read_text().split("\n")[:-1] if self.hits.exists() else []
        return [*self._earlier, *now]

    def forget_hits(self) -> None:
        """There is no `hits` until the next failpoint is reached."""
        self._earlier = self.reached()
        self.hits.unlink(missing_ok=True)

    def arm(self, name: str, env: Mapping[str, str]) -> None:
        """The next life of this process, and only that, has these in its environment."""
        self._armed[name] = env

    def hold(self, name: str, seconds: float) -> None:
        """Once dead, it stays so for this long."""
        self._held[name] = time.monotonic() + seconds

    def note(self, name: str) -> None:
        """Somebody is about to put a part out of order."""
        self.struck.append((name, time.time()))

    def strike(self, name: str) -> None:
        """kill -9; it is started again."""
        if self.runs(name):
            self._ordered.add(name)
            self.kill(name)

    async def sound(self) -> None:
        """Returns when every part runs, and those of ours have for long enough to be at work."""
        for name in APIS:
            await self.up(name)
            await self.ready(name)
        await until(lambda: all(self._works(name) for name in WORKERS), PATIENCE)

    def _works(self, name: str) -> bool:
        return self.runs(name) and time.monotonic() - self._begun.get(name, 0.0) > SETTLED

    async def victim(self, names: Sequence[str]) -> str:
        """One of them that runs, sooner or later."""
        await until(lambda: any(self.runs(name) for name in names), PATIENCE)
        return self.chance.choice([name for name in names if self.runs(name)])

    async def replace(self, name: str) -> None:
        """SIGTERM, as a deployment does it; returns when the next one begins."""
        await self.up(name)
        self._ordered.add(name)
        self.hold(name, 60)
        await asyncio.to_thread(self.stop, name)
        self._held.pop(name, None)
        await self.up(name)

    def send(self, name: str, number: signal.Signals) -> None:
        """A signal to a process that may have just died."""
        if self.runs(name):
            self._running[name].send_signal(number)

    async def read(self, query: str) -> list[asyncpg.Record]:
        """All rows there are, however long it takes: what is looked through in the end is large."""
        connection = await asyncpg.connect(self.database_url, timeout=10)
        try:
            return await connection.fetch(query, timeout=120)
        finally:
            await connection.close()

    async def tell_postgres(self, statement: str, *arguments: object) -> None:
        """One statement on a connection of its own, once Postgres is there."""
        await postgres.ready(self.home, self.ports["postgres"], PATIENCE)
        connection = await asyncpg.connect(self.database_url, timeout=10)
        try:
            await connection.execute(statement, *arguments)
        finally:
            await connection.close()

    async def rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        """As a house's; whoever looks on waits until Postgres is there again."""
        ends = time.monotonic() + PATIENCE
        while True:
            try:
                return await super().rows(query, *arguments)
            except Unavailable:
                if time.monotonic() > ends:
                    raise
            await asyncio.sleep(0.2)

    async def tidy(self) -> None:
        """Asks for a round of upkeep; one comes every minute anyway. Raises what Temporal's client does."""
        await (await self.temporal()).get_schedule_handle(ids.UPKEEP_SCHEDULE).trigger()

    async def lose_schedule(self, task: str) -> None:
        """Removes a task's schedule from Temporal behind our back. Raises what Temporal's client does."""
        await (await self.temporal()).get_schedule_handle(ids.task_schedule(task)).delete()

    async def up(self, name: str, seconds: float = 30) -> None:
        """Returns once the process of that name runs."""
        if not await until(lambda: self.runs(name), seconds):
            raise TimeoutError(f"{name} was not started again")

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(TICK)
            for name in self.parts:
                if not self.runs(name):
                    self._tend(name)

    def _tend(self, name: str) -> None:
        if name not in self._held:
            self._held[name] = self._soon(name)
        if time.monotonic() > self._held[name]:
            self._begin_again(name)

    def _soon(self, name: str) -> float:
        """When one that has just been found dead is started: a little later, as a supervisor does."""
        if name not in self._ordered:
            self.deaths.append(name)
        return time.monotonic() + self.chance.uniform(0.2, 0.8)

    def _begin_again(self, name: str) -> None:
        self._ordered.discard(name)
        self._held.pop(name, None)
        self._reap(name)
        self.start(name)
        self._begun[name] = time.monotonic()

    def _reap(self, name: str) -> None:
        dead = self._running.pop(name, None)
        if dead is not None:
            dead.wait()

    def _environment(self, name: str) -> dict[str, str]:
        env = {**super()._environment(name), **self._armed.pop(name, {})}
        if name in BEHIND_LINKS and "DATABASE_URL" in env:
            for link in ("postgres", "temporal", "model"):
                old, new = f"127.0.0.1:{self.ports[link]}", f"127.0.0.1:{self.ports[f'link_{link}']}"
                env = {key: value.replace(old, new) for key, value in env.items()}
        return env

    def _command(self, name: str) -> list[str]:
        if name == "proxy":
            ends = {link: (self.ports[f"link_{link}"], self.ports[part]) for link, part in LINKS.items()}
            return _tied("bench.torture.proxy", str(self.ports["proxy"]), *_spelled(ends))
        if name == "model":
            return _tied("tests.model_server", "--port", str(self.ports["model"]))
        if name == "tools":
            return _tied("tests.tool_server", "--port", str(self.ports["tools"]))
        if name in RECEIVERS:
            given = (str(self.ports[name]), str(self._lines(name)), str(self._seed))
            return _tied(f"bench.torture.{name}", *given)
        if name in (*WORKERS, *APIS):
            return _tied("bench.torture.rigged", name.rstrip("23"))
        return super()._command(name)


def _spelled(ends: Mapping[str, tuple[int, int]]) -> list[str]:
    return [f"{link}:{listen}:{target}" for link, (listen, target) in ends.items()]


def _tied(module: str, *words: str) -> list[str]:
    """A Python program of ours that ends when we do, frozen or not."""
    return tether.command(signal.SIGKILL, [sys.executable, "-m", module, *words])
