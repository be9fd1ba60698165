"""What the processes use: CPU time, and the most memory they ever had."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import psutil

CLIENT = "load generator"


class Meters:
    """Of the house's processes by name, and of this one."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._roots = {name: psutil.Process(pid) for name, pid in {**pids, CLIENT: os.getpid()}.items()}

    def cpu(self) -> dict[str, float]:
        """Seconds of CPU so far, of a process and, Postgres being many, of its children, dead ones too."""
        return {name: sum(_cpu(process) for process in self._all(name)) for name in self._roots}

    def spent(self) -> float:
        """Seconds of CPU of everything of ours so far, of what we started and ended again too."""
        ended = os.times()
        return sum(self.cpu().values()) + ended.children_user + ended.children_system

    def peak(self) -> dict[str, float]:
        """MiB: the peak of a process's resident set; of Postgres what all hold now, shared pages once."""
        found: dict[str, float] = {}
        for name in self._roots:
            family = self._all(name)
            sizes = [
                _proportional(process) if name == "postgres" else _high_water(process) for process in family
            ]
            found[name] = sum(sizes) / 2**20
        return found

    def _all(self, name: str) -> list[psutil.Process]:
        root = self._roots[name]
        return [root, *root.children()] if name == "postgres" else [root]


def memory(pid: int) -> float:
    """Bytes that a process holds now and shares with nobody."""
    return float(psutil.Process(pid).memory_full_info().uss)


def _cpu(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        used = process.cpu_times()
        # What this process has waited for; of the load generator that would be the platform itself.
        dead = 0 if process.pid == os.getpid() else used.children_user + used.children_system
        return float(used.user + used.system + dead)
    return 0


def _high_water(process: psutil.Process) -> float:
    """VmHWM of Linux; elsewhere the present size."""
    with suppress(OSError):
        found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{process.pid}/status").read_text())
        if found:
            return int(found[1]) * 1024
    return float(process.memory_info().rss)


def _proportional(process: psutil.Process) -> float:
    with suppress(psutil.NoSuchProcess):
        memory = process.memory_full_info()
        return float(getattr(memory, "pss", memory.rss))
    return 0


def machine_busy() -> float:
    """Seconds of CPU that everybody on this machine has used."""
    times = psutil.cpu_times()
    idle = times.idle + getattr(times, "iowait", 0)
    return float(sum(times) - idle - getattr(times, "guest", 0) - getattr(times, "guest_nice", 0))
