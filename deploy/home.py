"""The files of $HOLDFAST_HOME that the local engine keeps: its lock, its secrets, what callers need."""

from __future__ import annotations

import base64
import fcntl
import json
import os
import secrets
from pathlib import Path
from typing import TypedDict


class Note(TypedDict):
    """What the holder of the lock says about itself."""

    pid: int
    url: str
    stopping: bool


class Lock:
    """Held by the one supervisor of a home for as long as it lives; the system frees it, whatever happens."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self._file = home / "lock"
        self._descriptor = os.open(self._file, os.O_RDWR | os.O_CREAT, 0o600)

    def take(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def write(self, url: str, stopping: bool = False) -> None:
        text = json.dumps(Note(pid=os.getpid(), url=url, stopping=stopping)).encode()
        os.pwrite(self._descriptor, text, 0)
        os.ftruncate(self._descriptor, len(text))

    def read(self) -> Note:
        """A holder that has not written yet, or is just writing, is about to say more: ask again."""
        try:
            note = json.loads(self._file.read_text())
            return Note(pid=note["pid"], url=note["url"], stopping=note["stopping"])
        except (ValueError, KeyError):
            return Note(pid=0, url="", stopping=True)


def secret(home: Path) -> str:
    """32 random bytes as hex, made once: what it marks and signs must survive a restart."""
    file = home / "secret"
    if not file.exists():
        _write(file, secrets.token_hex(32) + "\n")
    return file.read_text().strip()


def secret_keys(home: Path) -> str:
    """The key that secrets are sealed under, made once: without it no value of theirs opens again."""
    file = home / "secret_keys"
    if not file.exists():
        _write(file, base64.b64encode(secrets.token_bytes(32)).decode() + "\n")
    return file.read_text().strip()


def read_env(home: Path) -> dict[str, str]:
    file = home / "env"
    lines = file.read_text().splitlines() if file.exists() else []
    return dict(line.split("=", 1) for line in lines if "=" in line)


def write_env(home: Path, values: dict[str, str]) -> None:
    """Plain NAME=value lines, readable by their owner only: the key is among them."""
    _write(home / "env", "".join(f"{name}={value}\n" for name, value in values.items()))


def _write(file: Path, text: str) -> None:
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as output:
        output.write(text)
        output.flush()
        os.fsync(output.fileno())
    fresh.replace(file)
