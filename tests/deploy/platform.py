"""One `make up` under test: a process of its own, on a home and a port of its own."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from http.client import HTTPConnection, HTTPException
from pathlib import Path

import psutil

from deploy import ports

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("postgres", "temporal", "model", "worker", "api")
OURS = ("HOLDFAST_", "TEMPORAL_", "DATABASE_", "OPENAI_", "ANTHROPIC_", "OTEL_")


def until(met: Callable[[], object], seconds: float = 60) -> None:
    """Wait by asking again and again."""
    limit = time.monotonic() + seconds
    while not met():
        assert time.monotonic() < limit, f"not within {seconds} s"
        time.sleep(0.05)


def free_port() -> int:
    return next(port for port in random.sample(range(32_100, 32_700), 600) if ports.is_free(port))


class Platform:
    def __init__(self, home: Path, port: int) -> None:
        self.home = home
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> subprocess.Popen[bytes]:
        """What `make up` starts; its output goes to `<home>.out`."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(OURS)}
        env = {**clean, "HOLDFAST_HOME": str(self.home), "HOLDFAST_PORT": str(self.port)}
        argv = [sys.executable, "-m", "deploy.local"]
        with self.output.open("ab") as output:
            return subprocess.Popen(argv, cwd=ROOT, env=env, stdout=output, stderr=output)

    @property
    def output(self) -> Path:
        return self.home.with_suffix(".out")

    def up(self) -> None:
        """Start, and wait until it says that it is ready."""
        before = self.said().count("Holdfast is ready.")
        self.process = self.command()
        until(lambda: self.said().count("Holdfast is ready.") > before)

    def end(self, sign: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(sign)
        return self.process.wait(60)

    def said(self) -> str:
        return self.output.read_text() if self.output.exists() else ""

    def env(self) -> dict[str, str]:
        return dict(line.split("=", 1) for line in (self.home / "env").read_text().splitlines())

    def pid(self, part: str) -> int:
        return int(json.loads((self.home / "run" / f"{part}.json").read_text())["pid"])

    def family(self) -> list[psutil.Process]:
        """The parts, and what they have started."""
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def is_ready(self) -> bool:
        try:
            return self.call("GET", "/health/ready")[0] == 200
        except (OSError, HTTPException):
            return False

    def call(self, verb: str, path: str, body: object = None, accept: str = "*/*") -> tuple[int, str]:
        """A request with our key; status and text."""
        key = self.env()["HOLDFAST_API_KEY"]
        headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json", "Accept": accept}
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(verb, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()
