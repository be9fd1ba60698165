"""Signatures are read strictly: a header in a bad form is refused with what is wrong, whatever it is."""

from __future__ import annotations

import hmac

import pytest

from domain.verification import Verification
from tests.senders import (
    EACH,
    GITHUB,
    KEY,
    NOW,
    SHOPIFY,
    SLACK,
    STANDARD,
    STANDARD_BODY,
    STANDARD_HEADERS,
    STRIPE,
    STRIPE_BODY,
    Example,
    refusal,
    signed_standard,
)

TIMES = [
    *("nan", "NaN", "inf", "-inf", "1e9", "1614265330.0", "1_614_265_330", "+1614265330", "-1614265330"),
    *(
        " 1614265330",
        "1614265330 ",
        "1614265330\n",
        "0x6037bab2",
        "\u0661\u0662\u0663",
        "1614265330\u00b2",
        "",
        "now",
    ),
    *("9" * 13, "9" * 400, "9" * 5_000, "1614265330,1614265330", "1614265330\0"),
]


@pytest.mark.parametrize("time", TIMES)
def test_a_time_that_is_no_number_of_seconds_is_refused_however_well_signed(time: str) -> None:
    stamp = hmac.digest(b"webhook_secret", f"{time}.{{}}".encode(), "sha256").hex()
    slack = hmac.digest(b"webhook_secret", f"v0:{time}:{{}}".encode(), "sha256").hex()
    latin = time.encode().decode("latin-1")

    for told in (
        refusal(STANDARD, KEY, signed_standard(latin)),
        refusal(STRIPE, "webhook_secret", {"Stripe-Signature": f"t={latin},v1={stamp}"}),
        refusal(
            SLACK, "webhook_secret", {"X-Slack-Request-Timestamp": latin, "X-Slack-Signature": f"v0={slack}"}
        ),
    ):
        assert told is not None
        assert "is garbled" in told


def test_a_time_far_off_is_a_time() -> None:
    for time in ("0", "1", "999999999999", "000000000001"):
        told = refusal(STANDARD, KEY, signed_standard(time))
        assert told is not None
        assert "clock skew" in told


# Hostile headers.

SIGNATURES = {
    "": "is garbled",
    " ": "is garbled",
    "v1": "is garbled",
    "v1,": "is garbled",
    ",": "is garbled",
    "g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "is garbled",
    "v1;g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "is garbled",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE": "is garbled",
    "v1,g0hM9SsE-OTPJTGt_tmIKtSyZlE3uFJELVlNIOLJ1OE=": "is garbled",
    "v1,%%%": "is garbled",
    "v1,A": "is garbled",
    "v1,A===": "is garbled",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=,x": "is garbled",
    "v1,838848f52b04f8e4cf2531adfed9882ad4b2665137b852442d594d20e2c9d4e1": "is garbled",
    "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "no `v1` signature",
    "V1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "no `v1` signature",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=  v1,AAAA": "is garbled",
    " v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "is garbled",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE= ": "is garbled",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\tv1,AAAA": "is garbled",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=\0": "is garbled",
    "v1,é0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=": "is garbled",
    "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OF=": "No signature",
    "v1," + "A" * 43 + "=": "No signature",
    " ".join(["v1," + "A" * 43 + "="] * 1_000): "is garbled",
    "v1," + "A" * 1_000_000: "is garbled",
}


@pytest.mark.parametrize(("signature", "said"), SIGNATURES.items(), ids=lambda text: text[:60])
def test_a_bad_form_of_signature_is_refused_with_what_is_wrong(signature: str, said: str) -> None:
    told = refusal(STANDARD, KEY, STANDARD_HEADERS | {"webhook-signature": signature}, STANDARD_BODY)

    assert told is not None
    assert said in told
    assert "`webhook-signature`" in told


@pytest.mark.parametrize("event", ["", "msg.1", ".", "a" * 256, "msg\0", "msg\n1", "mség", "a" * 100_000])
def test_a_bad_id_is_refused_however_well_signed(event: str) -> None:
    told = refusal(STANDARD, KEY, signed_standard(str(NOW), event))

    assert told is not None
    assert "The header `webhook-id` is garbled" in told


