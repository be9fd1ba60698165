"""A session: a token for a browser, which opens one conversation until it expires."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime
from typing import Any

from domain.base import Frozen
from domain.conversation import NewMessage

SHORTEST, USUAL, LONGEST = 1_800, 3_600, 86_400
"""Seconds that a session lasts (contract §4.1.10)."""


class Session(Frozen):
    id: str
    account_id: str
    conversation_id: str
    expires_at: datetime
    """In whole seconds, as a token tells it."""

    @property
    def expired(self) -> bool:
        return self.expires_at <= datetime.now(UTC)


class Opening(Frozen):
    """A session asked for with a bot, and the conversation that is made for it."""

    bot_id: str
    messages: tuple[NewMessage, ...] = ()
    meta: dict[str, Any] | None = None
    seconds: int = USUAL


def is_token(text: str) -> bool:
    """Whether this is a token's form; no API key has a dot."""
    return text.count(".") == 2


class Tokens:
    """Signs and reads tokens: JWTs under HMAC-SHA-256, and never anything else.

    Nothing of a token is parsed before its signature was compared, and its header never is: it must be ours
    to the letter, so nobody can choose another algorithm there.
    """

    def __init__(self, secret: bytes) -> None:
        self._key = hmac.digest(secret, b"session token", "sha256")

    def sign(self, session: Session) -> str:
        claims = {
            "sub": session.id,
            "accountId": session.account_id,
            "conversationId": session.conversation_id,
            "exp": int(session.expires_at.timestamp()),
        }
        signed = f"{_HEADER}.{_encoded(_json(claims))}"
        return f"{signed}.{self._mark(signed)}"

    def read(self, token: str) -> Session | None:
        """The session that a token of ours names, expired or not; None for any other text."""
        signed, _, mark = token.rpartition(".")
        if not hmac.compare_digest(_bytes(mark), _bytes(self._mark(signed))):
            return None
        header, _, claims = signed.partition(".")
        if header != _HEADER:
            return None
        said = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))
        return Session(
            id=said["sub"],
            account_id=said["accountId"],
            conversation_id=said["conversationId"],
            expires_at=datetime.fromtimestamp(said["exp"], UTC),
        )

    def _mark(self, signed: str) -> str:
        return _encoded(hmac.digest(self._key, _bytes(signed), "sha256"))


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode("ascii")


def _encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


_HEADER = _encoded(_json({"alg": "HS256", "typ": "JWT"}))
