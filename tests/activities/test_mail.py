"""An attempt of an e-mail: what the server got, and what is said of it, above all where that is not known."""

from __future__ import annotations

import asyncio
import hashlib
import socket
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, get_args

import pytest
from aiohttp import ClientSession, web
from pydantic import SecretStr, ValidationError

from activities.mail import DEFAULT, Bounds, Mail
from domain.mail import Encryption, Letter, Posted, Refusal, Sender, Server
from tests.certificate import certificate
from tests.house import eventually
from tests.mailbox import Fault, Mailbox
from tests.mailbox_server import app

HASTY = Bounds(connect=1, command=1, answer=1, total=4, quit=0.5)
TEXT = "# Summary\n\n.\n..dots\n.\r\nGrüße & *more*\n"


@pytest.fixture
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as server:
        yield server


def letter(*to: str, **fields: Any) -> Letter:
    defaults: dict[str, Any] = {
        "delivery_id": "dlv_1",
        "to": to or ("ada@example.com",),
        "subject": "Summary",
        "text": TEXT,
        "at": datetime(2026, 11, 26, 7, 0, tzinfo=UTC),
    }
    return Letter(**defaults | fields)


def mail(port: int, encryption: Encryption = "none", login: tuple[str, str] = ("", ""), **given: Any) -> Mail:
    server = Server(
        host=given.get("host", "127.0.0.1"),
        port=port,
        encryption=encryption,
        username=login[0],
        password=SecretStr(login[1]),
        sender=Sender(name="Holdfast", address="holdfast@example.com"),
    )
    trust = certificate().trusted() if given.get("trusting", True) else None
    return Mail(server, bounds=given.get("bounds", HASTY), trust=trust)


async def post(mailbox: Mailbox, *to: str, **fields: Any) -> Posted:
    return await mail(mailbox.port).send(letter(*to, **fields))


def told(posted: Posted) -> tuple[str, str]:
    return posted.outcome, posted.code


def test_an_attempt_is_bounded() -> None:
    assert Bounds(connect=10, command=30, answer=60, total=120, quit=2) == DEFAULT


async def test_a_letter_arrives_as_it_was_written_for_all_its_recipients(mailbox: Mailbox) -> None:
    posted = await post(mailbox, "ada@example.com", "bob@example.org")

    (kept,) = mailbox.letters
    assert (kept.sender, kept.recipients) == ("holdfast@example.com", ("ada@example.com", "bob@example.org"))
    assert kept.id == "<dlv_1@example.com>"
    text = kept.message.get_body(("plain",))
    assert text is not None
    assert text.get_content().replace("\r\n", "\n") == TEXT.replace("\r\n", "\n")
    assert posted == Posted(
        outcome="delivered", code="SMTP_250", text="kept", milliseconds=posted.milliseconds
    )
    assert posted.milliseconds < 60_000


async def test_a_megabyte_arrives_whole(mailbox: Mailbox) -> None:
    text = "Grüße .\n." * 100_000 + "\n"

    assert told(await post(mailbox, text=text)) == ("delivered", "SMTP_250")
    assert mailbox.letters[0].message.get_content().replace("\r\n", "\n") == text


async def test_a_letter_may_be_sent_to_those_only_who_are_still_owed_it(mailbox: Mailbox) -> None:
    await post(mailbox, "ada@example.com", "bob@example.org", only=("bob@example.org",))

    (kept,) = mailbox.letters
    assert kept.recipients == ("bob@example.org",)
    assert str(kept.message["To"]) == "ada@example.com, bob@example.org"


def test_there_is_no_letter_for_nobody() -> None:
    with pytest.raises(ValidationError):
        letter("ada@example.com", only=())


async def test_without_a_server_nothing_is_sent() -> None:
    assert told(await Mail(None).send(letter())) == ("again", "NO_SERVER")


