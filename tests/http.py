"""A client of the API for tests: calls and streams, whose every answer is held against the document."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Any, NamedTuple

import aiohttp
from yarl import URL

from tests import document


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


class Api:
    """`async with house.api() as api: status, body, headers = await api.post("/v1/…", {…})`."""

    def __init__(self, url: str, key: str) -> None:
        self.url = url
        self.key = key
        self._headers = {"Authorization": f"Bearer {key}"} if key else {}

    async def __aenter__(self) -> Api:
        self.session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=300))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.session.close()

    async def get(self, path: str, **headers: str) -> Answer:
        async with self.session.get(self.url + path, headers=self._headers | headers) as answer:
            return Answer(answer.status, _parsed(await _read(answer)), answer.headers)

    async def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        raw = body if isinstance(body, bytes) else json.dumps(body if body is not None else {}).encode()
        sent = {"Content-Type": "application/json"} | self._headers | headers
        async with self.session.post(self.url + path, data=raw, headers=sent) as answer:
            return Answer(answer.status, _parsed(await _read(answer)), answer.headers)

    async def ok(self, path: str, body: Any = None, **headers: str) -> Any:
        """The body of a call that must succeed."""
        status, answer, _ = await self.post(path, body, **headers)
        assert status == 200, (path, status, answer)
        return answer

    async def raw(self, verb: str, path: str, body: Any = None, **headers: str) -> Answer:
        """The answer as bytes, to a request sent as it stands; no redirect is followed."""
        url = URL(self.url + path, encoded=True)
        sent = self._headers | headers
        async with self.session.request(verb, url, data=body, headers=sent, allow_redirects=False) as answer:
            return Answer(answer.status, await _read(answer), answer.headers)

    async def messages(self, conversation: str) -> list[tuple[str, str]]:
        """The type and text of every message, oldest first."""
        listed = await self.get(f"/v1/conversation/{conversation}/message/list?order=asc")
        return [(message["type"], message["text"]) for message in listed.body["items"]]

    async def conversation(self, **fields: Any) -> str:
        made: str = (await self.ok("/v1/conversation/create", fields))["id"]
        return made

    @asynccontextmanager
    async def streaming(
        self, path: str, body: Any = None, **headers: str
    ) -> AsyncIterator[AsyncIterator[dict[str, Any]]]:
        """The events of a JSONL stream, as they come; leaving the block hangs up."""
        sent = {"Accept": "application/jsonl", "Content-Type": "application/json"} | self._headers | headers
        async with self.session.post(
            self.url + path, data=json.dumps(body or {}).encode(), headers=sent
        ) as answer:
            assert answer.status == 200, (answer.status, await answer.text())
            yield _events(answer)

    async def stream(self, path: str, body: Any = None, **headers: str) -> list[dict[str, Any]]:
        """All events of a JSONL stream that ends."""
        async with self.streaming(path, body, **headers) as events:
            return [event async for event in events]


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    raw = await answer.read()
    document.judge(_place(answer), answer.status, answer.headers.get("Content-Type", ""), raw)
    return raw


async def _events(answer: aiohttp.ClientResponse) -> AsyncIterator[dict[str, Any]]:
    where = _place(answer)
    async for line in answer.content:
        if line.isspace() and not line.endswith(b"\n"):
            return  # signs of life, and then it was cut off
        event = json.loads(line)
        document.judge_piece(where, 200, "application/jsonl", event)
        yield event


def _place(answer: aiohttp.ClientResponse) -> document.Place | None:
    return document.place(answer.method, answer.url.raw_path)


def _parsed(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


def inner(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a channel's events carry."""
    return [event["data"] for event in events]


def text_of(events: list[dict[str, Any]]) -> str:
    """The answer as a listener puts it together: a new completeBegin of the same iteration starts it anew."""
    pieces: list[str] = []
    for event in events:
        if event["type"] == "completeBegin":
            pieces.clear()
        elif event["type"] == "token":
            pieces.append(event["data"]["token"])
    return "".join(pieces)
