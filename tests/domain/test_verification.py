"""The requests of events are verified as their senders sign them, and nothing else passes."""

from __future__ import annotations

import base64
import contextlib
import re
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from types import FrameType
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError
from standardwebhooks import Webhook

from domain.errors import BadRequest, NotAuthenticated
from domain.received import Received
from domain.verification import Preset, Verification, check_secret, usual_id, verify
from tests.senders import (
    EACH,
    EVERY,
    EXAMPLES,
    IN_TIME,
    KEY,
    NOW,
    RFC,
    RFC_BODY,
    RFC_KEY,
    SLACK,
    SLACK_BODY,
    SLACK_HEADERS,
    SLACK_SECRET,
    STANDARD,
    STANDARD_BODY,
    STANDARD_HEADERS,
    STRIPE,
    STRIPE_BODY,
    STRIPE_HEADERS,
    Example,
    Headers,
    at,
    begin,
    refusal,
    signed_standard,
    spoilt,
)


@EACH
def test_what_a_sender_publishes_is_verified(case: Example) -> None:
    how, secret, headers, body, now = case

    assert refusal(how, secret, headers, body, now) is None
    check_secret(how, SecretStr(secret))


@pytest.mark.parametrize("algorithm", ["sha1", "sha256", "sha512"])
@pytest.mark.parametrize("prefix", ["", "sig=", "HMAC "])
def test_any_sender_with_a_hmac_of_the_body_is_verified(algorithm: Any, prefix: str) -> None:
    written = {
        "hex": RFC[algorithm],
        "base64": base64.b64encode(bytes.fromhex(RFC[algorithm])).decode(),
    }
    for encoding, signature in written.items():
        how = Verification.model_validate(
            {
                "preset": "hmac",
                "header": "X-Signature",
                "algorithm": algorithm,
                "encoding": encoding,
                "prefix": prefix,
            }
        )
        assert refusal(how, RFC_KEY, {"X-Signature": prefix + signature}, RFC_BODY) is None
        assert refusal(how, RFC_KEY, {"X-Signature": "x" + prefix + signature}, RFC_BODY) is not None
        assert refusal(how, RFC_KEY + "x", {"X-Signature": prefix + signature}, RFC_BODY) is not None


def test_a_signature_in_capital_hex_is_the_same() -> None:
    how = Verification(preset="hmac", header="X-Signature")

    assert refusal(how, RFC_KEY, {"X-Signature": RFC["sha256"].upper()}, RFC_BODY) is None


@EACH
def test_another_body_secret_or_signature_is_refused_with_what_to_do(case: Example) -> None:
    how, secret, headers, body, now = case
    name = [*headers][-1]
    changed = headers | {name: spoilt(headers[name], begin(how) + 10)}
    other = "whsec_" + base64.b64encode(b"another secret of 24 byte").decode()

    for told in (
        refusal(how, secret, headers, body + b" ", now),
        refusal(how, secret, headers, body[:-1], now),
        refusal(how, other, headers, body, now),
        refusal(how, secret, changed, body, now),
    ):
        assert told is not None
        assert f"No signature in `{name.lower()}` fits" in told.replace(name, name.lower())
        assert "set the secret that the sender shows" in told


def test_the_id_and_the_time_are_signed_too() -> None:
    for change in ({"webhook-id": "msg_2"}, {"webhook-timestamp": "1614265331"}):
        told = refusal(STANDARD, KEY, STANDARD_HEADERS | change, STANDARD_BODY)
        assert told is not None
        assert "No signature" in told
    slack = refusal(
        SLACK,
        SLACK_SECRET,
        SLACK_HEADERS | {"X-Slack-Request-Timestamp": "1531420619"},
        SLACK_BODY,
        1_531_420_618,
    )
    assert "No signature" in (slack or "")
    moved = STRIPE_HEADERS["Stripe-Signature"].replace("t=1533204620", "t=1533204621")
    told = refusal(STRIPE, "webhook_secret", {"Stripe-Signature": moved}, STRIPE_BODY, 1_533_204_620)
    assert "No signature" in (told or "")


# Rotation.