def test_one_signature_fits_no_other_split_into_id_time_and_body() -> None:
    body = f"{NOW}.cancel".encode()
    headers = signed_standard("7", "msg_1", body)

    told = refusal(
        STANDARD, KEY, headers | {"webhook-id": "msg_1.7", "webhook-timestamp": str(NOW)}, b"cancel"
    )

    assert told is not None
    assert "full stop" in told


@pytest.mark.parametrize(
    "given",
    [
        *("", "t=", "t", "=", ",", "t=1533204620", "v1=" + "0" * 64, "t=1533204620,v1", "t=1533204620,v1="),
        *("t=1533204620,v0=" + "0" * 64, "t=1533204620, v1=" + "0" * 64, "t=1533204620;v1=" + "0" * 64),
        *("t=1533204620,v1=" + "0" * 63, "t=1533204620,v1=" + "g" * 64, "t=1533204620,,v1=" + "0" * 64),
        *("t=1533204620,t=1533204620,v1=" + "0" * 64, "t=nan,v1=" + "0" * 64, "t=1,v1=é" + "0" * 63),
        "t=1533204620,v1=" + "0" * 5_000,
    ],
)
def test_a_garbled_header_of_stripe_is_refused(given: str) -> None:
    told = refusal(STRIPE, "webhook_secret", {"Stripe-Signature": given}, STRIPE_BODY, 1_533_204_620)

    assert told is not None
    assert "`stripe-signature` is garbled" in told


@pytest.mark.parametrize(
    ("how", "name", "given"),
    [
        *((GITHUB, "X-Hub-Signature-256", given) for given in ("", "sha256=", "sha1=" + "0" * 40, "0" * 64)),
        *((GITHUB, "X-Hub-Signature-256", given) for given in ("sha256=" + "0" * 63, "SHA256=" + "0" * 64)),
        *((GITHUB, "X-Hub-Signature-256", given) for given in ("sha256= " + "0" * 63, "sha256=" + "é" * 64)),
        *((SHOPIFY, "X-Shopify-Hmac-Sha256", given) for given in ("", "=", "A" * 44, "A" * 42 + "==")),
        *(
            (SHOPIFY, "X-Shopify-Hmac-Sha256", given)
            for given in ("0" * 64, "A" * 43 + "=\n", "-" * 43 + "=")
        ),
    ],
)
def test_a_garbled_signature_of_the_body_is_refused(how: Verification, name: str, given: str) -> None:
    told = refusal(how, "It's a Secret to Everybody", {name: given}, b"Hello, World!")

    assert told is not None
    assert f"`{name}` is garbled" in told


@EACH
def test_a_header_that_is_missing_or_was_sent_twice_is_named(case: Example) -> None:
    how, secret, headers, body, now = case
    for name in headers:
        missing = [pair for pair in headers.items() if pair[0] != name]
        twice = [*headers.items(), (name, headers[name])]
        for pairs, said in ((missing, "is missing"), (twice, "came more than once")):
            told = refusal(how, secret, pairs, body, now)
            assert told is not None
            assert f"`{name.lower()}` {said}" in told.replace(name, name.lower())
            assert "have the sender sign" in told


def test_the_sha1_signature_that_github_sends_beside_is_no_proof() -> None:
    made = hmac.digest(b"It's a Secret to Everybody", b"Hello, World!", "sha1").hex()

    told = refusal(
        GITHUB, "It's a Secret to Everybody", {"X-Hub-Signature": f"sha1={made}"}, b"Hello, World!"
    )

    assert told is not None
    assert "`X-Hub-Signature-256` is missing" in told


def test_a_body_that_is_no_text_is_verified_as_it_came() -> None:
    for body in (b"", b"\xff\x00\xfe", bytes(1_048_576), b"\xef\xbb\xbf{}", b"\r\n"):
        made = hmac.digest(b"It's a Secret to Everybody", body, "sha256").hex()
        headers = {"X-Hub-Signature-256": f"sha256={made}"}
        assert refusal(GITHUB, "It's a Secret to Everybody", headers, body) is None
        assert refusal(STANDARD, KEY, signed_standard(str(NOW), body=body), body) is None
