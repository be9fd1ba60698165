"""`python -m api`: serves the front desk with uvicorn."""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Awaitable, Callable

import uvicorn

import settings
from api.app import create
from api.bounds import Bounds
from api.protocol import SPARE, bounded
from settings import Settings
from starter import Starter
from telemetry import Telemetry, logs

_log = logging.getLogger(__name__)

_FILES = 128
"""What a process opens besides connections: Postgres, Temporal, its own code."""


def serve(chosen: Settings, start: Callable[[], Awaitable[Starter]]) -> None:
    """Serves until SIGTERM or SIGINT; streams that are open then get five seconds."""
    _make_room(chosen.connections + SPARE + _FILES)
    telemetry = Telemetry(chosen, "api")
    uvicorn.run(
        create(chosen, start, telemetry),
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http=bounded(_bounds(chosen), telemetry.meters.refused),
        ws="none",
        lifespan="on",
        access_log=False,
        # Its loggers write where ours do.
        log_config=None,
        timeout_graceful_shutdown=5,
        server_header=False,
        proxy_headers=bool(chosen.trusted_proxies),
        forwarded_allow_ips=chosen.trusted_proxies,
    )


def _bounds(chosen: Settings) -> Bounds:
    return Bounds(
        header_bytes=chosen.header_bytes,
        receive_seconds=chosen.receive_seconds,
        body_seconds=chosen.body_seconds,
        idle_seconds=chosen.idle_seconds,
        send_seconds=chosen.send_seconds,
        connections=chosen.connections,
    )


def _make_room(files: int) -> None:
    """Raises this process's soft limit of open files to what its connections need."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = files if hard == resource.RLIM_INFINITY else min(files, hard)
    if most < files:
        _log.warning(
            "%d open files are allowed here (ulimit -Hn), %d are needed for HOLDFAST_CONNECTIONS", hard, files
        )
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def main() -> None:
    chosen = settings.load()
    logs.begin(chosen)
    if len(chosen.secret.get_secret_value()) < 32:
        sys.exit("HOLDFAST_SECRET: set it to 32 characters or more, the same in every API process")
    serve(chosen, lambda: Starter.open(chosen.task_queue))


if __name__ == "__main__":
    main()
