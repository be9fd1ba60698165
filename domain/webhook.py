"""A webhook as it is sent: where it may go, what it may carry, how it is signed, and what came of it.

Signatures are those of Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`.
"""

from __future__ import annotations

import base64
import hmac
import re
import secrets as chance
from collections.abc import Mapping, Sequence
from datetime import datetime

from pydantic import SecretStr

from domain import headers
from domain.addresses import is_allowed
from domain.base import Frozen
from domain.errors import BadRequest
from domain.outgoing import Outgoing, Trouble
from domain.redaction import SHORTEST
from domain.target import AUTHORITY, ORIGIN, is_open_port

LONGEST_URL = 2_048
MOST_HEADERS = 20
LONGEST_HEADERS = 12_000
"""Characters of all of them: servers take 16 KiB, and some are ours."""

_PREFIX = "whsec_"
_MADE_BYTES = 32
_KEY_BYTES = range(24, 65)
_OWN = ("content-", "webhook-")
"""What the names of headers begin with that describe the body or are signed."""
_PLAIN = ("accept", "user-agent")
"""And those that hold nothing secret."""
_PATH = r"(?:/(?:[A-Za-z0-9._~!$&'()*+,;=:@/-]|%[0-9A-Fa-f]{2})*)?"
_QUERY = r"(?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?\[\]-]|%[0-9A-Fa-f]{2})*)?"
_REST = re.compile(_PATH + _QUERY)
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
"""A last label like this makes resolvers read the whole host as an address: `127.1`, `0x7f000001`."""


class Webhook(Frozen):
    """What one delivery sends, the same at each attempt but for its time."""

    delivery_id: str
    url: str
    headers: tuple[tuple[str, str], ...] = ()
    """The user's own, as `read_headers` has them."""
    secrets: tuple[SecretStr, ...]
    """All that sign: two while one takes over from the other."""
    body: bytes
    """JSON."""

    def attempt(self, at: datetime) -> Outgoing:
        """The request of the attempt that is made now."""
        signature = signed(self.secrets, self.delivery_id, at, self.body)
        own = (("Content-Type", "application/json"), *signature)
        return Outgoing(
            method="POST", url=self.url, headers=(*self.headers, *own), body=self.body, secrets=self._untold
        )

    @property
    def _untold(self) -> tuple[str, ...]:
        """What nobody is told who reads the answer, should it repeat the user's headers: what they say, and a
        credential without its scheme."""
        values = [value for name, value in self.headers if not name.lower().startswith(_PLAIN)]
        said = {form for value in values for form in (value, value.partition(" ")[2].strip())}
        return tuple(
            sorted((form for form in said if len(form) >= SHORTEST), key=lambda one: (-len(one), one))
        )