@EACH
def test_either_of_two_secrets_verifies_while_one_is_changed(case: Example) -> None:
    how, secret, headers, body, now = case
    received = Received(headers=tuple((name.lower(), value) for name, value in headers.items()), body=body)
    other = SecretStr("whsec_" + base64.b64encode(bytes(24)).decode())

    verify(how, [SecretStr(secret), other], received, at(now))
    verify(how, [other, SecretStr(secret)], received, at(now))
    with pytest.raises(NotAuthenticated, match="No signature"):
        verify(how, [other, other], received, at(now))
    for none in ([], [SecretStr("")]):
        with pytest.raises(NotAuthenticated, match="has no secret"):
            verify(how, none, received, at(now))


@pytest.mark.parametrize(
    "signature",
    [
        "v1,AAAA {good}",
        "{good} v1,AAAA",
        "v1,bm90IHRoZSBzaWduYXR1cmUgb2YgdGhpcyBtZXNzYWc= {good}",
        "v1a,hnO3f9T8Ytu9HwrXslvumlUpqtNVqkhqw/enGzPCXe5BdqzCInXqYXFymVJaA7AZdpXwVLPo3mNl8EM+m7TBAg== {good}",
        "v2,!! {good}",
    ],
)
def test_any_signature_in_the_header_may_be_the_right_one(signature: str) -> None:
    given = signature.format(good=STANDARD_HEADERS["webhook-signature"])

    assert refusal(STANDARD, KEY, STANDARD_HEADERS | {"webhook-signature": given}, STANDARD_BODY) is None


def test_of_several_v1_of_stripe_any_may_be_the_right_one() -> None:
    good = STRIPE_HEADERS["Stripe-Signature"]
    for header in (f"{good},v1={'0' * 64}", f"v1={'0' * 64},{good}", f"v1=x,{good}"):
        told = refusal(STRIPE, "webhook_secret", {"Stripe-Signature": header}, STRIPE_BODY, 1_533_204_620)
        assert told is None


# Time.


@IN_TIME
@pytest.mark.parametrize("side", [-1, 1])
def test_an_event_is_verified_within_the_tolerance_and_not_beyond(case: Example, side: int) -> None:
    how, secret, headers, body, now = case
    wide = how.model_copy(update={"tolerance": 3_600})

    assert refusal(how, secret, headers, body, now + side * 300) is None
    told = refusal(how, secret, headers, body, now + side * 301)
    assert refusal(wide, secret, headers, body, now + side * 3_600) is None

    assert told is not None
    assert f"301 s {'before' if side > 0 else 'after'} this server's, and 300 s are allowed" in told
    assert "clock skew" in told
    assert "sent again" in told


def test_a_fraction_of_a_second_does_not_make_it_late() -> None:
    received = Received(headers=tuple(STANDARD_HEADERS.items()), body=STANDARD_BODY)

    verify(STANDARD, [SecretStr(KEY)], received, at(NOW + 300.999))
    with pytest.raises(NotAuthenticated, match="clock skew"):
        verify(STANDARD, [SecretStr(KEY)], received, at(NOW + 301))


# Nothing is given away, and nothing else is raised.


@EACH
def test_no_refusal_tells_the_secret_or_the_signature(case: Example) -> None:
    how, secret, headers, body, now = case
    made = [headers[name].split("=", 1)[-1].split(",")[-1] for name in headers]
    wrong = dict.fromkeys(headers, "v1=")

    for told in (
        refusal(how, secret, wrong, body, now),
        refusal(how, secret, headers, body + b"x", now),
        refusal(how, secret, {}, body, now),
        refusal(how, secret, headers, body, now + 86_400),
    ):
        assert secret not in (told or "")
        assert secret.removeprefix("whsec_") not in (told or "")
        assert not any(len(part) > 20 and part in (told or "") for part in made)


NAMES = [
    *("webhook-id", "webhook-timestamp", "webhook-signature", "x-hub-signature-256", "stripe-signature"),
    *("x-slack-request-timestamp", "x-slack-signature", "x-shopify-hmac-sha256", "x-signature"),
]
PIECES = st.sampled_from(
    [
        *("v1,", "v1a,", "v0=", "v1=", "t=", "sha256=", "HMAC ", ",", ",,", "=", "==", ".", " ", "  "),
        *("nan", "1e5", "1_0", "-1", "\u00e9", "\u00b2", "\u0663", "\t", "\0", "\n", str(NOW), "9" * 5_000),
        *("A" * 43 + "=", "A" * 86 + "==", "0" * 64, "0" * 128),
    ]
)
VALUES = st.one_of(
    st.lists(PIECES, max_size=8).map("".join),
    st.text(st.characters(max_codepoint=255), max_size=50),
    st.text(),
)
SECRETS = st.one_of(
    st.just(KEY),
    st.text(st.characters(exclude_categories=[]), max_size=20),
    st.sampled_from(["whsec_", "whsec_A", "whsec_" + "A" * 33, "whsec_é", "whsec_" + "=" * 32]),
)


