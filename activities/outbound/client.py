"""The one client for calls of tools."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import aiohttp

from activities import retry_after
from activities.outbound import failures, reading
from activities.outbound.dialling import Lookup, system
from activities.outbound.failures import NoAnswer
from activities.outbound.guarded import Bounds, Guarded, host
from domain.outgoing import Fetched, Outgoing
from domain.redaction import without, without_any

_SHORT = 16_384
"""Bytes of an answer that are looked through on the loop."""
DEFAULT = Bounds()


class Outbound(Guarded):
    """Calls tools; a context manager."""

    def __init__(self, *, loopback: bool, bounds: Bounds = DEFAULT, lookup: Lookup = system) -> None:
        super().__init__(bounds, lookup, loopback=loopback, unpack=True)

    async def call(self, outgoing: Outgoing, idempotency_key: str) -> Fetched:
        """One request and its answer, whatever its status.

        Raises ToolBlocked where this server does not call, and ToolUnavailable where no answer came whole:
        its `sent` tells whether the request may have been acted on.
        """
        own = (("Idempotency-Key", idempotency_key), ("Accept-Encoding", "gzip, deflate"))
        try:
            return await self.exchange(outgoing, own, partial(self._read, outgoing.secrets))
        except NoAnswer as error:
            raise failures.told(error, host(outgoing), self.bounds.total_seconds) from error

    async def _read(self, secrets: Sequence[str], response: aiohttp.ClientResponse) -> Fetched:
        raw, cut = await reading.body(response, self.bounds.kept_bytes)
        # Else what is left of the answer would be waited for.
        response.close()
        told = partial(_fetched, response, secrets, raw, cut)
        # To look for a secret in a long text of many escapes takes up to a second.
        beside = secrets and len(raw) > _SHORT
        return await asyncio.to_thread(told) if beside else told()


def _fetched(response: aiohttp.ClientResponse, secrets: Sequence[str], raw: bytes, cut: bool) -> Fetched:
    kind = reading.media_type(response.headers.get("Content-Type", ""))
    told = reading.text(raw, kind, response.charset, cut)
    # Of text the secret's half at the cut goes too; JSON is read first, for it has many spellings of a word.
    body = without(secrets, told, cut=True) if cut else without_any(secrets, reading.value(told, kind))
    location = response.headers.get("Location", "") if 300 <= response.status < 400 else ""
    return Fetched(
        status=response.status,
        content_type=without(secrets, kind),
        body=body,
        cut=cut,
        location=reading.shown(without(secrets, location)),
        retry_after=retry_after.seconds(response.headers.get("Retry-After", "")),
    )
