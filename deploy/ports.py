"""The ports of the embedded parts: free ones, picked once and remembered."""

from __future__ import annotations

import json
import random
import socket
from collections.abc import Sequence
from pathlib import Path

RANGE = range(20_000, 32_000)
"""Below the ports that systems hand to outgoing connections, so that a restart finds its own port free."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        # As servers do: connections of an earlier start may still linger.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def pick(home: Path, names: tuple[str, ...], among: Sequence[int] = RANGE) -> dict[str, int]:
    """A port for each name: the remembered one, unless somebody else has taken it meanwhile."""
    known = _read(home)
    for name in names:
        if name not in known or not is_free(known[name]):
            known[name] = _fresh(among, set(known.values()))
    file = home / "ports.json"
    file.with_suffix(".new").write_text(json.dumps(known))
    file.with_suffix(".new").replace(file)
    return known


def _fresh(among: Sequence[int], taken: set[int]) -> int:
    for port in random.sample(among, len(among)):
        if port not in taken and is_free(port):
            return port
    raise OSError(f"no free port between {min(among)} and {max(among)}")


def _read(home: Path) -> dict[str, int]:
    try:
        return dict(json.loads((home / "ports.json").read_text()))
    except (FileNotFoundError, ValueError):
        return {}
