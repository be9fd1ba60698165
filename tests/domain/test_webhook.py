"""Webhooks: where they may go, what they may carry, and how they are signed."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta

import pytest
import standardwebhooks
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from domain.errors import BadRequest
from domain.outgoing import Outgoing
from domain.webhook import Webhook, check_url, key_of, make_secret, read_headers, signed

PUBLISHED = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
"""Of the test vectors of Standard Webhooks' own libraries."""


def judged(secret: SecretStr, headers: tuple[tuple[str, str], ...], body: bytes) -> None:
    """Raises what the outside judge raises."""
    standardwebhooks.Webhook(secret.get_secret_value()).verify(body, dict(headers), json_parse=False)


def test_the_published_vector_of_standard_webhooks_is_what_we_sign() -> None:
    at = datetime.fromtimestamp(1614265330, UTC)

    headers = signed([PUBLISHED], "msg_p5jXN8AQM9LWM0D4loKWxJek", at, b'{"test": 2432232314}')

    assert headers == (
        ("Webhook-Id", "msg_p5jXN8AQM9LWM0D4loKWxJek"),
        ("Webhook-Timestamp", "1614265330"),
        ("Webhook-Signature", "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="),
    )


@given(st.text(alphabet=st.characters(codec="utf-8")), st.uuids())
def test_whatever_is_signed_verifies_at_the_outside_judge(text: str, unique: object) -> None:
    secret, body = make_secret(), text.encode()

    judged(secret, signed([secret], f"dlv_{unique}", datetime.now(UTC), body), body)


def test_while_a_secret_takes_over_from_another_both_verify_and_a_third_does_not() -> None:
    old, new, other = make_secret(), make_secret(), make_secret()

    headers = signed([new, old], "dlv_1", datetime.now(UTC), b"{}")

    judged(old, headers, b"{}")
    judged(new, headers, b"{}")
    assert dict(headers)["Webhook-Signature"].count("v1,") == 2
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        judged(other, headers, b"{}")
    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        judged(new, headers, b"{ }")


def test_the_time_signed_is_that_of_the_attempt() -> None:
    secret = make_secret()

    with pytest.raises(standardwebhooks.webhooks.WebhookVerificationError):
        judged(secret, signed([secret], "dlv_1", datetime.now(UTC) - timedelta(minutes=6), b"{}"), b"{}")


def test_a_secret_is_32_random_bytes_and_none_is_made_twice() -> None:
    made = [make_secret() for _ in range(100)]

    assert all(secret.get_secret_value().startswith("whsec_") for secret in made)
    assert {len(key_of(secret)) for secret in made} == {32}
    assert len({secret.get_secret_value() for secret in made}) == 100
    assert "whsec_" not in repr(made[0])


@pytest.mark.parametrize(
    "text", ["", "whsec_", "whsec_short", "whsec_" + "ü" * 40, "whsec_" + "!" * 44, "whsec_" + "QUJD" * 22]
)
def test_what_is_no_secret_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(BadRequest) as caught:
        key_of(SecretStr(text))

    assert text.removeprefix("whsec_") == "" or text not in caught.value.message


def test_a_secret_is_read_with_and_without_its_prefix_and_padding() -> None:
    text = base64.b64encode(b"k" * 32).decode()

    for spelling in (text, f"whsec_{text}", text.rstrip("="), f"whsec_{text.rstrip('=')}"):
        assert key_of(SecretStr(spelling)) == b"k" * 32


def test_an_attempt_is_a_post_of_the_stored_bytes_with_the_users_headers_and_ours() -> None:
    webhook = Webhook(
        delivery_id="dlv_1",
        url="https://example.com/in",
        headers=(("Authorization", "Bearer x"),),
        secrets=(PUBLISHED,),
        body=b'{"a": 1}',
    )

    request = webhook.attempt(datetime.fromtimestamp(1_700_000_000.9, UTC))

    assert request == Outgoing(
        method="POST",
        url="https://example.com/in",
        headers=(
            ("Authorization", "Bearer x"),
            ("Content-Type", "application/json"),
            *signed([PUBLISHED], "dlv_1", datetime.fromtimestamp(1_700_000_000, UTC), b'{"a": 1}'),
        ),
        body=b'{"a": 1}',
        secrets=("Bearer x",),
    )
    assert "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" not in repr(webhook)


