"""The one client for webhooks: an attempt, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial

import aiohttp

from activities import retry_after
from activities.outbound import reading
from activities.outbound.dialling import Lookup, system
from activities.outbound.failures import NoAnswer
from activities.outbound.guarded import Bounds, Guarded
from domain.errors import ToolBlocked
from domain.outgoing import Outgoing, Trouble
from domain.redaction import without
from domain.webhook import Answered

DEFAULT = Bounds(total_seconds=20, kept_bytes=65_536)
"""The rest of an answer is not read, however it is packed."""
_KEPT_BYTES = 4_096
"""Of what is read. More is read so that an answer of usual size may end as its server wants it to."""
_KEPT_HEADERS = (
    *("content-type", "date", "location", "retry-after", "server", "webhook-delivery", "x-request-id"),
)
_LONGEST_HEADER = 256
_LONGEST_WAIT = 86_400
_UNKNOWN = "application/octet-stream"


class Webhooks(Guarded):
    """Sends webhooks, nothing of the answer unpacked; a context manager."""

    def __init__(self, *, loopback: bool, bounds: Bounds = DEFAULT, lookup: Lookup = system) -> None:
        super().__init__(bounds, lookup, loopback=loopback, unpack=False)

    async def send(self, outgoing: Outgoing) -> Answered:
        """One request. Raises nothing for what the network or the receiver does."""
        began = time.monotonic()
        heard: list[Answered] = []
        try:
            own = (("Accept-Encoding", "identity"),)
            await self.exchange(outgoing, own, partial(self._hear, heard, outgoing.secrets))
        except ToolBlocked:
            heard.append(_unheard("BLOCKED", sent=False))
        except NoAnswer as error:
            # What broke off after the status was an answer.
            if not heard:
                heard.append(_unheard(error.trouble, sent=error.sent))
        took = round((time.monotonic() - began) * 1000)
        return heard[-1].model_copy(update={"milliseconds": took})

    async def _hear(
        self, heard: list[Answered], secrets: Sequence[str], response: aiohttp.ClientResponse
    ) -> None:
        """The head as soon as it is there, then with the body."""
        heard.append(_head(response, secrets))
        raw, cut = await reading.body(response, self.bounds.kept_bytes)
        # Else what is left of the answer would be waited for.
        response.close()
        cut = cut or len(raw) > _KEPT_BYTES
        text = without(secrets, _text(response, raw, cut), cut=cut)
        heard.append(heard[-1].model_copy(update={"body": text, "cut": cut}))


def _unheard(trouble: Trouble, *, sent: bool) -> Answered:
    return Answered(trouble=trouble, sent=sent, milliseconds=0)


def _head(response: aiohttp.ClientResponse, secrets: Sequence[str]) -> Answered:
    said = response.headers
    return Answered(
        status=response.status,
        sent=True,
        milliseconds=0,
        headers=tuple(
            (name, without(secrets, reading.shown(said[name]))[:_LONGEST_HEADER])
            for name in _KEPT_HEADERS
            if name in said
        ),
        cut=True,
        retry_after=retry_after.seconds(said.get("Retry-After", ""), _LONGEST_WAIT),
        stop=said.get("Webhook-Delivery", "").strip().lower() == "abort-message",
    )


def _text(response: aiohttp.ClientResponse, raw: bytes, cut: bool) -> str:
    packed = response.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity")
    kind = _UNKNOWN if packed else reading.media_type(response.headers.get("Content-Type", ""))
    return reading.text(raw[:_KEPT_BYTES], kind, response.charset, cut)
