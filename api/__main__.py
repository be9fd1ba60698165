"""`python -m api`: serves the front desk with uvicorn."""

from __future__ import annotations

import logging
import sys
from collections.abc import Awaitable, Callable

import uvicorn

import settings
from api.app import create
from settings import Settings
from starter import Starter


def serve(chosen: Settings, start: Callable[[], Awaitable[Starter]]) -> None:
    """Serves until SIGTERM or SIGINT; streams that are open then get five seconds."""
    uvicorn.run(
        create(chosen, start),
        host=chosen.host,
        port=chosen.port,
        loop="uvloop",
        http="httptools",
        ws="none",
        lifespan="on",
        access_log=False,
        log_level=chosen.log_level.lower(),
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
        server_header=False,
    )


def main() -> None:
    chosen = settings.load()
    logging.basicConfig(level=chosen.log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if len(chosen.secret.get_secret_value()) < 32:
        sys.exit("HOLDFAST_SECRET: set it to 32 characters or more, the same in every API process")
    serve(chosen, lambda: Starter.open(chosen.task_queue))


if __name__ == "__main__":
    main()
