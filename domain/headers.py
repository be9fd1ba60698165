"""Headers that others give us to send: which names and values there may be."""

from __future__ import annotations

import re

RESERVED = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-length",
        "expect",
        "host",
        "idempotency-key",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers of one connection, and those that this server writes itself."""
LONGEST = 8_000
"""Characters of a value."""

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SAFE = re.compile(r"[\t\x20-\x7e]*")


def is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def is_safe(text: str) -> bool:
    """Printable ASCII on one line: servers do not agree on anything else."""
    return _SAFE.fullmatch(text) is not None
