"""An HTTP request that is to go out to a tool, and what came back."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from domain.base import Frozen


class Outgoing(Frozen):
    """A request, encoded: nothing in it is changed on its way."""

    method: str
    url: str
    """Absolute, percent-encoded, ASCII."""
    headers: tuple[tuple[str, str], ...] = ()
    """ASCII, without those of `fetch.RESERVED`, which are written on the way."""
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
