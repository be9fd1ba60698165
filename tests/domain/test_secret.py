"""A secret's value: what it may be, how it stands in a header, and that it shows itself to nobody."""

from __future__ import annotations

import base64
import json
import traceback
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from domain.errors import BadRequest
from domain.secret import Revealed, SecretType, check, forms, header, keys
from settings import Settings

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(32)).decode()


def revealed(type_: SecretType, value: str) -> Revealed:
    return Revealed(type=type_, value=SecretStr(value))


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("plain", "abc", "abc"),
        ("plain", "Token abc", "Token abc"),
        ("bearer", "abc", "Bearer abc"),
        # Both from RFC 7617, the second in UTF-8.
        ("basic", "Aladdin:open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        ("basic", "test:123£", "Basic dGVzdDoxMjPCow=="),
        ("basic", ":", "Basic Og=="),
    ],
)
def test_a_header_says_a_secret_as_its_type_has_it(type_: SecretType, value: str, expected: str) -> None:
    check(type_, SecretStr(value))

    assert header(revealed(type_, value)).get_secret_value() == expected


@pytest.mark.parametrize("type_", ["plain", "bearer"])
@pytest.mark.parametrize("value", ["a\r\nX: y", "a\n", " a", "a ", "a\tb", "\0", "é", "\x7f", " "])
def test_what_could_not_stand_in_a_header_is_no_value(type_: SecretType, value: str) -> None:
    with pytest.raises(BadRequest, match=r"^value: "):
        check(type_, SecretStr(value))


@pytest.mark.parametrize("value", ["user", "user:pass\nword", "us\0er:p", "user:\x85"])
def test_a_basic_value_is_a_user_and_a_password_without_control_characters(value: str) -> None:
    with pytest.raises(BadRequest, match="user:password"):
        check("basic", SecretStr(value))


@pytest.mark.parametrize(
    ("type_", "value", "expected"),
    [
        ("plain", "abcd", {"abcd"}),
        ("plain", "abc", set()),
        ("plain", "Token abcd", {"Token abcd", "abcd", "Token+abcd"}),
        ("bearer", "abc", {"Bearer abc", "Bearer+abc"}),
        ("bearer", "abcd", {"Bearer abcd", "Bearer+abcd", "abcd"}),
        (
            "basic",
            "Aladdin:open sesame",
            {
                *("Aladdin:open sesame", "Aladdin:open+sesame", "open sesame", "open+sesame"),
                *("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Basic+QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
                *("QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "QWxhZGRpbjpvcGVuIHNlc2FtZQ"),
            },
        ),
        # A key that stands in the user's place.
        ("basic", "abcd:x", {"abcd:x", "abcd", "Basic YWJjZDp4", "Basic+YWJjZDp4", "YWJjZDp4"}),
    ],
)
def test_a_secret_is_known_in_every_form_that_a_server_could_repeat(
    type_: SecretType, value: str, expected: set[str]
) -> None:
    assert {*forms(revealed(type_, value))} == expected


def test_a_revealed_value_shows_itself_nowhere() -> None:
    one = revealed("basic", "canary:canary")

    def fall(value: Revealed) -> None:
        raise ValueError(value, header(value))

    with pytest.raises(ValueError, match="type") as told:
        fall(one)
    shown = [repr(one), str(one), f"{one}", one.model_dump_json(), str(one.model_dump()), repr(header(one))]
    shown += [json.dumps(one.model_dump(mode="json")), str(header(one))]
    shown += traceback.format_exception(told.value)
    for text in shown:
        assert "canary" not in text
        assert base64.b64encode(b"canary:canary").decode() not in text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        (" ", ()),
        (KEY, (bytes(range(32)),)),
        (f"{KEY},{OTHER}", (bytes(range(32)), bytes(32))),
        (f" {KEY} , {OTHER}\n", (bytes(range(32)), bytes(32))),
    ],
)
def test_keys_are_base64_of_32_bytes_with_commas_between_them(text: str, expected: Any) -> None:
    assert keys(text) == expected


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("canary", 1),
        (f"{KEY},", 2),
        (f"{KEY},canary", 2),
        (f"{KEY[:-1]}", 1),
        (base64.b64encode(b"canary" * 5).decode(), 1),
        (f"{KEY},{KEY}é", 2),
        (f"{KEY};{OTHER}", 1),
    ],
)
def test_a_wrong_key_is_told_by_its_place_and_not_shown(
    text: str, place: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOLDFAST_SECRET_KEYS", text)

    with pytest.raises(ValidationError) as told:
        Settings()

    said = str(told.value)
    assert "HOLDFAST_SECRET_KEYS" in said
    assert f"key {place} is not base64 of 32 bytes; `openssl rand -base64 32` makes one" in said
    for part in text.split(","):
        assert not part or part not in said


def test_settings_show_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOLDFAST_SECRET_KEYS", KEY)

    chosen = Settings()

    assert chosen.sealing_keys == (bytes(range(32)),)
    assert KEY not in repr(chosen)
