"""What a killed supervisor left behind: remembered process by process, stopped by the next one."""

from __future__ import annotations

import json
import signal
from contextlib import suppress
from pathlib import Path

import psutil

GRACE = 10
"""Seconds a leftover gets to end by itself before it is killed."""


def remember(home: Path, name: str, argv: list[str], pid: int) -> None:
    with suppress(psutil.NoSuchProcess):
        note = {"pid": pid, "born": psutil.Process(pid).create_time(), "argv": argv}
        file = _file(home, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(note))


def forget(home: Path, name: str) -> None:
    _file(home, name).unlink(missing_ok=True)


def stop_all(home: Path, signals: dict[str, signal.Signals]) -> list[str]:
    """Stop what still runs of an earlier start, each by its signal in `signals`; return the names of it."""
    found = {file.stem: process for file in (home / "run").glob("*.json") if (process := _find(file))}
    for name, process in found.items():
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signals.get(name, signal.SIGTERM))
    _, stubborn = psutil.wait_procs(list(found.values()), timeout=GRACE)
    for process in stubborn:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=GRACE)
    for file in (home / "run").glob("*.json"):
        file.unlink()
    return sorted(found)


def _find(file: Path) -> psutil.Process | None:
    """The process of a note, if it is still that one: ids are reused, so its birth and command must match."""
    try:
        note = json.loads(file.read_text())
        process = psutil.Process(note["pid"])
        same_birth = abs(process.create_time() - note["born"]) < 2
        command = process.cmdline()
    except (ValueError, KeyError, psutil.NoSuchProcess, psutil.AccessDenied):
        return None
    # A tethered process has left the tether's words behind, so its command is the end of what we started.
    is_ours = bool(command) and note["argv"][-len(command) :] == command
    return process if same_birth and is_ours else None


def _file(home: Path, name: str) -> Path:
    return home / "run" / f"{name}.json"
