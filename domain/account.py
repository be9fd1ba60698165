"""Who calls: an account and the key that opened the door."""

from __future__ import annotations

import hashlib
import secrets

from domain.base import Frozen

KEY_PREFIX = "sk-"


class Caller(Frozen):
    """Who acts, and from where: what the audit log says of every call."""

    account_id: str
    key_id: str
    address: str | None = None


def new_key() -> str:
    """A fresh API key: 256 random bits behind a prefix that secret scanners know."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """What is stored of a key. A fast hash is right here: the key is random, not a password."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
