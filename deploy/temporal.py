"""The embedded Temporal: PyPI's real server with its web UI, on the loopback."""

from __future__ import annotations

import signal
import sysconfig
from collections.abc import Callable, Mapping
from pathlib import Path

from deploy import tether
from deploy.command import insist

STOP = signal.SIGTERM

DYNAMIC_CONFIG = {
    # Its one shard may poll its queues 20 times a second by default: most of the dev server's delay.
    "history.transferProcessorMaxPollRPS": "2000",
    "history.timerProcessorMaxPollRPS": "2000",
    "history.visibilityProcessorMaxPollRPS": "2000",
    # Otherwise every timer under a second takes one.
    "history.timerProcessorMaxTimeShift": '"10ms"',
    "matching.numTaskqueueReadPartitions": "1",
    "matching.numTaskqueueWritePartitions": "1",
    # Schedules that are due in one second start 30 workflows of it by default.
    "worker.schedulerNamespaceStartWorkflowRPS": "1000",
    # Pushes a cancel to the worker at once instead of at its next heartbeat.
    "system.enableCancelActivityWorkerCommand": "true",
    "frontend.WorkerCommandsEnabled": "true",
    "matching.enableFairness": "true",
    # It would call home.
    "frontend.enableServerVersionCheck": "false",
}


def binary() -> str:
    found = Path(sysconfig.get_path("scripts")) / "temporal"
    if not found.exists():
        raise FileNotFoundError("no embedded Temporal is installed: set TEMPORAL_ADDRESS")
    return str(found)


def command(home: Path, port: int, ui_port: int, nice: int = 0) -> list[str]:
    """The server's command line, for a process that ends when its parent does."""
    flags = ["--ip", "127.0.0.1", "--port", str(port), "--ui-port", str(ui_port), "--log-level", "warn"]
    # Synchronous stays FULL: what Temporal has acknowledged survives a power cut.
    file = ["--db-filename", str(home.resolve() / "temporal.db"), "--sqlite-pragma", "journal_mode=WAL"]
    dynamic = [part for item in DYNAMIC_CONFIG.items() for part in ("--dynamic-config-value", "=".join(item))]
    return tether.command(STOP, [binary(), "server", "start-dev", *flags, *file, *dynamic], nice=nice)


def environment(port: int) -> dict[str, str]:
    """What makes Temporal's client meet the embedded server, whatever profile the user's own files name."""
    return {
        "TEMPORAL_ADDRESS": f"127.0.0.1:{port}",
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": "/dev/null",
    }


async def prepare(env: Mapping[str, str], say: Callable[[str], None], retention_hours: int = 0) -> None:
    """Give the namespace that `env` names what our plans need, and say what an operator must do instead.

    As a process of its own: Temporal's client would stay in our memory for good.
    """
    if refused := await insist(env, say, "deploy.namespace", "--retention-hours", str(retention_hours)):
        say(refused)
