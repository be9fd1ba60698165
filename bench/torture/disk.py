"""A small disk for Postgres where the machine allows: a tmpfs that nobody else sees."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BYTES = "1500m"
"""More than Postgres's max_wal_size and its data."""
_MARK = "TORTURE_UNSHARED"


def unshare() -> None:
    """Begins this program anew in a mount namespace of its own: whatever kills it, its mounts go with it."""
    tool = shutil.which("unshare")
    if _MARK in os.environ or tool is None or os.geteuid() != 0:
        return
    attempt = [tool, "--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]
    if subprocess.run(attempt, capture_output=True, check=False).returncode == 0:
        os.environ[_MARK] = "1"
        os.execv(tool, [tool, "--mount", sys.executable, "-m", "bench.torture", *sys.argv[1:]])


def possible() -> bool:
    return _MARK in os.environ


@contextmanager
def small(home: Path, wanted: bool) -> Iterator[None]:
    """Postgres's folder on a file system of its own, while this lasts."""
    if not wanted:
        yield
        return
    folder = home / "postgres"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={BYTES}", "tmpfs", str(folder)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
