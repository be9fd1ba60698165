"""Bugs of ours in the middle of an answer: whoever reads it sees that it broke off."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from api.bugs import Bugs
from api.lists import Whole


async def _breaks() -> AsyncIterator[bytes]:
    yield b"a line\n"
    raise KeyError("a bug")


async def test_a_list_that_meets_a_bug_breaks_off_without_an_end_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> Any:
        await asyncio.Event().wait()

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {"type": "http", "state": {"request_id": "req_1"}}
    with caplog.at_level(logging.WARNING):
        await Bugs(Whole(_breaks()))(scope, receive, send)

    assert [message["type"] for message in sent] == ["http.response.start", "http.response.body"]
    assert sent[-1]["more_body"]
    assert [record.message for record in caplog.records] == ["request req_1 met a bug"]
