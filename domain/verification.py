"""Whether an event comes from whom it should: how its request must be signed, and the proof."""

from __future__ import annotations

import base64
import hmac
import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Literal, Self

from pydantic import ConfigDict, Field, SecretStr, model_validator

from domain import signatures
from domain.base import Frozen
from domain.errors import BadRequest, NotAuthenticated
from domain.pointer import Where
from domain.received import NAME, Received
from domain.signatures import Algorithm, Claim, Encoding, Kind

Preset = Literal["standard-webhooks", "github", "stripe", "slack", "shopify", "hmac"]

TIMED: frozenset[Preset] = frozenset({"standard-webhooks", "stripe", "slack"})
"""Those that sign the time too."""
TOLERANCE = 300
"""Seconds, as all of these advise."""
SHORTEST, LONGEST = 8, 1_024
"""Characters of a secret, but for Standard Webhooks."""

_PREFIX = re.compile(r"(?:[!-~][ -~]{0,63})?")
_STANDARD = re.compile(r"whsec_([A-Za-z0-9+/]+)={0,2}")


class Verification(Frozen):
    """How the requests of a trigger are signed."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)

    preset: Preset
    header: str | None = Field(None, pattern=NAME, max_length=128)
    """Where the signature stands; this and the next three are of `hmac`, which signs the body alone."""
    algorithm: Algorithm = "sha256"
    encoding: Encoding = "hex"
    prefix: str = ""
    """What stands before the signature in its header, like `sha256=`."""
    tolerance: int = Field(TOLERANCE, ge=1, le=86_400)
    """Seconds that the signed time and this server's may be apart."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        chosen = (self.header, self.algorithm, self.encoding, self.prefix)
        if self.preset == "hmac" and self.header is None:
            raise ValueError("`hmac` needs `header`, the name of the header in which the signature stands")
        if self.preset != "hmac" and chosen != (None, "sha256", "hex", ""):
            raise ValueError("header, algorithm, encoding and prefix belong to `hmac`; leave them out")
        if not _PREFIX.fullmatch(self.prefix):
            raise ValueError("prefix is up to 64 characters of ASCII and begins with no space")
        if self.tolerance != TOLERANCE and self.preset not in TIMED:
            raise ValueError(f"tolerance is for presets that sign the time: {', '.join(sorted(TIMED))}")
        return self


def check_secret(how: Verification, secret: SecretStr) -> None:
    """Raises BadRequest for a secret with which nothing could be verified, or anybody could sign."""
    text = secret.get_secret_value()
    if how.preset == "standard-webhooks":
        if _key(how, secret) is None:
            raise BadRequest(
                "secret: of standard-webhooks it is `whsec_` and base64 of 24 to 64 bytes; copy it whole."
            )
    elif not SHORTEST <= len(text) <= LONGEST or not text.isprintable() or text != text.strip():
        raise BadRequest(
            f"secret: it is {SHORTEST} to {LONGEST} printable characters, without spaces around them."
        )


def verify(how: Verification, secrets: Sequence[SecretStr], received: Received, now: datetime) -> None:
    """Raises NotAuthenticated unless one of the secrets made one of the request's signatures in time.

    `secrets` is one, or two while the sender goes from one to the other. Raises nothing else, whatever came.
    """
    claim = _claim(how, received)
    keys = [key for secret in secrets if (key := _key(how, secret)) is not None]
    if not keys:
        raise NotAuthenticated(f"This trigger has no secret for {how.preset}: set the one the sender shows.")
    if not _signed(claim, keys):
        raise NotAuthenticated(
            f"No signature in `{claim.header}` fits the body under the trigger's secret: set the secret that "
            "the sender shows, and let nothing on the way change the body."
        )
    if claim.time is not None:
        _check_time(claim.time, how.tolerance, now)


def usual_id(preset: Preset) -> Where | None:
    """Where the senders of a preset say which event it is, the same each time they send it."""
    return _USUAL.get(preset)


def challenge(preset: Preset, received: Received) -> str | None:
    """The word that Slack wants back before it sends events to an address; it is no event."""
    if preset != "slack" or Where(pointer="/type").find(received) != "url_verification":
        return None
    return Where(pointer="/challenge").text(received)


def _claim(how: Verification, received: Received) -> Claim:
    if how.preset == "standard-webhooks":
        return signatures.standard(received)
    if how.preset == "stripe":
        return signatures.stripe(received)
    if how.preset == "slack":
        return signatures.slack(received)
    plain = _PLAIN.get(how.preset, how)
    kind = Kind(plain.algorithm, plain.encoding)
    return signatures.plain(received, plain.header or "", plain.prefix, kind)


def _key(how: Verification, secret: SecretStr) -> bytes | None:
    """None for what is no secret: under an empty key anybody can sign."""
    text = secret.get_secret_value()
    if how.preset != "standard-webhooks":
        return text.encode("utf-8", "surrogatepass") or None
    form = _STANDARD.fullmatch(text)
    try:
        key = base64.b64decode(form[1] + "=" * (-len(form[1]) % 4), validate=True) if form else b""
    except ValueError:
        return None
    return key if 24 <= len(key) <= 64 else None


def _signed(claim: Claim, keys: Iterable[bytes]) -> bool:
    """In constant time: every signature is compared with every key's, whole, whichever of them fits."""
    fits = False
    for key in keys:
        made = claim.kind.made(key, claim.message)
        for given in claim.given:
            fits |= hmac.compare_digest(made, given)
    return fits


def _check_time(time: int, tolerance: int, now: datetime) -> None:
    late = int(now.timestamp()) - time
    if abs(late) > tolerance:
        raise NotAuthenticated(
            f"The signature fits, but its time is {abs(late)} s {'before' if late > 0 else 'after'} this "
            f"server's, and {tolerance} s are allowed: either a clock is wrong (clock skew; set it), or the "
            "event was held back or sent again (have the sender sign it anew)."
        )


_PLAIN: dict[Preset, Verification] = {
    "github": Verification(preset="hmac", header="X-Hub-Signature-256", prefix="sha256="),
    "shopify": Verification(preset="hmac", header="X-Shopify-Hmac-Sha256", encoding="base64"),
}
_USUAL: dict[Preset, Where] = {
    "standard-webhooks": Where(header="webhook-id"),
    "github": Where(header="X-GitHub-Delivery"),
    "stripe": Where(pointer="/id"),
    "slack": Where(pointer="/event_id"),
    "shopify": Where(header="X-Shopify-Webhook-Id"),
}
