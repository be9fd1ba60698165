"""Streams without an end of their own end when the key that opened them is revoked."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from typing import TypeVar

from api.call import Call
from domain.errors import Unavailable

T = TypeVar("T")

ASK = 2.0
"""Seconds for which a key that was seen open counts as open."""


async def until_revoked(call: Call, pages: AsyncIterator[T]) -> AsyncIterator[T]:
    """The pages as they come; none of those that come after the key was revoked, but for some seconds."""
    asked = -math.inf
    async for page in pages:
        if time.monotonic() - asked > ASK:
            if not await _open(call):
                return
            asked = time.monotonic()
        yield page


async def _open(call: Call) -> bool:
    try:
        opens: bool = await call.store.accounts.key_opens(call.caller.key_id)
    except Unavailable:
        # Nobody can read on, or revoke, while Postgres is away; the next page asks again.
        return True
    return opens
