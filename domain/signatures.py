"""What a request claims to be signed with: its headers, read strictly, in the form of each kind of sender."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable
from typing import Literal, NamedTuple

from domain.errors import NotAuthenticated
from domain.pointer import LONGEST as LONGEST_ID
from domain.received import Received

Algorithm = Literal["sha256", "sha1", "sha512"]
Encoding = Literal["hex", "base64"]

LONGEST = 4_096
"""Characters of a header that is read here."""

_BYTES: dict[Algorithm, int] = {"sha256": 32, "sha1": 20, "sha512": 64}
_SECONDS = re.compile(r"[0-9]{1,12}")
_BASE64 = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_HEX = re.compile(r"[0-9a-f]+")


class Kind(NamedTuple):
    """How a signature is made of a message, and written."""

    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"

    def made(self, key: bytes, message: bytes) -> str:
        return self._written(hmac.digest(key, message, self.algorithm))

    def is_form(self, text: str) -> bool:
        """Whether a text could be one: the right letters, and as many, filled up alike."""
        letters = _HEX if self.encoding == "hex" else _BASE64
        one = self._written(bytes(_BYTES[self.algorithm]))
        alike = (len(text), text.count("=")) == (len(one), one.count("="))
        return alike and letters.fullmatch(text) is not None

    def _written(self, digest: bytes) -> str:
        return digest.hex() if self.encoding == "hex" else base64.b64encode(digest).decode("ascii")


class Claim(NamedTuple):
    """The signatures that a request shows, none of them proven."""

    header: str
    """Where they stand."""
    given: tuple[str, ...]
    """At least one, each of the right form."""
    message: bytes
    """What they are to be of."""
    kind: Kind = Kind()
    time: int | None = None
    """The signed time in Unix seconds, where there is one."""


def plain(received: Received, header: str, prefix: str, kind: Kind) -> Claim:
    """One signature, of the body alone."""
    value = _one(received, header)
    if not value.startswith(prefix):
        raise _garbled(header, f"`{prefix}` and a signature")
    return Claim(header, _formed(header, [value.removeprefix(prefix)], kind), received.body, kind)


def standard(received: Received) -> Claim:
    """Standard Webhooks 1.0: `v1,<base64>`, several with a space between them, of `id.time.body`."""
    header, kind = "webhook-signature", Kind(encoding="base64")
    event, time = _one(received, "webhook-id"), _one(received, "webhook-timestamp")
    # With a full stop in the id, one signature would fit several splits into id, time and body.
    if "." in event or len(event) > LONGEST_ID:
        raise _garbled("webhook-id", f"at most {LONGEST_ID} characters, without a full stop")
    entries = _pairs(header, _one(received, header).split(" "), ",")
    given = [signature for version, signature in entries if version == "v1"]
    if not given:
        raise NotAuthenticated(
            f"The header `{header}` holds no `v1` signature, and no other is verified here: have the sender "
            "sign with a shared secret (`whsec_…`), not with a pair of keys (`v1a`)."
        )
    message = f"{event}.{time}.".encode("ascii") + received.body
    return Claim(header, _formed(header, given, kind), message, kind, _seconds("webhook-timestamp", time))


def stripe(received: Received) -> Claim:
    """Stripe's `t=<time>,v1=<hex>`, with more than one `v1` while a secret is changed, of `time.body`."""
    header = "stripe-signature"
    entries = _pairs(header, _one(received, header).split(","), "=")
    times = [value for name, value in entries if name == "t"]
    given = [value for name, value in entries if name == "v1"]
    if len(times) != 1 or not given:
        raise _garbled(header, "`t=` and the time once, and `v1=` and a signature at least once")
    message = f"{times[0]}.".encode("ascii") + received.body
    return Claim(header, _formed(header, given, Kind()), message, time=_seconds(header, times[0]))


def slack(received: Received) -> Claim:
    """Slack's `v0=<hex>`, of `v0:time:body`."""
    name = "x-slack-request-timestamp"
    time = _one(received, name)
    claim = plain(received, "x-slack-signature", "v0=", Kind())
    return claim._replace(message=f"v0:{time}:".encode("ascii") + received.body, time=_seconds(name, time))


def _one(received: Received, name: str) -> str:
    """A header that must be there once."""
    values = received.values(name)
    if len(values) != 1:
        wrong = "came more than once; send it once" if values else "is missing"
        raise NotAuthenticated(
            f"The header `{name}` {wrong}: have the sender sign what it posts here, or change the trigger's "
            "verification to what it does."
        )
    if not 0 < len(values[0]) <= LONGEST or not (values[0].isascii() and values[0].isprintable()):
        raise _garbled(name, f"1 to {LONGEST} printable characters of ASCII")
    return values[0]


def _pairs(header: str, entries: Iterable[str], between: str) -> list[tuple[str, str]]:
    """Names and values; spaces too many make entries that are none."""
    parts = [entry.partition(between) for entry in entries]
    if not all(name and value for name, _, value in parts):
        raise _garbled(header, f"entries like `v1{between}…`, without a space or comma too many")
    return [(name, value) for name, _, value in parts]


def _formed(header: str, given: Iterable[str], kind: Kind) -> tuple[str, ...]:
    """Those that could be signatures: some senders show others beside them."""
    spelled = [one.lower() if kind.encoding == "hex" else one for one in given]
    formed = tuple(one for one in spelled if kind.is_form(one))
    if not formed:
        raise _garbled(header, f"a signature by {kind.algorithm} in {kind.encoding}")
    return formed


def _seconds(header: str, text: str) -> int:
    if not _SECONDS.fullmatch(text):
        raise _garbled(header, "the time in whole seconds since 1970, as at most 12 digits")
    return int(text)


def _garbled(header: str, takes: str) -> NotAuthenticated:
    return NotAuthenticated(f"The header `{header}` is garbled: it takes {takes}. Send it as it was signed.")
