"""Shows a page to a real browser and returns what the page's script reports."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.browser.conftest import chromium

PATIENCE = 60.0
_FLAGS = (
    "--headless=new",
    "--no-sandbox",  # as root there is none
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--no-first-run",
)
_PAGE = """<!doctype html><meta charset="utf-8"><title>A site</title><script type="module">
const given = %s, report = {};
const attempt = async (name, work) => {
  try { report[name] = await work(); } catch (error) { report[name] = {failed: error.name}; }
};
try { %s } catch (error) { report.broken = String(error); }
await fetch("/report", {method: "POST", body: JSON.stringify(report)});
</script>"""


class Site:
    """A web server of one page; its origin is `http://127.0.0.1:<a port of its own>`."""

    def __init__(self) -> None:
        self._page = ""
        self._reported: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.origin = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Site]:
        app = web.Application()
        app.add_routes([web.get("/", self._show), web.post("/report", self._report)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.origin = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    async def visit(self, profile: Path, script: str, given: dict[str, Any]) -> dict[str, Any]:
        """What a script reports by `attempt(name, work)` in a browser that opens the page."""
        self._page = _PAGE % (json.dumps(given), script)
        browser = chromium()
        assert browser, "there is no Chromium here: apt install chromium"
        with (profile / "browser.log").open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                browser, *_FLAGS, f"--user-data-dir={profile}", self.origin, stdout=log, stderr=log
            )
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._reported
        finally:
            process.terminate()
            await process.wait()

    async def _show(self, _request: web.Request) -> web.Response:
        return web.Response(text=self._page, content_type="text/html")

    async def _report(self, request: web.Request) -> web.Response:
        self._reported.set_result(await request.json())
        return web.Response()
