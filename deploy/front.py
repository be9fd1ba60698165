"""The API as its first caller sees it: is it ready, is this key good, what to tell the user."""

from __future__ import annotations

import asyncio

import aiohttp

TIMEOUT = aiohttp.ClientTimeout(total=5)


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


def welcome(url: str, key: str, ui: str, is_toy: bool) -> str:
    lines = ["", "Holdfast is ready.", "", f"  address      {url}", f"  API key      {key}"]
    if ui:
        lines.append(f"  Temporal UI  {ui}")
    if is_toy:
        lines.append("  model        a toy (OPENAI_API_KEY or OPENAI_BASE_URL name a real one)")
    return "\n".join([*lines, "", "Stream a first answer:", "", first_call(url, key), ""])


def first_call(url: str, key: str) -> str:
    return (
        f"  curl -N {url}/v1/conversation/complete \\\n"
        f'    -H "Authorization: Bearer {key}" \\\n'
        '    -H "Content-Type: application/json" -H "Accept: application/jsonl" \\\n'
        """    -d '{"messages":[{"type":"user","text":"Hello"}]}'"""
    )


async def _get(url: str, key: str = "") -> tuple[int, str]:
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            aiohttp.ClientSession(timeout=TIMEOUT) as session,
            session.get(url, headers=headers) as answer,
        ):
            return answer.status, (await answer.text()).strip()
    except (aiohttp.ClientError, TimeoutError, OSError):
        return 0, ""