@given(
    how=st.sampled_from(EVERY),
    secrets=st.lists(SECRETS, max_size=3),
    headers=st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=12),
    body=st.binary(max_size=50),
    now=st.datetimes(timezones=st.just(UTC)),
)
@example(STANDARD, [KEY], [*STANDARD_HEADERS.items()], STANDARD_BODY, datetime.min.replace(tzinfo=UTC))
@example(STANDARD, [KEY], [*STANDARD_HEADERS.items()], STANDARD_BODY, datetime.max.replace(tzinfo=UTC))
def test_whatever_comes_is_refused_in_a_sentence_and_no_other_way(
    how: Verification, secrets: list[str], headers: list[tuple[str, str]], body: bytes, now: datetime
) -> None:
    received = Received(headers=tuple(headers), body=body)

    with pytest.raises(NotAuthenticated) as told:
        verify(how, [SecretStr(secret) for secret in secrets], received, now)

    assert told.value.message.endswith((".", ")."))
    assert told.value.message.isprintable()
    assert len(told.value.message) < 400


@given(
    case=st.sampled_from(EXAMPLES),
    place=st.tuples(st.integers(0, 1), st.integers(0, 80), st.integers(0, 80)),
    put=st.one_of(PIECES, st.text(st.characters(max_codepoint=255), max_size=3)),
    secrets=st.lists(SECRETS, max_size=2),
)
@example(EXAMPLES[1], (0, 0, 0), "", ["\ud800"])
def test_what_is_nearly_right_is_refused_unless_the_signature_is_still_in_it(
    case: Example, place: tuple[int, int, int], put: str, secrets: list[str]
) -> None:
    how, secret, headers, body, now = case
    name = [*headers][-1 - place[0] % len(headers)]
    was = headers[name]
    changed = was[: place[1]] + put + was[max(place[1], place[2]) :]
    received = Received(
        headers=tuple((one.lower(), value) for one, value in (headers | {name: changed}).items()), body=body
    )

    told = refusal(how, secret, headers | {name: changed}, body, now)
    with contextlib.suppress(NotAuthenticated):
        verify(how, [SecretStr(one) for one in secrets], received, at(now))
        assert secret in secrets

    signature = re.findall(r"[0-9A-Za-z+/]{43,64}=?", headers[[*headers][-1]])[0]
    if name != [*headers][-1]:
        assert (told is None) == (changed == was)
    elif told is None:
        assert signature.lower() in changed.lower()
    else:
        assert changed != was


# Constant time.


def work(action: Callable[[], None]) -> tuple[Counter[str], Counter[tuple[str, int]]]:
    """What an action does in our code: the calls of C functions by name, and the lines by place."""
    calls: Counter[str] = Counter()
    lines: Counter[tuple[str, int]] = Counter()

    def called(frame: FrameType, event: str, what: Any) -> None:
        if event == "c_call" and "/domain/" in frame.f_code.co_filename:
            calls[what.__name__] += 1

    def passed(frame: FrameType, event: str, _what: Any) -> Any:
        if "/domain/" not in frame.f_code.co_filename:
            return None
        if event == "line":
            lines[frame.f_code.co_filename, frame.f_lineno] += 1
        return passed

    before, beside = sys.getprofile(), sys.gettrace()
    sys.setprofile(called)
    sys.settrace(passed)
    try:
        with contextlib.suppress(NotAuthenticated):
            action()
    finally:
        sys.settrace(beside)
        sys.setprofile(before)
    return calls, lines


