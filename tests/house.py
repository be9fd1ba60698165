"""The whole platform as real processes, to be used and to be broken."""

from __future__ import annotations

import asyncio
import base64
import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp
import asyncpg
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

import starter
from deploy import ports, postgres, temporal
from store import Store
from store.migrate import migrate
from tests.guarded import converter
from tests.http import Api

T = TypeVar("T")
ROOT = Path(__file__).resolve().parent.parent
CHOSEN = ("HOLDFAST_", "OTEL_")
"""What the surroundings of the tests have chosen for themselves."""
PATIENCE = 60.0
"""Seconds within which what is bound to come has come, on a slow machine with much else to do as well."""
PARTS = ("postgres", "temporal", "model", "worker", "worker2", "api", "api2")

_NEVER = """
UPDATE task SET schedule = NULL, every = NULL, next_at = NULL, revision = revision + 1,
                untold_at = clock_timestamp()
WHERE id IN (SELECT id FROM task WHERE next_at IS NOT NULL FOR NO KEY UPDATE SKIP LOCKED)
"""

_GIVEN: set[int] = set()
"""Ports of the houses that stand: some of their parts are started late, or again."""
_SHARE = 400


@cache
def _own_ports() -> range:
    """A share of the ports, which no other tests of this machine use at the same time."""
    for start in range(ports.RANGE.start, ports.RANGE.stop, _SHARE):
        with suppress(OSError):
            lock = os.open(f"{tempfile.gettempdir()}/holdfast-tests-{start}.lock", os.O_CREAT | os.O_RDWR)
            # Held until this process is over.
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return range(start, start + _SHARE)
    raise OSError("too many tests at once on this machine")


async def eventually(check: Callable[[], Awaitable[T]], seconds: float = PATIENCE) -> T:
    """What `check` returns once it stops raising AssertionError; its last complaint after so many seconds."""
    ends = asyncio.get_running_loop().time() + seconds
    while True:
        try:
            return await check()
        except AssertionError:
            if asyncio.get_running_loop().time() > ends:
                raise
        await asyncio.sleep(0.05)


async def minute_lasts(seconds: float = 10) -> None:
    """Returns once no minute begins for so long: no day and no month, and nothing that is due by a clock."""

    async def check() -> None:
        assert -time.time() % 60 > seconds

    await eventually(check, 60 + PATIENCE)


