"""The official Node client as tests use it: one process of Node, called by lines of JSON."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from pathlib import Path
from types import TracebackType
from typing import Any

FOLDER = Path(__file__).parent / "node"
NODE = shutil.which("node")
_LONGEST_LINE = 64 * 1024 * 1024
_PATIENCE = 60.0


class FetchError(Exception):
    """What the client threw: its name, message and code, and the items that had come before."""

    def __init__(self, told: dict[str, Any], items: list[Any]) -> None:
        super().__init__(told.get("message"))
        self.name = told.get("name")
        self.message = str(told.get("message"))
        self.code = told.get("code")
        self.items = items


class Node:
    """`async with Node(url, key) as node: await node("conversation.create", {…})`."""

    def __init__(self, url: str, key: str, **options: Any) -> None:
        self._options = {"secret": key, "baseUrl": url} | options
        self._ids = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    async def __aenter__(self) -> Node:
        assert NODE is not None, "Node 20 or newer is needed for this test"
        self._process = await asyncio.create_subprocess_exec(
            NODE,
            "drive.mjs",
            cwd=FOLDER,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=_LONGEST_LINE,
        )
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        await self._process.wait()
        await self._reading

    async def __call__(self, call: str, *arguments: Any, **options: Any) -> Any:
        """What the client's promise came to; `options` are the client's own."""
        return await self._ask({"call": call, "arguments": arguments}, options)

    async def stream(self, call: str, *arguments: Any, take: int | None = None, **options: Any) -> list[Any]:
        """The items of the client's stream: all of them, or the first ones."""
        asked = {"call": call, "arguments": arguments, "stream": True, "take": take}
        items: list[Any] = await self._ask(asked, options)
        return items

    async def stream_until(self, type_: str, call: str, *arguments: Any) -> list[Any]:
        """The items of the client's stream up to the first of this type."""
        items: list[Any] = await self._ask(
            {"call": call, "arguments": arguments, "stream": True, "until": type_}, {}
        )
        return items

    async def answering(self, message: dict[str, Any], call: str, *arguments: Any) -> list[Any]:
        """All items of a stream whose functions are answered, by the client's own publish, with a message."""
        items: list[Any] = await self._ask(
            {"call": call, "arguments": arguments, "stream": True, "publish": message}, {}
        )
        return items

    async def _ask(self, asked: dict[str, Any], options: dict[str, Any]) -> Any:
        number = next(self._ids)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        line = json.dumps({"id": number, "options": self._options | options} | asked)
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        async with asyncio.timeout(_PATIENCE):
            told = await waiting
        if "error" in told:
            raise FetchError(told["error"], told["items"])
        return told.get("value")

    async def _read(self) -> None:
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            told = json.loads(line)
            self._waiting.pop(told["id"]).set_result(told)
        for waiting in self._waiting.values():
            waiting.set_exception(AssertionError("Node ended"))