@EACH
def test_a_wrong_signature_costs_the_same_work_whichever_of_its_characters_is_wrong(case: Example) -> None:
    how, secret, headers, body, now = case
    name = [*headers][-1]
    secrets = [SecretStr(secret), SecretStr("whsec_" + base64.b64encode(bytes(24)).decode())]

    def wrong_at(place: int) -> tuple[Counter[str], Counter[tuple[str, int]]]:
        changed = headers | {name: spoilt(headers[name], place)}
        received = Received(headers=tuple((key.lower(), value) for key, value in changed.items()), body=body)
        return work(lambda: verify(how, secrets, received, at(now)))

    first = wrong_at(begin(how))
    assert first[0]["compare_digest"] == len(secrets)
    assert sum(first[1].values()) > 20
    for place in range(begin(how) + 1, begin(how) + 43):
        assert wrong_at(place) == first


def test_every_signature_is_compared_with_every_secret_whichever_of_them_fits() -> None:
    good = STANDARD_HEADERS["webhook-signature"]
    bad = "v1," + "A" * 43 + "="
    other = "whsec_" + base64.b64encode(bytes(24)).decode()

    def compared(signature: str, *secrets: str) -> int:
        headers = STANDARD_HEADERS | {"webhook-signature": signature}
        received = Received(headers=tuple(headers.items()), body=STANDARD_BODY)
        return work(lambda: verify(STANDARD, [SecretStr(one) for one in secrets], received, at(NOW)))[0][
            "compare_digest"
        ]

    assert {
        compared(f"{good} {bad} {bad}", KEY, other),
        compared(f"{bad} {good} {bad}", other, KEY),
        compared(f"{bad} {bad} {bad}", other, KEY),
    } == {6}


# The judge from outside.


@given(
    body=st.text(max_size=100),
    event=st.from_regex(r"[A-Za-z0-9_-]{1,40}", fullmatch=True),
    key=st.binary(min_size=24, max_size=64),
)
def test_what_the_library_of_standard_webhooks_signs_is_verified(body: str, event: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    now = at(NOW)
    headers = {
        "webhook-id": event,
        "webhook-timestamp": str(NOW),
        "webhook-signature": Webhook(secret).sign(event, now, body),
    }

    assert refusal(STANDARD, secret, headers, body.encode()) is None
    assert refusal(STANDARD, secret, headers, body.encode() + b"x") is not None
    check_secret(STANDARD, SecretStr(secret))


def test_the_library_and_we_accept_and_refuse_alike_but_for_what_it_trips_over() -> None:
    now = int(datetime.now(UTC).timestamp())
    good = signed_standard(str(now))
    judge = Webhook(KEY)

    for late, fits in ((0, True), (290, True), (-290, True), (320, False), (-320, False)):
        headers = signed_standard(str(now - late))
        with contextlib.nullcontext() if fits else pytest.raises(Exception, match=r"too (old|new)"):
            judge.verify(b"{}", headers)
        assert (refusal(STANDARD, KEY, headers, now=now) is None) == fits
    tripped = {
        "v1": "ValueError",
        "v1,A": "Error",
        "v1,é": "ValueError",
        f"v1,AAAA  {good['webhook-signature']}": "ValueError",
    }
    for signature, kind in tripped.items():
        headers = good | {"webhook-signature": signature}
        with pytest.raises(ValueError) as raised:  # noqa: PT011 - it has no words of its own for these
            judge.verify(b"{}", headers)
        assert type(raised.value).__name__ == kind
        assert "garbled" in (refusal(STANDARD, KEY, headers, now=now) or "")


# Set up.


@pytest.mark.parametrize(
    "given",
    [
        {"preset": "hmac"},
        {"preset": "hmac", "header": ""},
        {"preset": "hmac", "header": "X Signature"},
        {"preset": "hmac", "header": "X-Signature\n"},
        {"preset": "hmac", "header": "é"},
        {"preset": "hmac", "header": "x" * 129},
        {"preset": "hmac", "header": "x", "algorithm": "md5"},
        {"preset": "hmac", "header": "x", "encoding": "base32"},
        {"preset": "hmac", "header": "x", "prefix": " x"},
        {"preset": "hmac", "header": "x", "prefix": "x\n"},
        {"preset": "hmac", "header": "x", "prefix": "é"},
        {"preset": "hmac", "header": "x", "prefix": "x" * 65},
        {"preset": "hmac", "header": "x", "tolerance": 60},
        {"preset": "github", "header": "x"},
        {"preset": "github", "algorithm": "sha1"},
        {"preset": "shopify", "encoding": "base64"},
        {"preset": "slack", "prefix": "v0="},
        {"preset": "github", "tolerance": 60},
        {"preset": "shopify", "tolerance": 60},
        {"preset": "slack", "tolerance": 0},
        {"preset": "slack", "tolerance": -1},
        {"preset": "slack", "tolerance": 86_401},
        {"preset": "slack", "tolerance": "60"},
        {"preset": "slack", "tolerance": True},
        {"preset": "svix"},
        {"preset": None},
        {},
        {"preset": "github", "secret": "x"},
    ],
)
def test_a_verification_that_cannot_be_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Verification.model_validate(given)


@pytest.mark.parametrize("how", EVERY, ids=lambda how: f"{how.preset} {how.encoding}")
def test_a_verification_is_stored_and_read_back(how: Verification) -> None:
    assert Verification.model_validate(how.model_dump(mode="json")) == how
    assert Verification.model_validate_json(how.model_dump_json()) == how


@pytest.mark.parametrize("size", [24, 25, 32, 64])
def test_a_secret_of_standard_webhooks_is_whsec_and_base64_of_24_to_64_bytes(size: int) -> None:
    whole = "whsec_" + base64.b64encode(bytes(size)).decode()

    check_secret(STANDARD, SecretStr(whole))
    check_secret(STANDARD, SecretStr(whole.rstrip("=")))


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "whsec_",
        KEY.removeprefix("whsec_"),
        f"v1,{KEY}",
        f"{KEY} ",
        f" {KEY}",
        f"{KEY}\n",
        KEY[:-1],
        KEY[:-4],
        KEY[:-2] + "é=",
        KEY[:-1] + "-",
        KEY.replace("whsec_", "whpk_"),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
        "whsec_" + "A" * 33,
        "whsec_" + "A" * 32 + "===",
        "whsec_" + "A" * 100_000,
        "whsec_\ud800",
    ],
)
def test_another_secret_is_refused_for_standard_webhooks_and_not_shown(secret: str) -> None:
    with pytest.raises(BadRequest, match="base64 of 24 to 64 bytes") as told:
        check_secret(STANDARD, SecretStr(secret))

    assert KEY[10:] not in told.value.message


