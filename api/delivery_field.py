"""The field `delivery`: where results go, as it is given, and as it is shown."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SecretStr, StringConstraints

from api.bodies import Body
from api.call import Call
from api.wire import At, Item
from domain.delivery import TargetKind, Wanted
from domain.destination import EVENTS, KINDS, Change, Destination, Said, check_loopback
from domain.errors import NotServed
from domain.mail import LONGEST_ADDRESS, LONGEST_SUBJECT, MOST_RECIPIENTS, check_subject, read_recipients
from domain.webhook import LONGEST_URL, MOST_HEADERS, check_url, read_headers

Events = Annotated[tuple[Wanted, ...], Field(min_length=1, max_length=len(EVENTS))]
Url = Annotated[str, StringConstraints(max_length=LONGEST_URL), Field(examples=["https://example.com/hook"])]
Address = Annotated[str, StringConstraints(max_length=LONGEST_ADDRESS), Field(examples=["me@example.com"])]


class GivenWebhook(Body):
    """A POST of JSON, signed by Standard Webhooks with a secret that this server makes."""

    url: Url
    headers: Annotated[dict[str, str], Field(max_length=MOST_HEADERS)] | None = None
    """Sent besides our own. Their values are never shown again."""
    events: Events | None = None
    """What it is told of; both, if nothing is said."""


class GivenEmail(Body):
    to: Annotated[tuple[Address, ...], Field(min_length=1, max_length=MOST_RECIPIENTS)]
    subject: Annotated[str, StringConstraints(max_length=LONGEST_SUBJECT)] | None = None
    """Without one the result is named by what it is of."""
    events: Events | None = None
    """What it is told of; both, if nothing is said."""


class GivenDelivery(Body):
    """Where results are sent. Each part stands for itself: what is given replaces the whole of it, null takes
    it away, and what is not named stays as it is."""

    webhook: GivenWebhook | None = None
    email: GivenEmail | None = None


def _plain(value: Any) -> Any:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


Secret = Annotated[str, BeforeValidator(_plain)]


class ShownTarget(Item):
    target_id: Annotated[str, Field(validation_alias="id")]
    events: tuple[Wanted, ...]
    disabled_at: At | None = None
    """Since when nothing is sent there."""
    disabled_code: str | None = None


class ShownWebhook(ShownTarget):
    url: str
    header_names: tuple[str, ...]
    secret: Secret | None = None
    """What verifies its signatures: `whsec_…`. In lists it is not shown."""


class ShownEmail(ShownTarget):
    to: tuple[str, ...]
    subject: str | None = None


class ShownDelivery(Item):
    webhook: ShownWebhook | None = None
    email: ShownEmail | None = None


def in_body(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """The given columns, with what targets are to become in the place of `delivery`. Raises BadRequest,
    NotServed."""
    return given | {"delivery": _change(call, given["delivery"])} if "delivery" in given else given


def of_call(call: Call, given: GivenDelivery | None) -> tuple[Said, ...]:
    """What a call says of where its own result goes. Raises BadRequest, NotServed."""
    wanted = [] if given is None else [said for said in _change(call, given).values() if said is not None]
    return tuple(Said(mark=_mark(call, said), destination=said) for said in wanted)


def _change(call: Call, given: GivenDelivery | None) -> Change:
    if given is None:
        return dict.fromkeys(KINDS)
    made: dict[TargetKind, Destination | None] = {}
    if "webhook" in given.model_fields_set:
        made["webhook"] = None if given.webhook is None else _webhook(call, given.webhook)
    if "email" in given.model_fields_set:
        made["email"] = None if given.email is None else _email(call, given.email)
    return made


def _webhook(call: Call, given: GivenWebhook) -> Destination:
    check_url(given.url)
    if not call.desk.calls_loopback:
        check_loopback(given.url)
    headers = read_headers(given.headers or {})
    return Destination(kind="webhook", url=given.url, headers=headers, events=_events(given.events))


def _email(call: Call, given: GivenEmail) -> Destination:
    if not call.desk.sends_mail:
        raise NotServed(
            "delivery.email: this server sends no e-mail until its operator sets HOLDFAST_SMTP_HOST, the same"
            " for every API and worker."
        )
    to = read_recipients(given.to)
    if given.subject is not None:
        check_subject(given.subject)
    return Destination(kind="email", to=to, subject=given.subject, events=_events(given.events))


def _events(given: tuple[Wanted, ...] | None) -> tuple[Wanted, ...]:
    """Each once, always in the same order."""
    return tuple(event for event in EVENTS if given is None or event in given)


def _mark(call: Call, said: Destination) -> bytes:
    return hmac.new(call.desk.secret, f"delivery\n{said.text}".encode(), hashlib.sha256).digest()
