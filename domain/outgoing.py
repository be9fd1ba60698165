"""An HTTP request that is to go out, and what came back, or did not."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from domain.base import Frozen

Trouble = Literal[
    "BLOCKED",
    "NO_NAME",
    "UNREACHABLE",
    "TLS_FAILED",
    "CONNECT_TIMEOUT",
    "ANSWER_TIMEOUT",
    "CONNECTION_LOST",
    "NOT_HTTP",
    "CUT",
]
"""Why there is no answer, or none that is whole.

BLOCKED is an address, scheme, port or URL that is not called, UNREACHABLE one where nobody answered the door.
CONNECT_TIMEOUT is before there was a connection, ANSWER_TIMEOUT after. CUT is an answer that broke off.
"""


class Outgoing(Frozen):
    """A request, encoded: nothing in it is changed on its way."""

    method: str
    url: str
    """Absolute, percent-encoded, ASCII."""
    headers: tuple[tuple[str, str], ...] = ()
    """ASCII, without those of `headers.RESERVED`, which are written on the way."""
    body: bytes | None = None
    secrets: tuple[str, ...] = Field((), repr=False)
    """Every form of what the headers hold of a secret, as `secret.forms` has them; taken out of all that is
    told of the answer, should the server repeat one."""


class Fetched(Frozen):
    """An answer, whatever its status: a 4xx, a 5xx or a redirect is one too."""

    status: int
    content_type: str
    """Without parameters, in lower case; empty where the server named none."""
    body: Any
    """JSON where it is whole and named so, else text, without NUL or lone surrogates; of a binary one what it
    is and its size."""
    cut: bool
    """The body is longer than what is kept of it."""
    location: str = ""
    """Where a redirect points; it is not followed."""
    retry_after: float | None = None
    """Seconds it asks to be left alone for."""