class Answered(Frozen):
    """What came of one attempt: the receiver's status or, where it gave none, what was the trouble.

    A status decides alone. What comes after it is for people, so an answer that breaks off there is one.
    """

    status: int | None = None
    trouble: Trouble | None = None
    sent: bool
    """Whether there was a connection: then the receiver may have acted on it, else surely not."""
    milliseconds: int
    """How long it took."""
    headers: tuple[tuple[str, str], ...] = ()
    """Some of the answer's, names in lower case, values on one line."""
    body: str = ""
    """The beginning, without NUL and lone surrogates; of a binary one what it is."""
    cut: bool = False
    """There was more of the body, or it broke off."""
    retry_after: float | None = None
    """Seconds it asks to be left alone for, a day at most."""
    stop: bool = False
    """It asks for no further attempt: `webhook-delivery: abort-message`."""

    @property
    def taken(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def make_secret() -> SecretStr:
    return SecretStr(_PREFIX + base64.b64encode(chance.token_bytes(_MADE_BYTES)).decode())


def key_of(secret: SecretStr) -> bytes:
    """The bytes that a `whsec_…` stands for. Raises BadRequest, which does not show it."""
    text = secret.get_secret_value().removeprefix(_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except ValueError:
        key = b""
    if len(key) not in _KEY_BYTES:
        raise BadRequest(
            f"secret: it is `{_PREFIX}` and base64 of {_KEY_BYTES.start} to {_KEY_BYTES.stop - 1} bytes."
        )
    return key


def signed(
    secrets: Sequence[SecretStr], delivery_id: str, at: datetime, body: bytes
) -> tuple[tuple[str, str], ...]:
    """The three headers of an attempt made at that time, with a signature by each secret."""
    timestamp = str(int(at.timestamp()))
    content = f"{delivery_id}.{timestamp}.".encode() + body
    digests = (hmac.digest(key_of(secret), content, "sha256") for secret in secrets)
    return (
        ("Webhook-Id", delivery_id),
        ("Webhook-Timestamp", timestamp),
        ("Webhook-Signature", " ".join(f"v1,{base64.b64encode(digest).decode()}" for digest in digests)),
    )


def read_headers(given: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The user's own headers. Raises BadRequest for one that cannot be sent, or is not theirs to say."""
    if len(given) > MOST_HEADERS:
        raise BadRequest(f"webhook.headers: {MOST_HEADERS} at most.")
    made = {name.lower(): (name, _value(name, value)) for name, value in given.items()}
    if len(made) < len(given):
        raise BadRequest("webhook.headers: a name is there twice; capitals make no other name of it.")
    if sum(len(name) + len(value) for name, value in made.values()) > LONGEST_HEADERS:
        raise BadRequest(f"webhook.headers: {LONGEST_HEADERS} characters in all at most.")
    return tuple(made.values())


def _value(name: str, value: str) -> str:
    if not headers.is_name(name):
        raise BadRequest("webhook.headers: a name is of letters, digits and `-`, without spaces.")
    if name.lower() in headers.RESERVED or name.lower().startswith(_OWN):
        raise BadRequest(
            f"webhook.headers: `{name}` is written by this server or belongs to the connection; leave it out."
        )
    trimmed = value.strip(" \t")
    if not headers.is_safe(trimmed) or len(trimmed) > headers.LONGEST:
        raise BadRequest(
            f"webhook.headers: `{name}` takes printable ASCII on one line, {headers.LONGEST} characters."
        )
    return trimmed


def check_url(url: str) -> None:
    """Raises BadRequest for one that is surely never called; names are looked up when they are dialled.

    This machine's own addresses pass: whether they are called is a setting of the worker.
    """
    if len(url) > LONGEST_URL:
        raise BadRequest(f"webhook.url: {LONGEST_URL} characters at most.")
    found = ORIGIN.match(url)
    if found is None or found[1].lower() not in ("http", "https"):
        raise BadRequest("webhook.url: it begins with `https://` or `http://` and a host.")
    if "@" in found[2]:
        raise BadRequest("webhook.url: no user or password may stand in it; use a header.")
    if "#" in url:
        raise BadRequest("webhook.url: a `#` begins a part that is not sent; take it away, or write `%23`.")
    if not _REST.fullmatch(url, found.end()):
        raise BadRequest("webhook.url: what is not ASCII, and spaces, must be percent-encoded in it.")
    _check_authority(found[2])


def _check_authority(authority: str) -> None:
    named = AUTHORITY.fullmatch(authority)
    if named is None:
        raise BadRequest("webhook.url: this is no host; a name in other letters is written `xn--…`.")
    host, port = named[1], named[2]
    if port and not is_open_port(int(port)):
        raise BadRequest(f"webhook.url: port {port} is not called; 80, 443 and those from 1024 on are.")
    is_literal = host.startswith("[") or _NUMBER.fullmatch(host.rstrip(".").rpartition(".")[2])
    if is_literal and not is_allowed(host.strip("[]"), loopback=True):
        raise BadRequest(f"webhook.url: `{host}` is an address that this server does not call.")