@pytest.mark.parametrize(
    ("where", "fault", "expected"),
    [
        ("greet", "554 no service", ("again", "SMTP_554")),
        ("greet", "421 busy", ("again", "SMTP_421")),
        ("greet", "babble", ("again", "NOT_SMTP")),
        ("greet", "hang", ("again", "CONNECT_TIMEOUT")),
        ("greet", "close", ("again", "CONNECTION_LOST")),
        ("greet", "reset", ("again", "CONNECTION_LOST")),
        ("mail", "550 not you", ("refused", "SMTP_550")),
        ("mail", "530 login first", ("again", "SMTP_530")),
        ("mail", "451 later", ("again", "SMTP_451")),
        ("mail", "421 closing", ("again", "SMTP_421")),
        ("mail", "hang", ("again", "ANSWER_TIMEOUT")),
        ("mail", "reset", ("again", "CONNECTION_LOST")),
        ("rcpt", "550 nobody", ("refused", "SMTP_550")),
        ("rcpt", "450 greylisted", ("again", "SMTP_450")),
        ("rcpt", "hang", ("again", "ANSWER_TIMEOUT")),
        ("rcpt", "close", ("again", "CONNECTION_LOST")),
        ("data", "554 no", ("refused", "SMTP_554")),
        ("data", "452 full", ("again", "SMTP_452")),
        ("data", "250 what", ("again", "SMTP_250")),
        ("data", "babble", ("again", "NOT_SMTP")),
        ("data", "hang", ("again", "ANSWER_TIMEOUT")),
        ("data", "close", ("again", "CONNECTION_LOST")),
        ("data", "reset", ("again", "CONNECTION_LOST")),
        ("end", "554 spam", ("refused", "SMTP_554")),
        ("end", "451 later", ("again", "SMTP_451")),
        ("end", "421 closing", ("again", "SMTP_421")),
    ],
)
async def test_what_surely_was_not_taken_is_refused_or_may_be_sent_again(
    mailbox: Mailbox, where: str, fault: str, expected: tuple[str, str]
) -> None:
    mailbox.faults[where] = fault
    began = time.monotonic()

    posted = await post(mailbox)

    assert told(posted) == expected
    assert mailbox.letters == []
    assert time.monotonic() - began < 60
    if expected[1].startswith("SMTP_5") or expected[1].startswith("SMTP_4"):
        assert posted.text == fault[4:]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("hang", "ANSWER_TIMEOUT"),
        ("close", "CONNECTION_LOST"),
        ("reset", "CONNECTION_LOST"),
        ("babble", "NOT_SMTP"),
        ("354 what", "SMTP_354"),
    ],
)
async def test_a_letter_whose_answer_is_lost_is_taken_for_neither_delivered_nor_not(
    mailbox: Mailbox, fault: str, code: str
) -> None:
    mailbox.faults["end"] = fault

    assert told(await post(mailbox)) == ("unknown", code)
    assert len(mailbox.letters) == 1


@pytest.mark.parametrize("fault", ["close", "reset"])
async def test_a_connection_that_breaks_in_the_middle_of_a_letter_has_surely_delivered_nothing(
    mailbox: Mailbox, fault: str
) -> None:
    async def begun() -> None:
        assert "DATA" in mailbox.heard

    async def breaking() -> None:
        # The letter is larger than what a connection holds, and nobody reads it.
        await eventually(begun)
        await asyncio.sleep(0.05)
        mailbox.break_off(rude=fault == "reset")

    mailbox.faults["body"] = "hang"
    posted, _ = await asyncio.gather(post(mailbox, text="a line of it\n" * 600_000), breaking())

    assert told(posted) == ("again", "CONNECTION_LOST")
    assert mailbox.letters == []


async def test_a_letter_that_nobody_reads_ends_with_the_time_and_has_delivered_nothing(
    mailbox: Mailbox,
) -> None:
    mailbox.faults["body"] = "hang"

    posted = await post(mailbox, text="a line of it\n" * 600_000)

    assert told(posted) == ("again", "ANSWER_TIMEOUT")


@pytest.mark.parametrize("fault", ["hang", "close", "reset", "554 no", "babble"])
async def test_what_the_server_says_to_a_goodbye_changes_nothing(mailbox: Mailbox, fault: str) -> None:
    mailbox.faults["quit"] = fault

    assert told(await post(mailbox)) == ("delivered", "SMTP_250")


async def test_of_several_recipients_those_that_are_refused_are_told(mailbox: Mailbox) -> None:
    mailbox.faults |= {"bob@example.com": "550 nobody\u00fc", "eve@example.com": "450 greylisted"}

    posted = await post(mailbox, "ada@example.com", "bob@example.com", "eve@example.com")

    assert told(posted) == ("delivered", "SMTP_250")
    assert mailbox.letters[0].recipients == ("ada@example.com",)
    assert posted.refused == (
        Refusal(address="bob@example.com", status=550, text="nobody"),
        Refusal(address="eve@example.com", status=450, text="greylisted"),
    )
    assert [one.for_good for one in posted.refused] == [True, False]
    assert posted.owed == ("eve@example.com",)


async def test_if_nobody_is_taken_one_who_may_be_later_keeps_the_letter_alive(mailbox: Mailbox) -> None:
    mailbox.faults |= {"bob@example.com": "550 nobody", "eve@example.com": "450 greylisted"}

    mixed = await post(mailbox, "bob@example.com", "eve@example.com")
    none = await post(mailbox, "bob@example.com")

    assert told(mixed) == ("again", "SMTP_450")
    assert told(none) == ("refused", "SMTP_550")
    assert [one.address for one in mixed.refused] == ["bob@example.com", "eve@example.com"]
    assert mailbox.heard.count("DATA") == 0


