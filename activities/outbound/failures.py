"""What goes wrong on the way to a server, in our vocabulary.

an address, scheme, port or URL that is not called     ToolBlocked
no such name, refused, no connection in time, TLS      ToolUnavailable, not sent
reset, silence, not HTTP, a body cut short             ToolUnavailable, sent: it may have happened
"""

from __future__ import annotations

import aiohttp
from aiohttp.http import HttpProcessingError

from activities.outbound.dialling import Blocked
from domain.errors import ToolBlocked, ToolError, ToolUnavailable
from domain.outgoing import Trouble

TRANSPORT = (aiohttp.ClientError, HttpProcessingError, OSError)
"""All that aiohttp raises for what happens on the network; TimeoutError is an OSError."""


class NoAnswer(Exception):
    """There is no answer, or none that is whole."""

    def __init__(self, trouble: Trouble, *, sent: bool) -> None:
        super().__init__(trouble)
        self.trouble = trouble
        self.sent = sent
        """Whether there was a connection: then the request may have been acted on, else surely not."""


def trouble(error: Exception, *, sent: bool) -> Trouble:
    """What one of TRANSPORT is."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Blocked):
        return "BLOCKED"
    for kind, word in _KINDS:
        if isinstance(error, kind):
            return word
    if isinstance(error, TimeoutError):
        return "ANSWER_TIMEOUT" if sent else "CONNECT_TIMEOUT"
    return "CONNECTION_LOST" if sent else "UNREACHABLE"


_KINDS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], Trouble], ...] = (
    (aiohttp.ClientConnectorDNSError, "NO_NAME"),
    ((aiohttp.ClientSSLError, aiohttp.ClientConnectorCertificateError), "TLS_FAILED"),
    (aiohttp.ClientPayloadError, "CUT"),
    ((aiohttp.ClientResponseError, HttpProcessingError), "NOT_HTTP"),
)


def told(error: NoAnswer, host: str, seconds: float) -> ToolError:
    """In words for a model; `seconds`: what a call may take. No address is in them."""
    if error.trouble == "BLOCKED":
        return ToolBlocked(f"`{host}` is at an address that this server does not call.")
    sentence = _SENTENCES[error.trouble].format(host=host, seconds=seconds)
    return ToolUnavailable(f"{sentence} {_meaning(error.sent)}", sent=error.sent)


_SENTENCES: dict[Trouble, str] = {
    "NO_NAME": "There is no server of the name `{host}`.",
    "TLS_FAILED": "`{host}` could not be trusted: its TLS certificate or handshake failed.",
    "ANSWER_TIMEOUT": "`{host}` did not answer whole within {seconds:g} s.",
    "CONNECT_TIMEOUT": "`{host}` could not be connected to in time.",
    "CUT": "The answer of `{host}` was cut short.",
    "NOT_HTTP": "`{host}` did not answer in proper HTTP.",
    "CONNECTION_LOST": "`{host}` broke the connection.",
    "UNREACHABLE": "`{host}` could not be reached.",
}


def _meaning(sent: bool) -> str:
    return "Whether the request was acted on is not known." if sent else "The request was not sent."
