"""What a request says of the event that it brings: whose it is, and what is kept of its headers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from domain.errors import BadRequest
from domain.pointer import Where
from domain.received import Received

LONGEST_SESSION = 255
_PERSON = {"name": 1_000, "email": 320, "phone": 64}
"""What may be said of a contact, and in how many characters."""
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+")

_KEPT = frozenset(
    {
        *("content-type", "user-agent", "idempotency-key"),
        *("webhook-id", "webhook-timestamp"),
        *("x-github-event", "x-github-delivery", "x-github-hook-id"),
        *("x-gitlab-event", "x-gitlab-event-uuid"),
        *("x-shopify-topic", "x-shopify-webhook-id", "x-shopify-event-id", "x-shopify-shop-domain"),
        *("x-shopify-triggered-at", "x-shopify-api-version"),
        *("x-slack-request-timestamp", "x-slack-retry-num", "x-slack-retry-reason"),
        *("x-request-id", "x-event-id", "x-event-type"),
    }
)
_NEVER = re.compile(r"authorization|cookie|signature|hmac|secret|token|password|api-?key")
"""Who knows these could send events, or more."""


class Said(NamedTuple):
    """Whose an event is."""

    session: str | None = None
    """What names its session."""
    contact: dict[str, Any] | None = None
    """Columns of a contact to be found by its fingerprint or made."""


def said(query: Mapping[str, Any]) -> Said:
    """What the query says of the event: all else in it is kept and means nothing. Raises BadRequest.

    Nobody has proven to be the contact, so it is never one that was made by other means.
    """
    person = {
        name: _one(query, (f"contact.{name}", f"contact_{name}"), most) for name, most in _PERSON.items()
    }
    email, phone = person["email"], person["phone"]
    if email is not None and not _EMAIL.fullmatch(email):
        raise BadRequest("contact.email: send an address like ann@example.com, or leave it out.")
    session = _one(query, ("session",), LONGEST_SESSION) or (email and email.lower()) or phone
    if email is None and phone is None:
        return Said(session)
    mark = f"email:{email.lower()}" if email is not None else f"phone:{phone}"
    return Said(session, {"fingerprint": f"untrusted:{mark}", **person})


def kept(
    received: Received, besides: Iterable[Where | None] = (), signature: str | None = None
) -> dict[str, str]:
    """The headers that tell what an event is, by their names in lower case, and none that opens a door.

    `besides`: where a trigger looks into them; `signature`: the header that its source signs with.
    """
    named = {where.header.lower() for where in besides if where is not None and where.header is not None}
    never = (signature or "").lower()
    wanted = {name for name in named | _KEPT if name != never and not _NEVER.search(name)}
    found: dict[str, str] = {}
    for name, value in received.headers:
        if name in wanted:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return {name: value.replace("\0", "\ufffd") for name, value in found.items()}


def _one(query: Mapping[str, Any], names: tuple[str, ...], most: int) -> str | None:
    given = [query[name] for name in names if query.get(name)]
    if not given:
        return None
    if len(given) > 1 or not isinstance(given[0], str):
        raise BadRequest(f"{names[0]}: given twice; send it once.")
    text: str = given[0].strip()
    if len(text) > most or not text.isprintable():
        raise BadRequest(f"{names[0]}: send up to {most} printable characters.")
    return text or None
