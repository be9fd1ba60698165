"""What goes wrong on the way to a tool's server, in our vocabulary.

an address, scheme, port or URL that is not called     ToolBlocked
no such name, refused, no connection in time, TLS      ToolUnavailable, not sent
reset, silence, not HTTP, a body cut short             ToolUnavailable, sent: it may have happened
"""

from __future__ import annotations

import aiohttp
from aiohttp.http import HttpProcessingError

from activities.outbound.dialling import Blocked
from domain.errors import ToolBlocked, ToolError, ToolUnavailable

TRANSPORT = (aiohttp.ClientError, HttpProcessingError, OSError)
"""All that aiohttp raises for what happens on the network; TimeoutError is an OSError."""


def named(error: Exception, host: str, seconds: float, *, sent: bool) -> ToolError:
    """One of TRANSPORT, in words for a model; `seconds`: what a call may take. No address is in them."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, Blocked):
        return ToolBlocked(f"`{host}` is at an address that this server does not call.")
    if isinstance(error, aiohttp.InvalidURL):
        return ToolBlocked(f"`{host}` is no host that this server calls.")
    return ToolUnavailable(f"{_words(error, host, seconds, sent)} {_meaning(sent)}", sent=sent)


def _words(error: Exception, host: str, seconds: float, sent: bool) -> str:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return f"There is no server of the name `{host}`."
    if isinstance(error, aiohttp.ClientSSLError | aiohttp.ClientConnectorCertificateError):
        return f"`{host}` could not be trusted: its TLS certificate or handshake failed."
    if isinstance(error, TimeoutError):
        return (
            f"`{host}` did not answer whole within {seconds:g} s."
            if sent
            else f"`{host}` could not be connected to in time."
        )
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"The answer of `{host}` was cut short."
    if isinstance(error, aiohttp.ClientResponseError | HttpProcessingError):
        return f"`{host}` did not answer in proper HTTP."
    return f"`{host}` broke the connection." if sent else f"`{host}` could not be reached."


def _meaning(sent: bool) -> str:
    return "Whether the request was acted on is not known." if sent else "The request was not sent."
