"""Results come by e-mail: once for each recipient where that can be known, and else later."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.house import House, eventually
from tests.http import Api
from tests.mailbox import Mailbox
from tests.results import Results, codes

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
async def mailbox() -> AsyncIterator[Mailbox]:
    async with Mailbox() as mailbox:
        yield mailbox


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory, mailbox: Mailbox) -> AsyncIterator[House]:
    built = House(
        tmp_path_factory.mktemp("house"),
        HOLDFAST_DELIVERY_SCHEDULE="0,0.5,0.5",
        HOLDFAST_SMTP_HOST="127.0.0.1",
        HOLDFAST_SMTP_PORT=str(mailbox.port),
        HOLDFAST_SMTP_TLS="none",
        HOLDFAST_SMTP_FROM="Holdfast <agent@holdfast.example>",
    )
    try:
        await built.open()
        yield built
    finally:
        await built.close()


async def ask(api: Api, mailbox: Mailbox, *to: str, faults: dict[str, Any] | None = None) -> str:
    """A run whose result is mailed to these, by a server with these faults."""
    mailbox.faults.clear()
    mailbox.faults.update(faults or {})
    mailbox.letters.clear()
    conversation = await api.conversation()
    email = {"to": [*to], "subject": "Tonight"}
    told = await api.ok(
        f"/v1/conversation/{conversation}/dispatch",
        {"text": "[model tokens=3]", "delivery": {"email": email}},
    )
    return str(told["runId"])


async def test_a_result_is_mailed_once_with_its_id(api: Api, mailbox: Mailbox) -> None:
    run = await ask(api, mailbox, "a@example.com", "b@example.com")

    delivery = await Results(api).one(run)

    (letter,) = mailbox.letters
    assert letter.recipients == ("a@example.com", "b@example.com")
    assert letter.id == f"<{delivery['id']}@holdfast.example>"
    assert letter.message["Subject"] == "Tonight"
    body = letter.message.get_body(("plain",))
    assert body is not None
    assert body.get_content().startswith("t1 t2 t3")
    assert run in body.get_content()


@pytest.mark.parametrize("where", ["subject", "name"])
async def test_a_subject_or_a_name_adds_no_header_to_its_letter(
    api: Api, mailbox: Mailbox, where: str
) -> None:
    hostile = "=?utf-8?q?Hi=0D=0ABcc:_evil=40x.example=0D=0A=0D=0AHello?="
    mailbox.faults.clear()
    mailbox.letters.clear()
    email = {"to": ["a@example.com"]} | ({"subject": hostile} if where == "subject" else {})
    task = {"name": hostile, "description": "[model tokens=3]", "delivery": {"email": email}}
    await api.ok(f"/v1/task/{(await api.ok('/v1/task/create', task))['id']}/trigger")

    async def came() -> None:
        assert mailbox.letters

    await eventually(came)
    (letter,) = mailbox.letters
    assert letter.message["Subject"] == (hostile if where == "subject" else f"{hostile}: completed")
    assert not {"Bcc", "Hello"} & {*letter.message.keys()}
    assert len(letter.message.keys()) == 8
    assert letter.recipients == ("a@example.com",)


async def test_a_server_that_takes_no_letter_now_is_asked_again_with_the_same_id(
    api: Api, mailbox: Mailbox
) -> None:
    run = await ask(api, mailbox, "a@example.com", faults={"end": ["451 later", None]})

    delivery = await Results(api).one(run)

    assert [letter.id for letter in mailbox.letters] == [f"<{delivery['id']}@holdfast.example>"]
    assert codes(delivery) == ["SMTP_451", None]


async def test_a_letter_that_is_refused_is_a_dead_letter_at_once(api: Api, mailbox: Mailbox) -> None:
    run = await ask(api, mailbox, "a@example.com", faults={"a@example.com": "550 nobody here"})

    dead = await Results(api).one(run, "dead")

    assert dead["errorCode"] == "SMTP_550"
    assert len(dead["tried"]) == 1
    assert "nobody here" in dead["tried"][0]["body"]


async def test_a_letter_that_may_have_been_taken_waits_ten_minutes(api: Api, mailbox: Mailbox) -> None:
    run = await ask(api, mailbox, "a@example.com", faults={"end": "close"})

    waits = await Results(api).tried(run, 1)

    assert waits["errorCode"] == "OUTCOME_UNKNOWN"
    (tried,) = (await Results(api).shown(waits["id"]))["tried"]
    assert waits["nextAt"] - tried["endedAt"] >= 599_000


async def test_who_was_not_taken_with_the_others_is_sent_the_letter_alone(api: Api, mailbox: Mailbox) -> None:
    run = await ask(
        api, mailbox, "a@example.com", "b@example.com", faults={"b@example.com": ["450 later", None]}
    )

    delivery = await Results(api).one(run)

    assert [letter.recipients for letter in mailbox.letters] == [("a@example.com",), ("b@example.com",)]
    assert len({letter.id for letter in mailbox.letters}) == 1
    assert codes(delivery) == ["SMTP_450", None]


async def test_a_letter_that_was_refused_for_good_by_some_is_delivered_and_says_so(
    api: Api, mailbox: Mailbox
) -> None:
    faults = {"b@example.com": "550 nobody here", "c@example.com": ["450 later", None]}
    run = await ask(api, mailbox, "a@example.com", "b@example.com", "c@example.com", faults=faults)

    delivery = await Results(api).one(run)

    assert [letter.recipients for letter in mailbox.letters] == [("a@example.com",), ("c@example.com",)]
    assert codes(delivery) == ["SMTP_550", None]
    assert "b@example.com: 550 nobody here" in delivery["tried"][1]["body"]
    listed = (await api.get(f"/v1/delivery/list?state=delivered&runId={run}")).body["items"]
    assert [one["errorCode"] for one in listed] == [delivery["errorCode"]] == ["SMTP_550"]


async def test_a_dead_letter_sent_again_goes_to_who_took_the_place_of_those_who_were_owed_it(
    api: Api, mailbox: Mailbox
) -> None:
    mailbox.faults.clear()
    mailbox.faults["b@example.com"] = "450 later"
    mailbox.letters.clear()
    email = {"to": ["a@example.com", "b@example.com"]}
    asked = {"name": "t", "description": "[model tokens=3]", "delivery": {"email": email}}
    task = (await api.ok("/v1/task/create", asked))["id"]
    await api.ok(f"/v1/task/{task}/trigger")

    async def given_up() -> dict[str, Any]:
        found = (await api.get(f"/v1/delivery/list?taskId={task}")).body["items"]
        assert [one["state"] for one in found] == ["dead"], found
        return dict(found[0])

    dead = await eventually(given_up)
    await api.ok(
        f"/v1/task/{task}/update", {"delivery": {"email": {"to": ["a@example.com", "c@example.com"]}}}
    )
    await api.ok(f"/v1/delivery/{dead['id']}/redeliver", {})
    delivery = await Results(api).one(dead["runId"])

    assert (delivery["id"], delivery["attempts"]) == (dead["id"], 1)
    assert [letter.recipients for letter in mailbox.letters] == [
        ("a@example.com",),
        ("a@example.com", "c@example.com"),
    ]
    assert len({letter.id for letter in mailbox.letters}) == 1


async def test_a_mail_server_that_is_down_is_no_failure_of_the_target(
    house: House, api: Api, mailbox: Mailbox
) -> None:
    run = await ask(api, mailbox, "c@example.com", faults={"greet": "close"})

    dead = await Results(api).one(run, "dead")

    assert dead["errorCode"] == "EXHAUSTED"
    shown = (await api.get(f"/v1/target/{dead['targetId']}/fetch")).body
    assert not shown.get("failures")
    mailbox.faults.clear()
    await api.ok(f"/v1/delivery/{dead['id']}/redeliver", {})

    async def came() -> None:
        assert [letter.recipients for letter in mailbox.letters] == [("c@example.com",)]

    await eventually(came)
