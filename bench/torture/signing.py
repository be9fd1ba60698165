"""Sources, and signatures as they and receivers make them, by code of their own."""

from __future__ import annotations

import base64
import hashlib
import hmac
import random
import time
from collections.abc import Mapping
from typing import NamedTuple

Headers = dict[str, str]
_PREFIX = "whsec_"


class Source(NamedTuple):
    """A trigger, as whoever sets it off knows it."""

    trigger: str
    preset: str
    """How its events are known: github, standard-webhooks; or `secret`."""
    secret: str
    ordered: bool
    """Its events may have an ordering key."""


def secret(chance: random.Random, preset: str) -> str:
    """A new one, as such a source would show it."""
    raw = chance.randbytes(32)
    return _PREFIX + base64.b64encode(raw).decode() if preset == "standard-webhooks" else raw.hex()


def github(secret: str, event: str, body: bytes) -> Headers:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "X-Hub-Signature-256": f"sha256={digest}",
        "X-GitHub-Delivery": event,
        "X-GitHub-Event": "push",
    }


def standard(secret: str, event: str, body: bytes, now: int | None = None) -> Headers:
    at = str(int(time.time()) if now is None else now)
    return {
        "webhook-id": event,
        "webhook-timestamp": at,
        "webhook-signature": "v1," + _signed(secret, event, at, body),
    }


def fits(secret: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the signatures of a request is its body's; names of headers in lower case."""
    made = "v1," + _signed(secret, headers.get("webhook-id", ""), headers.get("webhook-timestamp", ""), body)
    return any(hmac.compare_digest(made, one) for one in headers.get("webhook-signature", "").split(" "))


def _signed(secret: str, event: str, at: str, body: bytes) -> str:
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    return base64.b64encode(hmac.new(key, f"{event}.{at}.".encode() + body, hashlib.sha256).digest()).decode()
