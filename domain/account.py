"""Who calls: an account, by a key of its own or by a session of one of its conversations."""

from __future__ import annotations

import hashlib
import secrets

from domain.base import Frozen

KEY_PREFIX = "sk-"


class Caller(Frozen):
    """Who acts, and from where: what the audit log says of every call."""

    account_id: str
    key_id: str
    """The key that opened the door; with a session, the key that made it; the trigger that an event is for;
    or `operator`, `server`."""
    address: str | None = None
    session_id: str | None = None
    conversation_id: str | None = None
    """The one conversation that a session opens."""

    @property
    def actor(self) -> str:
        return self.session_id or self.key_id


def operator(account_id: str) -> Caller:
    """Who works with `python -m store`."""
    return Caller(account_id=account_id, key_id="operator")


def source(account_id: str, trigger_id: str, address: str | None) -> Caller:
    """Who sends a trigger its events."""
    return Caller(account_id=account_id, key_id=trigger_id, address=address)


def server(account_id: str) -> Caller:
    """The server itself, doing to an account's things what their time or a setting asks for."""
    return Caller(account_id=account_id, key_id="server")


def new_key() -> str:
    """A fresh API key: 256 random bits behind a prefix that secret scanners know."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


def key_hash(key: str) -> bytes:
    """What is stored of a key. A fast hash is right here: the key is random, not a password."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
