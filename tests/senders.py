"""Signed requests as their senders publish them, each made by somebody else than us."""

from __future__ import annotations

import base64
import hmac
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from domain.errors import NotAuthenticated
from domain.received import Received
from domain.verification import TIMED, Verification, verify

STANDARD = Verification(preset="standard-webhooks")
GITHUB = Verification(preset="github")
STRIPE = Verification(preset="stripe")
SLACK = Verification(preset="slack")
SHOPIFY = Verification(preset="shopify")
EVERY = [
    *(STANDARD, GITHUB, STRIPE, SLACK, SHOPIFY, Verification(preset="hmac", header="X-Signature")),
    Verification(preset="hmac", header="X-Signature", algorithm="sha512", encoding="base64", prefix="HMAC "),
]

Headers = dict[str, str]
NOW = 1_614_265_330

# The example of the libraries at github.com/standard-webhooks/standard-webhooks, and of docs.svix.com.
KEY = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
STANDARD_BODY = b'{"test": 2432232314}'
STANDARD_HEADERS = {
    "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
    "webhook-timestamp": "1614265330",
    "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
}

# docs.github.com, "Validating webhook deliveries".
GITHUB_HEADERS = {
    "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
}

# docs.slack.dev, "Verifying requests from Slack".
SLACK_SECRET = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_BODY = (
    b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
    b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
    b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
    b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
)
SLACK_HEADERS = {
    "X-Slack-Request-Timestamp": "1531420618",
    "X-Slack-Signature": "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
}

# Stripe shows a secret only in the tests of its libraries: this is the event of EventUtilityTest in
# github.com/stripe/stripe-dotnet as it was in 2018. Its v0 is a signature for tests, and no proof.
STRIPE_BODY = b"""{
  "id": "evt_123",
  "object": "event",
  "account": "acct_123",
  "api_version": "2017-05-25",
  "created": 1533204620,
  "data": {
    "object": {
      "id": "ii_123",
      "object": "invoiceitem",
      "amount": 1000,
      "currency": "usd",
      "customer": "cus_123",
      "date": 1533204620,
      "description": "Test Invoice Item",
      "discountable": false,
      "invoice": "in_123",
      "livemode": false,
      "metadata": {},
      "period": {
        "start": 1533204620,
        "end": 1533204620
      },
      "plan": null,
      "proration": false,
      "quantity": null,
      "subscription": null
    }
  },
  "livemode": false,
  "pending_webhooks": 1,
  "request": {
    "id": "req_123",
    "idempotency_key": "idempotency-key-123"
  },
  "type": "invoiceitem.created"
}
"""
STRIPE_HEADERS = {
    "Stripe-Signature": "t=1533204620"
    ",v1=f0bdba6d4eacbd8ad8a3bbadd7248e633ec1477f7899c124c51b39405fa36613"
    ",v0=63f3a72374a733066c4be69ed7f8e5ac85c22c9f0a6a612ab9a025a9e4ee7eef"
}

# Shopify publishes no secret; this is the example of a Shopify webhook in SQLPage's tests.
SHOPIFY_BODY = b'{"id":1234567890,"email":"customer@example.com","total_price":"123.45"}'
SHOPIFY_HEADERS = {"X-Shopify-Hmac-Sha256": "QNyObTlKbMx2qDlPF/ZOZcBqg5OgPg+2oky3zldc0Gw="}

# RFC 4231, test case 2, and RFC 2202, test case 2: the algorithm itself.
RFC_KEY, RFC_BODY = "Jefe", b"what do ya want for nothing?"
RFC = {
    "sha1": "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79",
    "sha256": "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
    "sha512": "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f8f0e6"
    "fdcaeab1a34d4a6b4b636e070a38bce737",
}

Example = tuple[Verification, str, Headers, bytes, int]
EXAMPLES: list[Example] = [
    (STANDARD, KEY, STANDARD_HEADERS, STANDARD_BODY, NOW),
    (GITHUB, "It's a Secret to Everybody", GITHUB_HEADERS, b"Hello, World!", NOW),
    (STRIPE, "webhook_secret", STRIPE_HEADERS, STRIPE_BODY, 1_533_204_620),
    (SLACK, SLACK_SECRET, SLACK_HEADERS, SLACK_BODY, 1_531_420_618),
    (SHOPIFY, "test-webhook-secret", SHOPIFY_HEADERS, SHOPIFY_BODY, NOW),
]
EACH = pytest.mark.parametrize("case", EXAMPLES, ids=lambda case: case[0].preset)
IN_TIME = pytest.mark.parametrize(
    "case", [one for one in EXAMPLES if one[0].preset in TIMED], ids=lambda case: case[0].preset
)


def at(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def refusal(
    how: Verification,
    secret: str,
    headers: Headers | list[tuple[str, str]],
    body: bytes = b"{}",
    now: int = NOW,
) -> str | None:
    """What is wrong with a request; None where it is verified."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    received = Received(headers=tuple((name.lower(), value) for name, value in pairs), body=body)
    try:
        verify(how, [SecretStr(secret)], received, at(now))
    except NotAuthenticated as error:
        return error.message
    return None


def signed_standard(time: str, event: str = "msg_1", body: bytes = b"{}") -> Headers:
    """Headers with a right signature, whatever the time and the id look like."""
    message = f"{event}.{time}.".encode("latin-1") + body
    made = base64.b64encode(hmac.digest(base64.b64decode(KEY[6:]), message, "sha256")).decode()
    return {"webhook-id": event, "webhook-timestamp": time, "webhook-signature": f"v1,{made}"}


def begin(how: Verification) -> int:
    """Where the signature begins in the header of an example."""
    return {"standard-webhooks": 3, "github": 7, "stripe": 16, "slack": 3, "shopify": 0}[how.preset]


def spoilt(text: str, place: int) -> str:
    return text[:place] + ("a" if text[place] != "a" else "b") + text[place + 1 :]