async def test_the_mailbox_tells_what_it_has_and_is_told_what_to_do_over_http_too() -> None:
    mailbox = Mailbox()
    runner = web.AppRunner(app(mailbox))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with ClientSession(f"http://127.0.0.1:{runner.addresses[0][1]}") as http:
        await http.post("/faults", json={"end": ["451 later"]})
        outcomes = [(await post(mailbox, text="text\n")).outcome for _ in range(2)]
        told = await (await http.get("/letters")).json()
        await http.post("/reset")
        left = await (await http.get("/letters")).json()
    await runner.cleanup()

    assert outcomes == ["again", "delivered"]
    assert told == [
        {
            "id": "<dlv_1@example.com>",
            "sender": "holdfast@example.com",
            "recipients": ["ada@example.com"],
            "sha256": hashlib.sha256(b"text\n").hexdigest(),
        }
    ]
    assert left == []


async def test_attempts_carry_one_id(mailbox: Mailbox) -> None:
    mailbox.faults["end"] = ["close", "451 later", None]

    outcomes = [(await post(mailbox)).outcome for _ in range(3)]

    assert outcomes == ["unknown", "again", "delivered"]
    assert {kept.id for kept in mailbox.letters} == {"<dlv_1@example.com>"}
    assert len(mailbox.letters) == 2


async def test_a_refused_connection_and_a_name_that_there_is_not_may_be_there_later() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert told(await mail(taken.getsockname()[1]).send(letter())) == ("again", "UNREACHABLE")
    for host in ("nothing.invalid", "a..b", "a" * 64):
        assert told(await mail(25, host=host).send(letter())) == ("again", "NO_NAME")


async def test_a_connection_that_does_not_come_in_time_is_not_waited_for() -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))

        assert told(await mail(port).send(letter())) == ("again", "CONNECT_TIMEOUT")

        for one in waiting:
            one.close()


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
async def test_a_letter_goes_by_tls_and_after_a_login(encryption: Encryption) -> None:
    context = certificate().served()
    given: dict[str, Any] = {encryption: context, "login": ("ada", "pässword")}
    async with Mailbox(**given) as mailbox:
        posted = await mail(mailbox.port, encryption, ("ada", "pässword")).send(letter())
        wrong = await mail(mailbox.port, encryption, ("ada", "other")).send(letter())

    (kept,) = mailbox.letters
    assert told(posted) == ("delivered", "SMTP_250")
    assert (kept.secured, kept.login) == (True, "ada")
    assert told(wrong) == ("again", "LOGIN_FAILED")
    assert "other" not in wrong.text


@pytest.mark.parametrize("encryption", ["starttls", "tls"])
async def test_a_certificate_that_nobody_vouches_for_is_shown_no_password_and_no_letter(
    encryption: Encryption,
) -> None:
    given: dict[str, Any] = {encryption: certificate().served(), "login": ("ada", "password")}
    async with Mailbox(**given) as mailbox:
        posted = await mail(mailbox.port, encryption, ("ada", "password"), trusting=False).send(letter())

    assert told(posted) == ("again", "TLS_FAILED")
    assert not {"AUTH", "MAIL"} & {*mailbox.heard}


async def test_where_tls_is_asked_for_nothing_goes_without_it(mailbox: Mailbox) -> None:
    mailbox.login = ("ada", "password")

    for encryption in get_args(Encryption)[:2]:
        posted = await mail(mailbox.port, encryption, ("ada", "password")).send(letter())
        assert told(posted) == ("again", "TLS_FAILED")
    assert not {"AUTH", "MAIL"} & {*mailbox.heard}


@pytest.mark.parametrize(
    ("fault", "code"),
    [("454 not now", "SMTP_454"), ("hang", "ANSWER_TIMEOUT"), ("close", "CONNECTION_LOST")],
)
async def test_a_server_that_offers_tls_and_has_none_may_have_it_later(fault: str, code: str) -> None:
    async with Mailbox(starttls=certificate().served(), faults={"starttls": fault}) as mailbox:
        assert told(await mail(mailbox.port, "starttls").send(letter())) == ("again", code)


@pytest.mark.parametrize(
    ("login", "fault"),
    [(None, None), (("ada", "password"), "454 later"), (("ada", "password"), "535 no")],
)
async def test_a_login_that_fails_is_not_the_letters_fault(
    login: tuple[str, str] | None, fault: Fault | None
) -> None:
    async with Mailbox(login=login, faults={"auth": fault} if fault else {}) as mailbox:
        posted = await mail(mailbox.port, login=("ada", "password")).send(letter())

    assert told(posted) == ("again", "LOGIN_FAILED")


async def test_an_attempt_that_is_given_up_leaves_no_connection(mailbox: Mailbox) -> None:
    async def begun() -> None:
        assert "DATA" in mailbox.heard

    async def gone() -> None:
        assert mailbox.connections == 0

    mailbox.faults["data"] = "hang"
    sending = asyncio.create_task(mail(mailbox.port, bounds=DEFAULT).send(letter()))
    await eventually(begun)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending
    await eventually(gone)
