"""A whole platform to measure, started as `make up` starts it, and the processes it consists of."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy import front, ports, tether

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("api", "worker", "temporal", "postgres", "model")
FLOOR = "floor worker"
TOOLS = "tools"
CHOSEN = ("HOLDFAST_", "TEMPORAL_", "DATABASE_", "OPENAI_", "ANTHROPIC_", "OTEL_")
"""The caller's own choices are put aside: what is measured is what the repository gives everybody."""
MANY = 1_000_000
"""Of a minute: thousands of tasks and events come of one caller, whom the limits would measure instead."""
RISE, FALL = 90.0, 30.0
"""Seconds that starting and stopping may take."""


class HouseFell(Exception):
    """A process ended that should not have; the message names its log."""


@dataclass
class House:
    home: Path
    url: str = ""
    key: str = ""
    database_url: str = ""
    temporal: str = ""
    model_url: str = ""
    tools_url: str = ""
    pids: dict[str, int] = field(default_factory=dict)
    _ours: list[subprocess.Popen[bytes]] = field(default_factory=list)

    async def open(self) -> None:
        """Returns when the platform and the floor's worker are ready."""
        port = ports.pick(self.home, ("bench_api",))["bench_api"]
        home = self.home / "house"
        given = {"HOLDFAST_HOME": home, "HOLDFAST_PORT": port, "HOLDFAST_WRITES_PER_MINUTE": MANY}
        given["HOLDFAST_STARTS_PER_MINUTE"] = MANY
        supervisor = self._start("house", ["-m", "deploy.local"], **given)
        await self._until(lambda: (home / "env").exists(), supervisor)
        self._read(home)
        said = self.home / "floor.ready"
        floor = self._start("floor", ["-m", "bench.floor_worker", self.temporal, self.model_url, str(said)])
        await self._until(said.exists, floor)
        self.pids[FLOOR] = floor.pid
        await self._open_tools()

    async def _open_tools(self) -> None:
        port = ports.pick(self.home, ("bench_tools",))["bench_tools"]
        self.tools_url = f"http://127.0.0.1:{port}"
        tools = self._start("tools", ["-m", "tests.tool_server", "--port", str(port)])
        await self._until(lambda: b"http" in (self.home / "tools.log").read_bytes(), tools)
        self.pids[TOOLS] = tools.pid

    @asynccontextmanager
    async def another_api(self) -> AsyncIterator[tuple[str, int]]:
        """The address and process of an API like the house's own, fresh, and ended afterwards."""
        name = f"another_api{len(self._ours)}"
        chosen = ports.pick(self.home, (name, f"{name}_metrics"))
        port = chosen[name]
        given = psutil.Process(self.pids["api"]).environ()
        own = {"HOLDFAST_PORT": port, "HOLDFAST_METRICS_PORT": chosen[f"{name}_metrics"]}
        process = self._start(name, ["-m", "api"], **{**given, **own})
        try:
            url = f"http://127.0.0.1:{port}"
            async with asyncio.timeout(RISE):
                await front.until_ready(url)
            yield url, process.pid
        finally:
            self._ours.remove(process)
            _end([process])

    @contextmanager
    def without(self, part: str) -> Iterator[None]:
        """That part stands still meanwhile: it answers nobody, and does not die either."""
        os.kill(self.pids[part], signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(self.pids[part], signal.SIGCONT)

    def check(self) -> None:
        """Raises HouseFell when a part was restarted: the figures would be of two processes."""
        now = _pids(self.home / "house")
        if died := [name for name, pid in now.items() if self.pids[name] != pid]:
            raise HouseFell(f"{', '.join(died)} died while being measured; see its log in {self.home}")

    def close(self) -> None:
        """Stops what `open` started; the supervisor stops its own."""
        _end(self._ours)

    def _start(self, name: str, words: list[str], **env: object) -> subprocess.Popen[bytes]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(CHOSEN)}
        with (self.home / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(
                tether.command(signal.SIGTERM, [sys.executable, *words]),
                env={**clean, **{key: str(value) for key, value in env.items()}},
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._ours.append(process)
        return process

    async def _until(self, ready: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
        async with asyncio.timeout(RISE):
            while not ready():
                if process.poll() is not None:
                    raise HouseFell(f"it ended before it was ready; see the logs in {self.home}")
                await asyncio.sleep(0.05)

    def _read(self, home: Path) -> None:
        said = dict(line.split("=", 1) for line in (home / "env").read_text().splitlines())
        chosen = json.loads((home / "ports.json").read_text())
        self.url, self.key = said["HOLDFAST_URL"], said["HOLDFAST_API_KEY"]
        self.database_url = said["DATABASE_URL"]
        self.temporal = f"127.0.0.1:{chosen['temporal']}"
        self.model_url = f"http://127.0.0.1:{chosen['model']}/v1"
        self.pids = _pids(home)


def _end(processes: list[subprocess.Popen[bytes]]) -> None:
    """The youngest is told first."""
    for process in reversed(processes):
        process.send_signal(signal.SIGTERM)
    for process in processes:
        try:
            process.wait(FALL)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _pids(home: Path) -> dict[str, int]:
    """What the supervisor has noted of its parts."""
    return {name: json.loads((home / "run" / f"{name}.json").read_text())["pid"] for name in PARTS}