@pytest.mark.parametrize(
    "secret", ["", "short", " padded secret", "a secret\n", "x" * 1_025, "a\0secret", "\ud800" * 9]
)
@pytest.mark.parametrize("how", EVERY[1:], ids=lambda how: how.preset)
def test_other_secrets_are_8_to_1024_printable_characters(how: Verification, secret: str) -> None:
    with pytest.raises(BadRequest, match="8 to 1024 printable characters") as told:
        check_secret(how, SecretStr(secret))

    assert not secret or secret not in told.value.message
    check_secret(how, SecretStr("geheim, sehr geheim: ü"))


def test_a_request_shows_itself_nowhere() -> None:
    shown = repr(Received(headers=(("x-canary", "canary"),), body=b"canary"))

    assert "canary" not in shown


# Which event it is.


@pytest.mark.parametrize(
    ("preset", "headers", "body", "event"),
    [
        ("standard-webhooks", STANDARD_HEADERS, STANDARD_BODY, "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("github", {"X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958"}, b"{}", None),
        ("stripe", STRIPE_HEADERS, STRIPE_BODY, "evt_123"),
        ("slack", SLACK_HEADERS, b'{"type":"event_callback","event_id":"Ev08MFMKH6"}', "Ev08MFMKH6"),
        ("slack", SLACK_HEADERS, SLACK_BODY, ""),
        ("shopify", {"X-Shopify-Webhook-Id": "b54557e4-bdd9-4b37-8a5f-bf7d70bcd043"}, b"{}", None),
    ],
)
def test_each_sender_says_which_event_it_is(
    preset: Preset, headers: Headers, body: bytes, event: str | None
) -> None:
    """`event` None: it is the one header; empty: this request names no event."""
    where = usual_id(preset)
    received = Received(headers=tuple((name.lower(), value) for name, value in headers.items()), body=body)

    assert where is not None
    assert where.find(received) == (next(iter(headers.values())) if event is None else event or None)


def test_a_hmac_of_the_body_names_no_event() -> None:
    assert usual_id("hmac") is None
