"""An attempt of a webhook: what is sent, what is heard, and what is said where nothing is."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import psutil
import pytest
import standardwebhooks
from pydantic import SecretStr

from activities.outbound.guarded import Bounds
from activities.outbound.webhooks import DEFAULT, Webhooks
from domain.webhook import Answered, Webhook, make_secret
from tests.certificate import certificate
from tests.house import eventually
from tests.receiver import Receiver
from tests.tool_server import bomb

BODY = '{"type": "trigger.completed", "text": "Grüße"}'.encode()
GIGABYTE = 1_073_741_824


@pytest.fixture(scope="module")
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as server:
        yield server


@pytest.fixture(scope="module")
async def webhooks() -> AsyncIterator[Webhooks]:
    async with Webhooks(loopback=True) as client:
        yield client


@pytest.fixture(scope="module")
async def hasty() -> AsyncIterator[Webhooks]:
    async with Webhooks(
        loopback=True, bounds=Bounds(connect_seconds=1, total_seconds=2, kept_bytes=65_536)
    ) as client:
        yield client


async def send(client: Webhooks, url: str, id_: str = "dlv_1", **fields: Any) -> Answered:
    fields = {"secrets": (make_secret(),), "body": BODY} | fields
    answered = await client.send(Webhook(delivery_id=id_, url=url, **fields).attempt(datetime.now(UTC)))
    assert (answered.status is None) is (answered.trouble is not None)
    return answered


def test_an_attempt_has_five_seconds_to_connect_and_twenty_in_all() -> None:
    assert (DEFAULT.connect_seconds, DEFAULT.total_seconds, DEFAULT.kept_bytes) == (5, 20, 65_536)


async def test_an_answer_that_repeats_a_users_header_is_told_without_it(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    headers = (("Authorization", "Bearer hush-hush"), ("Accept", "text/plain"), ("X-Key", "whispered"))

    answered = await send(
        webhooks, f"{receiver.url}/status=500/text=hush-hush,whispered/any", headers=headers
    )

    assert answered.body == "…,…"
    assert dict(answered.headers)["content-type"].startswith("text/plain")


async def test_a_webhook_verifies_where_it_is_received(webhooks: Webhooks, receiver: Receiver) -> None:
    secrets = (make_secret(), make_secret())

    answered = await send(
        webhooks, f"{receiver.url}/verified", secrets=secrets, headers=(("Authorization", "Bearer x"),)
    )

    (request,) = receiver.requests["verified"]
    for secret in secrets:
        judge = standardwebhooks.Webhook(secret.get_secret_value())
        assert judge.verify(request.body, request.headers) == {"type": "trigger.completed", "text": "Grüße"}
    assert request.body == BODY
    signature = request.headers.pop("webhook-signature").split(" ")
    assert [one[:3] for one in signature] == ["v1,", "v1,"]
    assert abs(int(request.headers.pop("webhook-timestamp")) - time.time()) < 10
    assert request.headers == {
        "host": receiver.url.removeprefix("http://"),
        "authorization": "Bearer x",
        "content-type": "application/json",
        "webhook-id": "dlv_1",
        "accept-encoding": "identity",
        "user-agent": "Holdfast",
        "accept": "*/*",
        "content-length": str(len(BODY)),
        "connection": "close",
    }
    assert (answered.status, answered.body, answered.sent, answered.cut) == (200, '{"ok": true}', True, False)
    assert answered.taken
    assert 0 <= answered.milliseconds < 60_000


@pytest.mark.parametrize("status", [200, 204, 299, 304, 400, 401, 404, 410, 429, 500, 502, 503, 504])
async def test_every_status_is_told_and_only_two_hundreds_take_it(
    webhooks: Webhooks, receiver: Receiver, status: int
) -> None:
    answered = await send(webhooks, f"{receiver.url}/status={status}/text=no/any")

    assert (answered.status, answered.taken) == (status, status < 300)
    assert answered.body == ("" if status in (204, 304) else "no")


async def test_a_redirect_is_a_failure_and_leads_nowhere(webhooks: Webhooks, receiver: Receiver) -> None:
    answered = await send(webhooks, f"{receiver.url}/redirect/moved")

    assert (answered.status, answered.taken) == (307, False)
    assert dict(answered.headers)["location"] == "/redirected"
    assert "redirected" not in receiver.seen


@pytest.mark.parametrize(
    ("asked", "heard"), [("30", 30.0), ("100000", 86_400.0), ("-1", 0.0), ("soon", None), ("nan", None)]
)
async def test_a_receiver_may_ask_to_be_left_alone_for_a_day_at_most(
    webhooks: Webhooks, receiver: Receiver, asked: str, heard: float | None
) -> None:
    answered = await send(webhooks, f"{receiver.url}/status=503/retry={asked}/later")

    assert answered.retry_after == heard


async def test_a_receiver_may_ask_for_no_further_attempt(webhooks: Webhooks, receiver: Receiver) -> None:
    assert (await send(webhooks, f"{receiver.url}/stop/enough")).stop
    assert not (await send(webhooks, f"{receiver.url}/status=400/more")).stop
    assert (await send(webhooks, f"{receiver.url}/gone/enough")).status == 410


async def test_of_the_answers_headers_a_few_are_kept_each_short_and_on_one_line(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    answered = await send(webhooks, f"{receiver.url}/noisy/noise")

    assert dict(answered.headers) == {
        "content-type": "image/png",
        "date": "today",
        "server": ("noise" * 200)[:256],
        "x-request-id": "one\ufffdtwo",
    }
    assert answered.body == "(binary, not shown: image/png, 6 bytes)"


async def test_of_the_answer_four_kibibytes_are_kept(webhooks: Webhooks, receiver: Receiver) -> None:
    exact = await send(webhooks, f"{receiver.url}/bytes=4096/sizes")
    longer = await send(webhooks, f"{receiver.url}/bytes=4097/sizes")

    assert [len(one.body) for one in (exact, longer)] == [4_096] * 2
    assert [one.cut for one in (exact, longer)] == [False, True]


async def test_ten_gigabytes_and_a_bomb_take_no_memory_and_little_time(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    # What the server of the tests, in this process, needs for itself is there before.
    await send(webhooks, f"{receiver.url}/huge={GIGABYTE}/warm")
    await send(webhooks, f"{receiver.url}/bomb=128/warm")
    process = psutil.Process(os.getpid())
    before, began = process.memory_info().rss, time.monotonic()

    huge = [await send(webhooks, f"{receiver.url}/huge={10 * GIGABYTE}/large") for _ in range(5)]
    bombs = [await send(webhooks, f"{receiver.url}/bomb=128/large") for _ in range(5)]

    assert process.memory_info().rss - before < 16 * 1_048_576
    assert time.monotonic() - began < 60
    assert {(one.status, one.cut, len(one.body)) for one in huge} == {(200, True, 4_096)}
    assert {(one.status, one.cut) for one in bombs} == {(200, True)}
    assert bombs[0].body == "(binary, not shown: application/octet-stream, more than 4096 bytes)"


async def test_what_is_packed_though_nobody_asked_is_not_unpacked(
    webhooks: Webhooks, receiver: Receiver
) -> None:
    answered = await send(webhooks, f"{receiver.url}/bomb=1/packed")

    assert answered.body == f"(binary, not shown: application/octet-stream, {len(bomb(1))} bytes)"
    assert not answered.cut


@pytest.mark.parametrize("fault", ["hang", "loris=50"])
async def test_a_receiver_that_gives_no_status_in_time_has_our_slot_no_longer(
    hasty: Webhooks, receiver: Receiver, fault: str
) -> None:
    answered = await send(hasty, f"{receiver.url}/{fault}/slow")

    assert (answered.trouble, answered.sent) == ("ANSWER_TIMEOUT", True)
    assert 1_900 <= answered.milliseconds < 60_000


@pytest.mark.parametrize("fault", ["drip=50", "broken"])
async def test_a_status_decides_whatever_becomes_of_the_body(
    hasty: Webhooks, receiver: Receiver, fault: str
) -> None:
    answered = await send(hasty, f"{receiver.url}/{fault}/slow")

    assert (answered.status, answered.taken, answered.cut) == (200, True, True)
    assert answered.milliseconds < 60_000


@pytest.mark.parametrize(("fault", "received"), [("early", 0), ("late", 1)])
async def test_a_connection_that_breaks_leaves_the_outcome_unknown_and_is_not_tried_again(
    webhooks: Webhooks, receiver: Receiver, fault: str, received: int
) -> None:
    answered = await send(webhooks, f"{receiver.url}/{fault}/{fault}")

    assert (answered.trouble, answered.sent) == ("CONNECTION_LOST", True)
    assert (receiver.seen[fault], len(receiver.requests[fault])) == (1, received)


@pytest.mark.parametrize("fault", ["garbage", "heads"])
async def test_what_is_not_proper_http_is_no_answer(
    webhooks: Webhooks, receiver: Receiver, fault: str
) -> None:
    answered = await send(webhooks, f"{receiver.url}/{fault}/odd")

    assert (answered.trouble, answered.sent) == ("NOT_HTTP", True)


async def test_a_refused_connection_surely_sent_nothing(webhooks: Webhooks) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        answered = await send(webhooks, f"http://127.0.0.1:{taken.getsockname()[1]}/")

    assert (answered.trouble, answered.sent) == ("UNREACHABLE", False)


async def test_a_connection_that_does_not_come_in_time_surely_sent_nothing(hasty: Webhooks) -> None:
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        port = full.getsockname()[1]
        waiting = [socket.socket() for _ in range(8)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))

        answered = await send(hasty, f"http://127.0.0.1:{port}/")

        for one in waiting:
            one.close()
    assert (answered.trouble, answered.sent) == ("CONNECT_TIMEOUT", False)


async def test_a_certificate_that_nobody_vouches_for_surely_got_nothing(webhooks: Webhooks) -> None:
    got: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.read())
        writer.close()

    server = await asyncio.start_server(take, "127.0.0.1", 0, ssl=certificate().served())
    async with server:
        answered = await send(webhooks, f"https://localhost:{server.sockets[0].getsockname()[1]}/")

    assert (answered.trouble, answered.sent, got) == ("TLS_FAILED", False, [])


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:9000/",
        "http://localhost:9000/",
        "http://[::1]/",
        "http://169.254.169.254/latest/meta-data/",
        "http://2130706433/",
        "http://user@1.1.1.1/",
        "http://1.1.1.1:25/",
        "ftp://1.1.1.1/",
        "http://1.1.1.1/\r\nX: y",
        "nonsense",
    ],
)
async def test_an_address_that_is_not_called_is_blocked_at_the_dial(url: str) -> None:
    async with Webhooks(loopback=False) as guarded:
        answered = await send(guarded, url)

    assert (answered.trouble, answered.sent) == ("BLOCKED", False)


async def test_a_name_that_moves_to_a_private_address_is_blocked_then(receiver: Receiver) -> None:
    answers = iter([["127.0.0.1"], ["127.0.0.1", "10.0.0.1"], []])

    def lookup(_: str) -> Sequence[str]:
        return next(answers)

    async with Webhooks(loopback=True, lookup=lookup) as client:
        url = f"http://hooks.example:{receiver.url.rpartition(':')[2]}/moving"
        told = [await send(client, url) for _ in range(3)]

    assert [one.status or one.trouble for one in told] == [200, "BLOCKED", "NO_NAME"]
    assert receiver.requests["moving"][0].headers["host"].startswith("hooks.example:")


async def test_attempts_carry_one_id_until_one_is_taken(webhooks: Webhooks, receiver: Receiver) -> None:
    webhook = Webhook(
        delivery_id="dlv_flaky", url=f"{receiver.url}/times=2/late/flaky", secrets=(make_secret(),), body=BODY
    )

    told = [await webhooks.send(webhook.attempt(datetime.now(UTC))) for _ in range(3)]

    assert [one.status or one.trouble for one in told] == ["CONNECTION_LOST", "CONNECTION_LOST", 200]
    assert {request.id for request in receiver.requests["flaky"]} == {"dlv_flaky"}
    assert "dlv_flaky" in receiver.distinct_ids
    assert {request.body for request in receiver.requests["flaky"]} == {BODY}


async def test_an_attempt_that_is_given_up_ends_at_once(webhooks: Webhooks, receiver: Receiver) -> None:
    async def begun() -> None:
        assert receiver.seen["given-up"] == 1

    sending = asyncio.create_task(send(webhooks, f"{receiver.url}/hang/given-up"))
    await eventually(begun)
    sending.cancel()
    with pytest.raises(asyncio.CancelledError):
        await sending


async def test_a_secret_is_in_nothing_that_is_sent(webhooks: Webhooks, receiver: Receiver) -> None:
    secret = SecretStr("whsec_" + "QUJD" * 8)

    await send(webhooks, f"{receiver.url}/quiet", secrets=(secret,))

    (request,) = receiver.requests["quiet"]
    assert "QUJDQUJD" not in repr(request.headers) + request.body.decode()
