"""A secret: what an ability shows to the server that it calls, and nothing shows to anybody else."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Any, Literal

from pydantic import SecretStr

from domain.base import Frozen
from domain.errors import BadRequest
from domain.redaction import SHORTEST

SecretType = Literal["plain", "bearer", "basic"]
"""How a value stands in a header; see `header`."""

LONGEST = 16_384
"""Characters of a value: more than any server takes in its headers."""
KEY_BYTES = 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class Secret(Frozen):
    """A secret without its value."""

    id: str
    alias: str | None
    name: str | None
    description: str | None
    meta: dict[str, Any]
    type: SecretType
    created_at: datetime
    updated_at: datetime


class Revealed(Frozen):
    """A secret's value at the moment of its use. It shows itself as asterisks, in JSON too."""

    type: SecretType
    value: SecretStr


_NAMED = re.compile(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+)")
"""A header that names its scheme before what it shows."""


def check(type_: SecretType, value: SecretStr) -> None:
    """Raises BadRequest for a value that cannot stand in a header as its type has it."""
    text = value.get_secret_value()
    if type_ == "basic":
        if ":" not in text or _CONTROL.search(text):
            raise BadRequest("value: of a basic secret it is `user:password`, without control characters.")
    elif not (text.isascii() and text.isprintable()) or text != text.strip():
        raise BadRequest(
            "value: it is sent in a header: printable ASCII, without spaces or line ends around it."
        )


def header(revealed: Revealed) -> SecretStr:
    """What a header says of it: a plain one as it is, `Bearer …`, or `Basic …` by RFC 7617 in UTF-8."""
    text = revealed.value.get_secret_value()
    if revealed.type == "bearer":
        text = f"Bearer {text}"
    elif revealed.type == "basic":
        text = f"Basic {base64.b64encode(text.encode()).decode('ascii')}"
    return SecretStr(text)


def forms(revealed: Revealed) -> tuple[str, ...]:
    """Each way in which a server that knows the secret could repeat it, longest first; what is shorter than
    redaction.SHORTEST is no secret and not among them.

    Of a basic one the user is a secret too where the password is none: many servers take a key as the user.
    """
    text = revealed.value.get_secret_value()
    shown = header(revealed).get_secret_value()
    told = {text, shown}
    if revealed.type == "plain" and (named := _NAMED.fullmatch(text)) is not None:
        told.add(named[2])
    if revealed.type == "basic":
        user, _, password = text.partition(":")
        told |= {shown.removeprefix("Basic "), shown.removeprefix("Basic ").rstrip("=")}
        told.add(password if len(password) >= SHORTEST else user)
    told |= {form.replace(" ", "+") for form in told}
    return tuple(
        sorted((form for form in told if len(form) >= SHORTEST), key=lambda form: (-len(form), form))
    )


def keys(text: str) -> tuple[bytes, ...]:
    """The keys that a setting names, with commas between them. Raises ValueError, which tells a wrong one by
    its place and never shows it."""
    words = text.split(",") if text.strip() else []
    return tuple(_key(place, word.strip()) for place, word in enumerate(words, 1))


def _key(place: int, word: str) -> bytes:
    try:
        key = base64.b64decode(word, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        wrong = f"key {place} is not base64 of {KEY_BYTES} bytes; `openssl rand -base64 32` makes one"
        raise ValueError(wrong) from None
    return key
