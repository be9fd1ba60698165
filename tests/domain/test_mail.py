"""E-mails: whom they may go to, and what may stand in their headers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr, ValidationError

from domain.attempt import posted
from domain.errors import BadRequest
from domain.mail import (
    Posted,
    Refusal,
    Sender,
    Server,
    as_subject,
    check_subject,
    is_address,
    read_recipients,
    read_sender,
)
from settings import Settings


@pytest.mark.parametrize(
    "address",
    [
        "ada@example.com",
        "ada.lovelace+tag@mail.example.co.uk",
        "!#$%&'*+/=?^_`{|}~-@x.example",
        "root@localhost",
        "a@xn--bcher-kva.example",
        "a" * 64 + "@example.com",
    ],
)
def test_an_address_that_every_server_takes_is_taken(address: str) -> None:
    assert read_recipients([address]) == (address,)


@pytest.mark.parametrize(
    "address",
    [
        *("", "ada", "@example.com", "ada@", "ada@@example.com", "a@b@example.com", "ada@example..com"),
        *(".ada@example.com", "ada.@example.com", "a..b@example.com", "ada@-example.com", "ada@example-.com"),
        *(
            "ada@example.com\r\nBcc: b@example.com",
            "ada@example.com\n",
            "\nada@example.com",
            "a\0@example.com",
        ),
        *(
            "ada@exam\0ple.com",
            "a da@example.com",
            "ada@example.com ",
            "a\u2028@example.com",
            "\x7f@x.example",
        ),
        *(
            "Ada <ada@example.com>",
            "<ada@example.com>",
            '"a b"@example.com',
            "ada@[127.0.0.1]",
            "a,b@x.example",
        ),
        *(
            "ädä@example.com",
            "ada@bücher.example",
            "ada@example.com> SIZE=1",
            "ada;b@example.com",
            "a@x.example.",
        ),
        "a" * 65 + "@example.com",
        "a@" + ".".join(["b" * 63] * 4),
        "a@" + "b" * 64 + ".example",
    ],
)
def test_what_is_no_such_address_is_refused_by_its_place_and_not_repeated(address: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read_recipients(["ada@example.com", address])

    assert caught.value.message.startswith("email.to: address 2 ")
    assert len(address) < 2 or address not in caught.value.message.replace("`name@example.com`", "")


@given(st.text(min_size=1), st.sampled_from(["{}@example.com", "ada@{}", "{}"]))
def test_no_address_has_a_line_end_a_space_or_a_bracket(text: str, form: str) -> None:
    address = form.format(text)

    if is_address(address):
        assert address.isascii()
        assert address.isprintable()
        assert not {*' <>",;:\\()[]'} & {*address}


def test_a_letter_has_one_to_twenty_recipients_each_once() -> None:
    many = [f"a{n}@example.com" for n in range(21)]

    assert len(read_recipients(many[:20])) == 20
    assert read_recipients([many[1], many[0], many[1]]) == (many[1], many[0])
    for given_ in ([], many):
        with pytest.raises(BadRequest):
            read_recipients(given_)


@pytest.mark.parametrize("subject", ["Nightly summary", "Grüße 👩‍💻 & 今日", "a" * 200, "مرحبا"])
def test_a_subject_may_say_anything_on_one_line(subject: str) -> None:
    check_subject(subject)
    assert as_subject(subject) == subject


@pytest.mark.parametrize(
    "subject",
    ["", "  ", "a" * 201, "a\r\nBcc: b", "a\nb", "a\rb", "a\0b", "a\x1bb", "a\u2028b", "a\x85", "\ud800"],
)
def test_a_subject_that_would_break_a_header_is_refused(subject: str) -> None:
    with pytest.raises(BadRequest) as caught:
        check_subject(subject)

    assert caught.value.message.startswith("email.subject: ")


@given(st.text(alphabet=st.characters(exclude_categories=[])))
def test_any_name_becomes_a_subject(text: str) -> None:
    made = as_subject(text)

    if made:
        check_subject(made)
    assert len(as_subject("long " * 100)) == 200


@pytest.mark.parametrize(
    ("refused", "code"),
    [((), None), ((450,), "SMTP_450"), ((450, 550, 552), "SMTP_550"), ((530,), "SMTP_530")],
)
def test_of_a_letter_that_some_took_the_code_is_of_who_was_refused_for_good(
    refused: tuple[int, ...], code: str | None
) -> None:
    told = tuple(Refusal(address=f"a{n}@example.com", status=n, text="no") for n in refused)

    came = posted(Posted(outcome="delivered", code="SMTP_250", refused=told))

    assert (came.taken, came.code) == (True, code)
    assert came.owed == tuple(one.address for one in told if one.status in (450, 530))


def test_a_server_of_the_settings_needs_a_sender_and_shows_no_password() -> None:
    named = {"HOLDFAST_SMTP_HOST": "mail.example.com", "HOLDFAST_SMTP_PASSWORD": "canary"}

    made = Settings(**named | {"HOLDFAST_SMTP_FROM": "Holdfast <h@example.com>"})  # type: ignore[arg-type]

    assert Settings().smtp is None
    assert made.smtp == Server(
        host="mail.example.com",
        port=587,
        encryption="starttls",
        username="",
        password=SecretStr("canary"),
        sender=Sender(name="Holdfast", address="h@example.com"),
    )
    assert "canary" not in repr(made) + repr(made.smtp)
    for wrong in (
        named,
        named | {"HOLDFAST_SMTP_FROM": "nobody"},
        {"HOLDFAST_SMTP_FROM": "nobody"},
        {"HOLDFAST_SMTP_HOST": "mail example"},
        {"HOLDFAST_SMTP_TLS": "maybe"},
        {"HOLDFAST_SMTP_PORT": "0"},
    ):
        with pytest.raises(ValidationError) as told:
            Settings(**wrong)  # type: ignore[arg-type]
        assert "HOLDFAST_SMTP_" in str(told.value)
        assert "canary" not in str(told.value)


def test_a_sender_is_an_address_with_or_without_a_name() -> None:
    assert read_sender("holdfast@example.com") == Sender(name="", address="holdfast@example.com")
    assert read_sender(' "Holdfast, Inc." <h@example.com> ') == Sender(
        name="Holdfast, Inc.", address="h@example.com"
    )
    assert read_sender("Grüße <h@example.com>").domain == "example.com"
    for text in (
        "",
        "Holdfast",
        "<>",
        "a <b> <c@example.com>",
        "Hold\r\nfast <h@example.com>",
        "h@@example.com",
    ):
        with pytest.raises(ValueError, match="it is an address"):
            read_sender(text)
