"""The door for events: who is let in, what is once, and what is a clean refusal and leaves nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from typing import Any

import pytest

from tests.house import House, eventually
from tests.http import Api
from tests.raw import line
from tests.scrape import scrape
from tests.triggers import Source, github, over, slack, source, standard

Headers = Mapping[str, str]
SECRET = "It's a Secret to Everybody"
KEY = b64encode(bytes(range(32))).decode()
BODY = b'{"id":"evt_1"}'


async def signed(house: House, api: Api, preset: str, *secrets: str, **more: Any) -> Source:
    return await source(house, api, verification={"preset": preset, "secrets": [*secrets], **more})


async def events(house: House, trigger: Source) -> int:
    ((count,),) = await house.rows("SELECT count(*) FROM trigger_event WHERE trigger_id = $1", trigger.id)
    return int(count)


async def runs(house: House, trigger: Source) -> int:
    ((count,),) = await house.rows("SELECT count(*) FROM run WHERE trigger_id = $1", trigger.id)
    return int(count)


async def refusals(house: House, trigger: Source) -> int:
    query = "SELECT count(*) FROM audit WHERE type = 'trigger.refused' AND about ->> 'triggerId' = $1"
    ((count,),) = await house.rows(query, trigger.id)
    return int(count)


# Who is let in.


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
@pytest.mark.parametrize("verb", ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "NOTIFY", "TRACE"])
async def test_an_event_may_come_with_any_verb_under_both_prefixes(
    house: House, api: Api, verb: str, prefix: str
) -> None:
    trigger = await source(house, api)
    path = trigger.path.replace("/v1", prefix, 1)

    async with house.api(key=trigger.secret) as sender:
        status, _, headers = await sender.raw(verb, path, None if verb == "GET" else BODY)

    assert status == 200
    run = await over(api, headers["X-Run-Id"])
    kept = (await api.get(f"/v1/integration/trigger/{trigger.id}/event/{run['eventId']}/fetch")).body
    assert (kept["method"], kept["body"]) == (verb, "" if verb in ("GET", "HEAD") else BODY.decode())


@pytest.mark.parametrize(
    "shown",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "bearer {secret}",
        "Basic {secret}",
        "Bearer  {secret}",
        "Bearer {secret}0",
        "{secret}",
        "Bearer {key}",
        "Bearer \u00e4\u00ff",
        "Bearer {secret}, Bearer {secret}",
    ],
)
async def test_only_a_triggers_own_secret_opens_its_door(house: House, api: Api, shown: str | None) -> None:
    trigger = await source(house, api)
    headers = {} if shown is None else {"Authorization": shown.format(secret=trigger.secret, key=house.key)}

    status, body, told = await trigger._replace(secret="").send(**headers)

    assert (status, body["code"]) == (401, "NOT_AUTHENTICATED")
    assert told["WWW-Authenticate"] == "Bearer"
    assert await events(house, trigger) == await runs(house, trigger) == 0
    assert await refusals(house, trigger) == 1


async def test_a_secret_that_comes_twice_is_refused(house: House, api: Api) -> None:
    trigger = await source(house, api)
    shown = f"Authorization: Bearer {trigger.secret}\r\n".encode()

    async with line(house.ports["api"]) as connection:
        await connection.send(
            b"POST %b HTTP/1.1\r\nHost: here\r\n%bContent-Length: 0\r\n\r\n"
            % (trigger.path.encode(), shown * 2)
        )
        answer = await connection.answer()

    assert answer is not None
    assert answer.status == 401


async def test_one_address_is_told_of_once_a_minute(house: House, api: Api) -> None:
    trigger = await source(house, api)
    stranger = trigger._replace(secret="wrong")

    for _ in range(3):
        assert (await stranger.send()).status == 401

    (entry,) = (await api.get("/v1/event/log/list?type=trigger.refused&take=1")).body["items"]
    assert (entry["triggerIntegrationId"], entry["meta"]["code"]) == (trigger.id, "NOT_AUTHENTICATED")
    assert entry["meta"]["address"] == "127.0.0.1"
    assert await refusals(house, trigger) == 1


async def test_a_trigger_that_asks_for_nothing_takes_anybodys_events(house: House, api: Api) -> None:
    trigger = await source(house, api, authenticate=False)

    told = await trigger.ok()

    kept = (await api.get(f"/v1/integration/trigger/{trigger.id}/event/{told['eventId']}/fetch")).body
    assert kept["verified"] == "none"


@pytest.mark.parametrize("name", ["trig_00000000000000000000000000", "@{alias}", "%00", "..%2f..", "x" * 300])
async def test_a_trigger_is_named_by_its_id_alone(house: House, api: Api, name: str) -> None:
    alias = f"mail-{time.time_ns()}"
    trigger = await source(house, api, alias=alias)

    async with house.api(key=trigger.secret) as sender:
        path = f"/v1/integration/trigger/{name.format(alias=alias)}/event"
        status, body, _ = await sender.raw("POST", path, BODY)

    assert (status, json.loads(body)["code"]) == (404, "NOT_FOUND")


async def test_no_page_of_a_browser_may_read_what_a_source_is_told(house: House, api: Api) -> None:
    trigger = await source(house, api)

    asked = {"Origin": "https://example.com", "Access-Control-Request-Method": "POST"}
    status, _, headers = await trigger._replace(secret="").send(b"", verb="OPTIONS", **asked)
    taken = await trigger.send(Origin="https://example.com")

    assert (status, taken.status) == (401, 200)
    for told in (headers, taken.headers):
        assert not [name for name in told if name.lower().startswith("access-control")]


# Signatures.


async def test_what_github_signs_is_taken_once_by_its_delivery(house: House, api: Api) -> None:
    trigger = await signed(house, api, "github", SECRET)

    first = await trigger.ok(BODY, **github(SECRET, BODY, "d-1"))
    second = await trigger.ok(BODY, **github(SECRET, BODY, "d-1"))

    assert second == first | {"duplicate": True}
    kept = (await api.get(f"/v1/integration/trigger/{trigger.id}/event/{first['eventId']}/fetch")).body
    assert (kept["verified"], kept["providerId"], kept["repeats"]) == ("github", "d-1", 1)
    assert kept["headers"]["x-github-event"] == "push"
    assert "x-hub-signature-256" not in kept["headers"]


@pytest.mark.parametrize("word", ["3eZbrw1aBm2rZgRNFdxV2595E9CY3gmdALWMmHkvFXO7tYXAYM8P", "x" * 300])
async def test_slack_is_told_its_word_before_it_sends_events_and_nothing_runs(
    house: House, api: Api, word: str
) -> None:
    trigger = await signed(house, api, "slack", SECRET)
    body = json.dumps({"type": "url_verification", "challenge": word}).encode()

    told = await trigger.send(body, **slack(SECRET, body, int(time.time())))
    stranger = await trigger.send(body, **slack("another secret", body, int(time.time())))

    assert (told.status, told.body) == (200, {"challenge": word})
    assert stranger.status == 401
    assert await events(house, trigger) == await runs(house, trigger) == 0


async def test_what_is_longer_than_slack_asks_for_its_word_is_an_event(house: House, api: Api) -> None:
    trigger = await signed(house, api, "slack", SECRET)
    said = {"type": "url_verification", "challenge": "3eZbrw1aBm2r", "more": "a" * 16_384}
    body = json.dumps(said).encode()

    told = await trigger.send(body, **slack(SECRET, body, int(time.time())))

    assert (told.status, told.body["duplicate"]) == (200, False)
    assert await events(house, trigger) == await runs(house, trigger) == 1


async def test_a_source_may_sign_with_either_of_two_secrets(house: House, api: Api) -> None:
    trigger = await signed(house, api, "github", "an old secret", "a new secret")

    for secret, status in (("an old secret", 200), ("a new secret", 200), ("another secret", 401)):
        answer = await trigger.send(BODY, **github(secret, BODY, secret))
        assert answer.status == status


async def test_a_triggers_own_secret_does_not_stand_for_a_signature(house: House, api: Api) -> None:
    trigger = await signed(house, api, "github", SECRET)
    secret = (await api.get(f"/v1/integration/trigger/{trigger.id}/fetch")).body["secret"]

    assert (await trigger.send(BODY, Authorization=f"Bearer {secret}")).status == 401


GOOD = standard(KEY, BODY, "msg_1", 1_700_000_000)
SIGNATURES: list[Headers] = [
    {},
    {"webhook-signature": ""},
    {"webhook-signature": "v1"},
    {"webhook-signature": "v1,"},
    {"webhook-signature": "v1,not base64"},
    {"webhook-signature": "v1,====" * 8},
    {"webhook-signature": "v1,\u00e4\u00e4\u00e4"},
    {"webhook-signature": "v2,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
    {"webhook-signature": "v1a,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="},
    {"webhook-signature": " ".join(["v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="] * 200)},
    {"webhook-signature": "v1," + "A" * 6_000},
    {"webhook-timestamp": ""},
    {"webhook-timestamp": "17_95"},
    {"webhook-timestamp": "1e9"},
    {"webhook-timestamp": "-1"},
    {"webhook-timestamp": "1700000000.5"},
    {"webhook-timestamp": "9" * 400},
    {"webhook-timestamp": "\u0661\u0662".encode().decode("latin-1")},
    {"webhook-timestamp": "1700000000"},
    {"webhook-id": ""},
    {"webhook-id": "a.b"},
    {"webhook-id": "x" * 300},
    {"webhook-id": "another"},
]


@pytest.mark.parametrize("changed", SIGNATURES, ids=range(len(SIGNATURES)))
async def test_a_hostile_signature_is_a_clean_refusal_and_leaves_nothing(
    house: House, api: Api, changed: Headers
) -> None:
    trigger = await signed(house, api, "standard-webhooks", f"whsec_{KEY}")
    good = dict(standard(KEY, BODY, "msg_1", int(time.time()))) if changed else {}

    status, body, _ = await trigger.send(BODY, **{**good, **changed})

    assert (status, body["code"]) == (401, "NOT_AUTHENTICATED")
    assert await events(house, trigger) == await runs(house, trigger) == 0


PRESETS = {
    "standard-webhooks": ("webhook-signature", f"whsec_{KEY}"),
    "github": ("X-Hub-Signature-256", SECRET),
    "stripe": ("Stripe-Signature", SECRET),
    "slack": ("X-Slack-Signature", SECRET),
    "shopify": ("X-Shopify-Hmac-Sha256", SECRET),
    "hmac": ("X-Own", SECRET),
}
HOSTILE = [
    b"",
    b"sha256=",
    b"t=,v1=",
    b"t=1,v1=" + b"0" * 64,
    b"v0=" + b"0" * 64,
    b"sha256=" + b"0" * 64,
    b"\xff\xfe\x80",
    b"," * 3_000,
    b"=" * 44,
    b"9" * 5_000,
]


@pytest.mark.parametrize("preset", PRESETS)
async def test_whatever_stands_where_a_signature_should_is_a_clean_refusal(
    house: House, api: Api, preset: str
) -> None:
    name, secret = PRESETS[preset]
    trigger = await signed(house, api, preset, secret, **({"header": name} if preset == "hmac" else {}))
    times = b"webhook-id: a\r\nwebhook-timestamp: %d\r\nX-Slack-Request-Timestamp: %d\r\n"
    head = b"POST %b HTTP/1.1\r\nHost: here\r\nContent-Length: 2\r\n" % trigger.path.encode()
    head += times % (time.time(), time.time())
    lines = [b"%b: %b\r\n" % (name.encode(), value) for value in HOSTILE]

    for line_ in (b"", *lines, *(one * 2 for one in lines[:7])):
        async with line(house.ports["api"]) as connection:
            await connection.send(head + line_ + b"\r\n{}")
            answer = await connection.answer()
        assert answer is not None
        assert (answer.status, answer.body["code"]) == (401, "NOT_AUTHENTICATED"), line_

    assert await events(house, trigger) == await runs(house, trigger) == 0
    assert await refusals(house, trigger) == 1


@pytest.mark.parametrize(("value", "status"), [(b"a\0b", 400), (b"x" * 20_000, 431)])
async def test_a_header_that_http_does_not_know_or_that_is_too_long_is_refused(
    house: House, api: Api, value: bytes, status: int
) -> None:
    trigger = await source(house, api)
    head = b"POST %b HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer %b\r\nContent-Length: 2\r\n"
    head %= trigger.path.encode(), trigger.secret.encode()

    async with line(house.ports["api"]) as connection:
        await connection.send(head + b"X-Own: " + value + b"\r\n\r\n{}")
        answer = await connection.answer()

    assert answer is not None
    assert answer.status == status
    assert await events(house, trigger) == 0


@pytest.mark.parametrize(("late", "status"), [(0, 200), (250, 200), (-250, 200), (310, 401), (-310, 401)])
async def test_an_old_signature_is_refused(house: House, api: Api, late: int, status: int) -> None:
    trigger = await signed(house, api, "standard-webhooks", f"whsec_{KEY}")

    headers = standard(KEY, BODY, "msg_1", int(time.time()) - late)

    assert (await trigger.send(BODY, **headers)).status == status


async def test_a_body_that_was_changed_on_the_way_is_refused(house: House, api: Api) -> None:
    trigger = await signed(house, api, "github", SECRET)

    assert (await trigger.send(BODY + b" ", **github(SECRET, BODY, "d-1"))).status == 401


# Once.


async def test_fifty_copies_of_an_event_at_once_are_one_run(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})

    told = await asyncio.gather(*(trigger.ok({"id": "evt_50"}) for _ in range(50)))

    assert len({(one["eventId"], one["runId"]) for one in told}) == 1
    assert sum(not one["duplicate"] for one in told) == 1
    assert (await events(house, trigger), await runs(house, trigger)) == (1, 1)
    kept = (await api.get(f"/v1/integration/trigger/{trigger.id}/event/{told[0]['eventId']}/fetch")).body
    assert kept["repeats"] == 49


async def test_another_body_under_the_same_id_is_refused_and_kept_for_the_operator(
    house: House, api: Api
) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})
    first = await trigger.ok({"id": 1, "n": 1})

    answers = [await trigger.send({"id": 1, "n": 2}) for _ in range(2)]

    for status, body, _ in answers:
        assert (status, body["code"], body["runId"]) == (409, "CONFLICT", first["runId"])
    query = f"/v1/integration/trigger/{trigger.id}/event/list?state=refused"
    (refused,) = (await api.get(query)).body["items"]
    assert (refused["providerId"], refused["repeats"], "runId" in refused) == ("1", 1, False)
    assert await runs(house, trigger) == 1


async def test_an_idempotency_key_names_an_event_that_does_not_say_its_id(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"header": "X-Id"})

    one = await trigger.ok({"n": 1}, **{"Idempotency-Key": "k"})
    again = await trigger.ok({"n": 1}, **{"Idempotency-Key": "k"})
    named = await trigger.ok({"n": 1}, **{"Idempotency-Key": "k", "X-Id": "another"})

    assert again == one | {"duplicate": True}
    assert named["eventId"] != one["eventId"]


async def test_a_long_id_names_an_event_as_a_short_one_does(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})

    one = await trigger.ok({"id": "é" * 300})
    again = await trigger.ok({"id": "é" * 300})
    other = await trigger.ok({"id": "é" * 301})
    changed = await trigger.send({"id": "é" * 300, "n": 1})
    kept = (await api.get(f"/v1/integration/trigger/{trigger.id}/event/{one['eventId']}/fetch")).body

    assert again == one | {"duplicate": True}
    assert not other["duplicate"]
    assert changed.status == 409
    assert kept["providerId"] == "sha256:" + hashlib.sha256(("é" * 300).encode()).hexdigest()


async def test_events_without_an_id_are_all_different(house: House, api: Api) -> None:
    trigger = await source(house, api)

    one, other = await trigger.ok(), await trigger.ok()

    assert one["runId"] != other["runId"]


async def test_an_event_is_the_same_one_for_thirty_days(house: House, api: Api) -> None:
    trigger = await source(house, api, eventId={"pointer": "/id"})
    first = await trigger.ok({"id": 1})
    age = "UPDATE trigger_event SET received_at = received_at - $2::integer * interval '1 day' WHERE id = $1"

    await house.rows(age, first["eventId"], 29)
    within = await trigger.ok({"id": 1})
    await house.rows(age, first["eventId"], 2)
    after = await trigger.ok({"id": 1})
    again = await trigger.ok({"id": 1})

    assert within == first | {"duplicate": True}
    assert (after["duplicate"], after["eventId"] != first["eventId"]) == (False, True)
    assert again == after | {"duplicate": True}


# What is wrong with a request.


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ("?session=a&session=b", {}, 400),
        ("?contact.email=a@b.c&contact_email=a@b.c", {}, 400),
        ("?contact.email=nobody", {}, 400),
        ("?session=" + "x" * 256, {}, 400),
        ("?session=a%00b", {}, 400),
        ("?session=a%0Ab", {}, 400),
        ("?other=%00", {}, 400),
        ("?%00=1", {}, 400),
        ("?contact.name=" + "x" * 1_001, {}, 400),
        ("", {"Idempotency-Key": ""}, 400),
        ("", {"Idempotency-Key": "x" * 256}, 400),
        ("", {"Idempotency-Key": "\u00e4"}, 400),
        ("", {"Content-Encoding": "gzip"}, 415),
        ("", {"Content-Encoding": "identity, br"}, 415),
    ],
)
async def test_a_request_that_is_wrong_is_told_so_and_leaves_nothing(
    house: House, api: Api, query: str, headers: Headers, status: int
) -> None:
    trigger = await source(house, api)

    answer = await trigger.send(BODY, query, **headers)

    assert answer.status == status
    assert await events(house, trigger) == await runs(house, trigger) == 0


@pytest.mark.parametrize("query", ["?a=1&a=2&b", "?%ff=%fe", "?session=", "?session=%E4%BD%A0", "?=&&=&;"])
async def test_what_else_a_query_holds_is_kept_and_means_nothing(house: House, api: Api, query: str) -> None:
    trigger = await source(house, api)

    told = await trigger.ok({}, query)

    kept = (await api.get(f"/v1/integration/trigger/{trigger.id}/event/{told['eventId']}/fetch")).body
    if query == "?a=1&a=2&b":
        assert kept["query"] == {"a": ["1", "2"], "b": ""}


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(1_048_576, 200), (1_048_577, 413), (2_000_000, 413)])
async def test_an_event_is_at_most_a_mebibyte(
    house: House, api: Api, size: int, status: int, chunked: bool
) -> None:
    trigger = await source(house, api)
    head = b"POST %b HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer %b\r\n"
    head %= trigger.path.encode(), trigger.secret.encode()

    async with line(house.ports["api"]) as connection:
        if chunked:
            pieces = [b"10000\r\n" + bytes(65_536) + b"\r\n"] * (size // 65_536)
            rest = b"%x\r\n%b\r\n" % (size % 65_536, bytes(size % 65_536)) if size % 65_536 else b""
            await connection.send(head + b"Transfer-Encoding: chunked\r\n\r\n", *pieces, rest + b"0\r\n\r\n")
        else:
            await connection.send(head + b"Content-Length: %d\r\n\r\n" % size, bytes(size))
        answer = await connection.answer()

    assert answer is not None
    assert answer.status == status
    assert await events(house, trigger) == (status == 200)


async def test_headers_of_all_kinds_are_no_error(house: House, api: Api) -> None:
    trigger = await source(house, api)
    head = b"POST %b HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer %b\r\nContent-Length: 2\r\n"
    head %= trigger.path.encode(), trigger.secret.encode()
    odd = b"Content-Type: \xff\xfe\x80\r\nContent-Type: a/b\r\nUser-Agent: \t\xe4\r\nwebhook-id:\r\n"

    async with line(house.ports["api"]) as connection:
        await connection.send(head + odd + b"\r\n{}")
        answer = await connection.answer()

    assert answer is not None
    assert answer.status == 200


async def test_what_becomes_of_events_is_counted(house: House, api: Api) -> None:
    async def counted(became: str) -> float:
        return (await scrape(house, "api")).sum("holdfast_events_total", became=became)

    trigger = await source(house, api, eventId={"pointer": "/id"})
    names = ("accepted", "duplicate", "conflict", "unauthenticated")
    before = [await counted(name) for name in names]

    for body in ({"id": 1}, {"id": 1}, {"id": 1, "n": 2}):
        await trigger.send(body)
    await trigger._replace(secret="wrong").send()

    async def check() -> None:
        assert [await counted(name) for name in names] == [count + 1 for count in before]

    await eventually(check)
