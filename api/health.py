"""Whether this process lives, and whether it has what it needs."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from api.desk import Desk
from domain.errors import Unavailable
from store.migrate import names


async def live(_request: Request) -> Response:
    return JSONResponse({"status": "live"})


async def ready(request: Request) -> Response:
    """200, or 503 that names what is missing."""
    missing = await _missing(request.app.state.desk)
    if missing:
        return JSONResponse({"status": "not ready", "missing": missing}, 503, headers={"Retry-After": "1"})
    return JSONResponse({"status": "ready"})


async def _missing(desk: Desk) -> list[str]:
    missing = []
    try:
        waiting = await desk.store.pending_migrations()
        if waiting:
            missing.append(f"migrations: {len(waiting)} of {len(names())}; run `python -m store migrate`")
    except Unavailable:
        missing.append("postgres")
    if not await desk.starter.ready():
        missing.append("temporal")
    elif not await desk.starter.has_worker():
        missing.append("worker")
    return missing
