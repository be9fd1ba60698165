"""The request that brings an event, as it came."""

from __future__ import annotations

from pydantic import Field

from domain.base import Frozen

NAME = r"^[!#$%&'*+.^_`|~0-9A-Za-z-]+$"
"""What HTTP takes as the name of a header."""


class Received(Frozen):
    """Headers and body of a request, untouched: signatures are made over these very bytes."""

    headers: tuple[tuple[str, str], ...] = Field((), repr=False)
    """Names in lower case, as often as they were sent; values are the bytes read as Latin-1."""
    body: bytes = Field(b"", repr=False)

    def values(self, name: str) -> tuple[str, ...]:
        """What a header said, each time it was sent, by its name in any case."""
        sought = name.lower()
        return tuple(value for given, value in self.headers if given == sought)
