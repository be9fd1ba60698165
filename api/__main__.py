"""`python -m api`: serves the front desk with uvicorn."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

import uvicorn

import settings
from api.app import create
from settings import Settings
from starter import Starter
from telemetry import Telemetry, logs


def serve(chosen: Settings, start: Callable[[], Awaitable[Starter]]) -> None:
    """Serves until SIGTERM or SIGINT; streams that are open then get five seconds."""
    uvicorn.run(
        create(chosen, start, Telemetry(chosen, "api")),
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        # Its loggers write where ours do.
        log_config=None,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


def main() -> None:
    chosen = settings.load()
    logs.begin(chosen)
    if len(chosen.secret.get_secret_value()) < 32:
        sys.exit("HOLDFAST_SECRET: set it to 32 characters or more, the same in every API process")
    serve(chosen, lambda: Starter.open(chosen.task_queue))


if __name__ == "__main__":
    main()
