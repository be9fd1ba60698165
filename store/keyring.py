"""The keys that seal values at rest: AES-256-GCM, each under a nonce of its own and bound to its row."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from typing import NamedTuple

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


class Place(NamedTuple):
    """The row that a value is sealed for; in another one it does not open."""

    account_id: str
    id: str

    @property
    def mark(self) -> bytes:
        # No id has a NUL, so no two places have one mark.
        return f"secret\0{self.account_id}\0{self.id}".encode()


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
        """Raises SecretUnusable, which names the secret and says what is to be done."""
        cipher = self._ciphers.get(sealed.key)
        if cipher is None:
            raise SecretUnusable(
                f"Secret {place.id} is sealed under the key {sealed.key}, which HOLDFAST_SECRET_KEYS of this"
                " process does not have: add that key there, or set the secret's value again."
            )
        try:
            opened = cipher.decrypt(sealed.value[:NONCE], sealed.value[NONCE:], place.mark)
        except InvalidTag:
            raise SecretUnusable(
                f"Secret {place.id} was changed where it is stored, or moved there from another one: set its"
                " value again."
            ) from None
        return SecretStr(opened.decode())


def name(key: bytes) -> str:
    """What a row calls its key: enough of a hash to tell keys apart, nothing of the key."""
    return hashlib.sha256(b"holdfast secret key\0" + key).hexdigest()[:16]
