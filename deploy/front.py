"""The API as its first caller sees it: is it ready, is this key good, what to tell the user."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from urllib.parse import urlsplit

TIMEOUT = 5
"""Seconds."""


async def missing(url: str) -> str:
    """What the API says it still waits for; "" when it is ready."""
    status, body = await _get(f"{url}/health/ready")
    return "" if status == 200 else body or "no answer"


async def accepts(url: str, key: str) -> bool:
    """Whether the key still opens the door: the database behind it may be a new one."""
    status, _ = await _get(f"{url}/v1/conversation/list?take=1", key)
    return status not in (401, 403)


async def until_ready(url: str) -> None:
    while True:
        if not await missing(url):
            return
        await asyncio.sleep(0.1)


def welcome(url: str, key: str, others: Mapping[str, str]) -> str:
    """`others`: what else a user may want to know, by name."""
    told = {"address": url, "API key": key, **others}
    lines = ["", "Holdfast is ready.", "", *(f"  {name:<14} {text}" for name, text in told.items())]
    return "\n".join([*lines, "", "Stream a first answer:", "", first_call(url, key), ""])


def first_call(url: str, key: str) -> str:
    return (
        f"  curl -N {url}/v1/conversation/complete \\\n"
        f'    -H "Authorization: Bearer {key}" \\\n'
        '    -H "Content-Type: application/json" -H "Accept: application/jsonl" \\\n'
        """    -d '{"messages":[{"type":"user","text":"Hello"}]}'"""
    )


async def _get(url: str, key: str = "") -> tuple[int, str]:
    return await asyncio.to_thread(_ask, url, key)


def _ask(url: str, key: str) -> tuple[int, str]:
    """One GET with the standard library: an HTTP client's import would cost more than all else we do."""
    where = urlsplit(url)
    connection = HTTPConnection(where.netloc, timeout=TIMEOUT)
    try:
        connection.request("GET", url.removeprefix(f"http://{where.netloc}"), headers=_authorized(key))
        answer = connection.getresponse()
        return answer.status, answer.read().decode(errors="replace").strip()
    except (OSError, HTTPException):
        return 0, ""
    finally:
        connection.close()


def _authorized(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"} if key else {}
