"""A session's token: signed by this server, and by no other way than its own."""

from __future__ import annotations

import base64
import hmac
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.session import Session, Tokens, is_token

SECRET = b"0123456789abcdef0123456789abcdef"
SESSION = Session(
    id="sess_1", account_id="acct_1", conversation_id="conv_1", expires_at=datetime(2030, 1, 2, tzinfo=UTC)
)
TOKENS = Tokens(SECRET)


def part(value: Any) -> str:
    """A part of a JWT."""
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def parsed(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


def test_a_token_is_a_jwt_that_names_its_session_conversation_account_and_end() -> None:
    header, claims, _ = TOKENS.sign(SESSION).split(".")

    assert parsed(header) == {"alg": "HS256", "typ": "JWT"}
    assert parsed(claims) == {
        "sub": "sess_1",
        "accountId": "acct_1",
        "conversationId": "conv_1",
        "exp": 1_893_542_400,
    }


def test_a_token_is_signed_as_rfc_7515_says_under_a_key_made_of_the_secret() -> None:
    signed, _, mark = TOKENS.sign(SESSION).rpartition(".")
    key = hmac.digest(SECRET, b"session token", "sha256")

    assert mark == part(hmac.digest(key, signed.encode(), "sha256"))


def test_what_was_signed_is_read_again_expired_or_not() -> None:
    over = SESSION.model_copy(update={"expires_at": datetime(2020, 1, 2, tzinfo=UTC)})

    assert TOKENS.read(TOKENS.sign(SESSION)) == SESSION
    assert TOKENS.read(TOKENS.sign(over)) == over


def test_the_same_session_has_the_same_token() -> None:
    assert TOKENS.sign(SESSION) == Tokens(SECRET).sign(SESSION.model_copy())


@pytest.mark.parametrize("algorithm", ["none", "None", "HS384", "RS256", "hs256"])
def test_the_token_does_not_choose_its_algorithm(algorithm: str) -> None:
    """Not even one whose signature would be right under our key."""
    claims = TOKENS.sign(SESSION).split(".")[1]
    signed = f"{part({'alg': algorithm, 'typ': 'JWT'})}.{claims}"
    ours = hmac.digest(hmac.digest(SECRET, b"session token", "sha256"), signed.encode(), "sha256")

    assert TOKENS.read(f"{signed}.") is None
    assert TOKENS.read(f"{signed}.{part(ours)}") is None


def test_a_token_of_another_secret_or_of_the_secret_itself_is_not_ours() -> None:
    signed = TOKENS.sign(SESSION).rpartition(".")[0]

    assert Tokens(b"another" * 8).read(TOKENS.sign(SESSION)) is None
    assert TOKENS.read(f"{signed}.{part(hmac.digest(SECRET, signed.encode(), 'sha256'))}") is None


def test_a_token_with_any_character_changed_cut_or_added_is_not_ours() -> None:
    token = TOKENS.sign(SESSION)
    spoiled = [token[:place] + chr(ord(token[place]) ^ 1) + token[place + 1 :] for place in range(len(token))]
    spoiled += [token[:place] for place in range(len(token))]
    spoiled += [token + end for end in ("=", ".", "A", " ", "\n", "é", "\ud800", "\0")]

    assert [text for text in spoiled if TOKENS.read(text) is not None] == []


@pytest.mark.parametrize("text", ["", ".", "..", "...", "a.b.c", "é.é.é", "\ud800..", "a" * 10_000 + ".."])
def test_any_other_text_is_not_ours(text: str) -> None:
    assert TOKENS.read(text) is None


def test_a_session_is_expired_from_its_end_on() -> None:
    ended = SESSION.model_copy(update={"expires_at": datetime.now(UTC)})
    going_on = SESSION.model_copy(update={"expires_at": datetime.now(UTC) + timedelta(minutes=1)})

    assert (ended.expired, going_on.expired) == (True, False)


def test_a_token_is_told_from_a_key_by_its_dots() -> None:
    assert is_token(TOKENS.sign(SESSION))
    assert not is_token("sk-" + "a" * 43)
