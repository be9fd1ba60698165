"""The mailbox of the tests as a process.

`python -m tests.mailbox_server --port 9004 --smtp-port 9025`: SMTP at the second. At the first, over HTTP,
`GET /health`, `GET /letters` (of each its Message-ID, sender, recipients and the SHA-256 of its text),
`POST /faults` with a JSON object as `tests/mailbox.py` has it, in place of the one before, and `POST /reset`.
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import web

from deploy import demo_model as demo
from tests.mailbox import Kept, Mailbox


def app(mailbox: Mailbox) -> web.Application:
    async def tell(_: web.Request) -> web.Response:
        return web.json_response([_told(kept) for kept in mailbox.letters])

    async def spoil(request: web.Request) -> web.Response:
        mailbox.faults = await request.json()
        return web.json_response({})

    async def forget(_: web.Request) -> web.Response:
        mailbox.letters.clear()
        mailbox.heard.clear()
        mailbox.faults.clear()
        return web.json_response({})

    async def opened(_: web.Application) -> AsyncIterator[None]:
        async with mailbox:
            yield

    made = web.Application()
    made.cleanup_ctx.append(opened)
    made.router.add_get("/health", demo.health)
    made.router.add_get("/letters", tell)
    made.router.add_post("/faults", spoil)
    made.router.add_post("/reset", forget)
    return made


def _told(kept: Kept) -> dict[str, Any]:
    text = kept.message.get_body(("plain",))
    content = text.get_content() if text is not None else ""
    return {
        "id": kept.id,
        "sender": kept.sender,
        "recipients": kept.recipients,
        "sha256": hashlib.sha256(content.replace("\r\n", "\n").encode()).hexdigest(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="The mailbox of the tests")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--smtp-port", type=int, required=True)
    where = parser.parse_args()
    made = app(Mailbox(port=where.smtp_port))
    web.run_app(made, host=where.host, port=where.port, shutdown_timeout=0.1, access_log=None, print=None)


if __name__ == "__main__":
    main()
