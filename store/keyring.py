"""The keys that seal values at rest: AES-256-GCM, each under a nonce of its own and bound to its row."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import Literal, NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from domain.errors import NotServed, SecretUnusable

NONCE = 12
"""Bytes. Random ones are safe for four thousand million values under one key; a rotation begins anew."""


class Sealed(NamedTuple):
    """What a row has of a value: the nonce with the ciphertext and its tag, and the name of the key."""

    value: bytes
    key: str


Column = Literal[
    "secret", "trigger.secret", "trigger.signing", "target.secret", "target.headers", "target.previous"
]
"""What holds sealed values; `secret` is the value of one. The words are part of what is sealed: for ever."""


class Place(NamedTuple):
    """The row and the column that a value is sealed for; in another one it does not open."""

    account_id: str
    id: str
    column: Column = "secret"

    @property
    def mark(self) -> bytes:
        # No id has a NUL, so no two places have one mark.
        return f"{self.column}\0{self.account_id}\0{self.id}".encode()

    @property
    def _noun(self) -> str:
        return self.column.partition(".")[0]

    def __str__(self) -> str:
        """As people are told of it."""
        return f"{self._noun.capitalize()} {self.id}"

    @property
    def remedy(self) -> str:
        """What makes it usable again."""
        if self.column == "trigger.signing":
            return "set the trigger's verification again"
        if self.column == "trigger.secret":
            return "make the trigger anew, and give its source the new one's secret"
        if self.column == "target.headers":
            return "set the target's headers again"
        return "set the secret's value again" if self.column == "secret" else "rotate the target's secret"


class Keyring:
    """Keys, newest first: the first one seals, each of them opens. With none there are no secrets."""

    def __init__(self, keys: Sequence[bytes] = ()) -> None:
        self._ciphers = {name(key): AESGCM(key) for key in keys}

    def newest(self) -> str:
        """The name of the key that seals. Raises NotServed when there is none."""
        if not self._ciphers:
            raise NotServed(
                "This server has no key to keep secrets under: its operator sets HOLDFAST_SECRET_KEYS to"
                " base64 of 32 random bytes (`openssl rand -base64 32`), the same for every API and worker."
            )
        return next(iter(self._ciphers))

    def seal(self, value: SecretStr, place: Place) -> Sealed:
        """Raises NotServed when there is no key."""
        key, nonce = self.newest(), os.urandom(NONCE)
        text = value.get_secret_value().encode()
        return Sealed(nonce + self._ciphers[key].encrypt(nonce, text, place.mark), key)

    def open(self, sealed: Sealed, place: Place) -> SecretStr:
        """Raises SecretUnusable, which names the row and says what is to be done."""
        cipher = self._ciphers.get(sealed.key)
        if cipher is None:
            raise SecretUnusable(
                f"{place} is sealed under the key {sealed.key}, which HOLDFAST_SECRET_KEYS of this"
                f" process does not have: add that key there, or {place.remedy}."
            )
        try:
            opened = cipher.decrypt(sealed.value[:NONCE], sealed.value[NONCE:], place.mark)
        except InvalidTag:
            raise SecretUnusable(
                f"{place} was changed where it is stored, or moved there from another one: {place.remedy}."
            ) from None
        return SecretStr(opened.decode())


def name(key: bytes) -> str:
    """What a row calls its key: enough of a hash to tell keys apart, nothing of the key."""
    return hashlib.sha256(b"holdfast secret key\0" + key).hexdigest()[:16]