def test_headers_of_users_are_kept_as_they_are_without_spaces_around_them() -> None:
    assert read_headers({"Authorization": " Bearer x\t", "X-Tenant": "", "User-Agent": "mine"}) == (
        ("Authorization", "Bearer x"),
        ("X-Tenant", ""),
        ("User-Agent", "mine"),
    )
    assert read_headers({}) == ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *((name, "x") for name in ("", " ", "a b", "a:", "a\r\n", "X-\0", "ü", "x\u2028")),
        *((name, "x") for name in ("Host", "CONTENT-LENGTH", "transfer-encoding", "Connection", "TE")),
        *((name, "x") for name in ("Keep-Alive", "Upgrade", "Trailer", "Proxy-Authorization", "Expect")),
        *((name, "x") for name in ("webhook-id", "Webhook-Signature", "webhook-other", "Accept-Encoding")),
        *((name, "x") for name in ("content-type", "Content-Encoding", "Content-Language")),
        *(("x", value) for value in ("a\r\nb: c", "a\nb", "a\rb", "a\0b", "\x7f", "ü", "a\u2028b", "\x1b")),
        ("x", "a" * 8_001),
    ],
)
def test_a_header_that_cannot_be_sent_or_is_not_the_users_is_refused(name: str, value: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_headers({name: value})

    assert caught.value.message.startswith("webhook.headers: ")
    assert value == "x" or value not in caught.value.message


def test_headers_are_bounded_in_number_and_length_and_each_is_there_once() -> None:
    read_headers({f"x-{n}": "a" for n in range(20)})
    for given_ in (
        {f"x-{n}": "a" for n in range(21)},
        {"x-1": "a" * 7_000, "x-2": "a" * 7_000},
        {"X-One": "a", "x-one": "b"},
    ):
        with pytest.raises(BadRequest):
            read_headers(given_)


@pytest.mark.parametrize(
    "url",
    [
        "https://example.com",
        "http://example.com:8080/a/b%20c?q=1&q=[2]&x=%26",
        "HTTPS://Example.COM/?",
        "https://xn--bcher-kva.example/",
        "https://1.1.1.1/",
        "https://[2606:4700::1111]:8443/x",
        "http://127.0.0.1:9000/",
        "http://[::1]:9000/",
        "http://localhost:9000/",
        "https://example.com/" + "a" * 2_028,
    ],
)
def test_a_url_that_may_be_called_is_taken(url: str) -> None:
    check_url(url)


@pytest.mark.parametrize(
    "url",
    [
        *("", "example.com", "/path", "//example.com/", "https://", "https:///x", "https:example.com"),
        *("ftp://example.com/", "file:///etc/passwd", "gopher://1.1.1.1/", "javascript:alert(1)"),
        *("https://user@example.com/", "https://u:p@example.com/", "https://example.com/#x"),
        *("https://example.com/a b", "https://example.com/ü", "https://bücher.example/", "https://①.②/"),
        *("https://example.com/%", "https://example.com/%2", "https://example.com/\\x", "https://a\\b/"),
        *("https://example.com/\r\nX: y", "https://example.com\0/", "https://exa\tmple.com/", "\nhttps://a/"),
        *("https://example.com/\n", "https://example.com:99999/", "https://example.com:22/", "https://a:0/"),
        *("https://example.com:x/", "https://[::1/", "https://[fe80::1%25lo]/", "https://[v1.x]/"),
        *("http://127.1/", "http://0x7f000001/", "http://0x7f.1/", "http://2130706433/", "http://0/"),
        *("http://0177.0.0.1/", "http://127.0.0.1./", "http://1.2.3.4.5/", "http://x.0x/"),
        *("http://[::]/", "http://[::ffff:127.0.0.1]/", "http://[64:ff9b::a9fe:a9fe]/", "http://[fec0::1]/"),
        *(
            "http://169.254.169.254/latest/",
            "http://10.0.0.1/",
            "http://192.168.0.1:8080/",
            "http://224.0.0.1/",
        ),
        "https://example.com/" + "a" * 2_029,
    ],
)
def test_a_url_that_is_never_called_is_refused(url: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_url(url)

    assert caught.value.message.startswith("webhook.url: ")