class House:
    """Processes by the names of its parts, their logs in `home/log`."""

    parts: tuple[str, ...] = PARTS
    extra: tuple[str, ...] = ("temporal_ui",)
    """Ports that are not a part's own."""

    def __init__(self, home: Path, **env: str) -> None:
        self.home = home
        metrics = [f"{name}_metrics" for name in self.parts if name.rstrip("23") in ("api", "worker")]
        free = [port for port in _own_ports() if port not in _GIVEN]
        self.ports = ports.pick(home, (*self.parts, *self.extra, *metrics), free)
        _GIVEN.update(self.ports.values())
        self.env = {name: value for name, value in os.environ.items() if not name.startswith(CHOSEN)}
        self.env |= temporal.environment(self.ports["temporal"]) | {
            "OPENAI_BASE_URL": f"http://127.0.0.1:{self.ports['model']}/v1",
            "OPENAI_API_KEY": "test",
            "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{self.ports['model']}",
            "ANTHROPIC_API_KEY": "test",
            "HOLDFAST_SECRET": "0123456789abcdef0123456789abcdef",
            "HOLDFAST_SECRET_KEYS": base64.b64encode(b"the house's own key of 32 bytes.").decode(),
            # The tools of the tests are on this machine.
            "HOLDFAST_OUTBOUND_LOOPBACK": "true",
            "TEMPORAL_UI_URL": f"http://127.0.0.1:{self.ports['temporal_ui']}",
            "VIOLATIONS": str(home / "violations"),
            "PYTHONUNBUFFERED": "1",
            **env,
        }
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self.store: Store
        self.key = ""
        self.account = ""

    async def open(self, *extra: str) -> None:
        """Starts one of each, and the extra parts named (worker2, api2); returns when it is ready."""
        postgres.prepare(self.home)
        for name in ("postgres", "temporal", "model"):
            self.start(name)
        self.env["DATABASE_URL"] = self.database_url = await postgres.ready(
            self.home, self.ports["postgres"], PATIENCE
        )
        await migrate(self.database_url)
        self.store = await Store.open(self.database_url)
        await self.store.upkeep.make_days()
        self.account, self.key = await self.new_account("tests")
        await temporal.prepare({**self.env}, print)
        for name in ("worker", "api", *extra):
            self.start(name)
        await self.ready()

    async def close(self) -> None:
        """Stops everything; fails if a word was about to enter Temporal."""
        if hasattr(self, "store"):
            await self.store.close()
        for name in reversed(self.parts):
            self.stop(name)
        _GIVEN.difference_update(self.ports.values())
        violations = self.home / "violations"
        assert not violations.exists(), violations.read_text()

    async def rest(self) -> None:
        """No task and no trigger is due any more, by whatever schedule; the model forgets what it was asked.

        The sweeper tells Temporal.
        """
        await self.store.database.execute(_NEVER)
        async with self.api("model") as model:
            await model.post("/reset", {})

    def api(self, name: str = "api", key: str | None = None) -> Api:
        """A client of one of the API processes, with the house's own key unless another is given."""
        return Api(f"http://127.0.0.1:{self.ports[name]}", self.key if key is None else key)

    async def new_account(self, name: str) -> tuple[str, str]:
        """A fresh account's id and key."""
        account = await self.store.accounts.create(name)
        return account, await self.store.accounts.create_key(account, name)

    async def ready(self, name: str = "api", seconds: float = PATIENCE) -> None:
        async def check() -> None:
            async with self.api(name) as api:
                try:
                    status, body, _ = await api.get("/health/ready")
                except aiohttp.ClientError as error:
                    raise AssertionError("no answer") from error
                assert status == 200, body

        await eventually(check, seconds)

    async def working(self, name: str) -> None:
        """Returns once a worker polls for work; to be asked of one started for the first time."""

        async def check() -> None:
            assert "working on" in (self.home / "log" / f"{name}.log").read_text()

        await eventually(check)

    async def temporal(self, *, guarded: bool = True) -> Client:
        """A client of one's own; one that is not guarded may say anything."""
        os.environ.update(temporal.environment(self.ports["temporal"]))
        return await starter.connect(
            lazy=False, converter=converter() if guarded else pydantic_data_converter
        )

    async def calls(self, word: str) -> list[dict[str, Any]]:
        """What the model was asked, where a prompt contains the word; see tests/model_server.py, `Call`."""
        async with self.api("model") as model:
            told: list[dict[str, Any]] = (await model.get(f"/calls?word={quote(word)}")).body
        return told

    async def rows(self, query: str, *arguments: Any) -> list[asyncpg.Record]:
        return await self.store.database.fetch(query, *arguments)

    def start(self, name: str, **env: str) -> None:
        """Starts a part, with these variables beside the house's own."""
        (self.home / "log").mkdir(parents=True, exist_ok=True)
        with (self.home / "log" / f"{name}.log").open("ab") as log:
            self._running[name] = subprocess.Popen(
                self._command(name),
                env=self._environment(name) | env,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        """kill -9, and the body is found; Postgres by its immediate shutdown, or its children outlive it."""
        self._running[name].send_signal(signal.SIGQUIT if name == "postgres" else signal.SIGKILL)
        self._running.pop(name).wait()

    def runs(self, name: str) -> bool:
        return name in self._running and self._running[name].poll() is None

    def freeze(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGSTOP)

    def thaw(self, name: str) -> None:
        self._running[name].send_signal(signal.SIGCONT)

    def stop(self, name: str) -> None:
        process = self._running.pop(name, None)
        if process is None:
            return
        process.send_signal(signal.SIGCONT)
        process.send_signal(postgres.STOP if name == "postgres" else signal.SIGTERM)
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def pid(self, name: str) -> int:
        return self._running[name].pid

    def _environment(self, name: str) -> dict[str, str]:
        return self.env | {
            "HOLDFAST_PORT": str(self.ports.get(name, 0)),
            "HOLDFAST_METRICS_PORT": str(self.ports.get(f"{name}_metrics", 0)),
        }

    def _command(self, name: str) -> list[str]:
        kind = name.rstrip("23")
        if kind == "postgres":
            return postgres.command(self.home, self.ports["postgres"])
        if kind == "temporal":
            command = temporal.command(self.home, self.ports["temporal"], self.ports["temporal_ui"])
            # So that a test can let days pass for a plan.
            return [*command, "--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"]
        if kind == "model":
            return [sys.executable, "-m", "tests.model_server", "--port", str(self.ports["model"])]
        return [sys.executable, "-m", "tests.guarded", kind]


@asynccontextmanager
async def standing(home: Path) -> AsyncIterator[House]:
    """A house with one of each process, for as long as the context lasts."""
    built = House(home)
    try:
        await built.open()
        yield built
    finally:
        await built.close()
