"""Web pages of other origins: an account's own pages read its answers, all others read nothing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import pytest

from domain import ids
from tests.house import House, eventually
from tests.http import Answer, Api
from tests.tenant import Tenant

ALLOWED = {
    "Access-Control-Allow-Methods": "GET, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, Accept, X-Timezone, Idempotency-Key, "
    "Last-Event-ID, X-Holdfast-Events, X-RunAs-User-ID, X-RunAs-UserID, X-RunAs-Child-User-Email",
    "Access-Control-Max-Age": "600",
}
ASKED = {
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type",
}


def fresh() -> str:
    """An origin that no process remembers."""
    return f"https://{ids.new('site').replace('_', '-')}.example"


@pytest.fixture
async def site(tenant: Tenant) -> str:
    """An origin that the tenant lists."""
    origin = fresh()
    await tenant.house.store.origins.add(tenant.account, origin)
    return origin


@pytest.fixture
async def other_site(house: House) -> str:
    """One that another account lists."""
    origin = fresh()
    await house.store.origins.add(house.account, origin)
    return origin


@pytest.fixture
async def nobody(house: House) -> AsyncIterator[Api]:
    async with house.api(key="") as client:
        yield client


def crossing(answer: Answer) -> dict[str, str]:
    return {
        name: value for name, value in answer.headers.items() if name.lower().startswith("access-control")
    }


def readable(origin: str) -> dict[str, str]:
    return {
        "access-control-allow-origin": origin,
        "access-control-expose-headers": "X-Request-Id, X-Run-Id, Retry-After",
    }


# Preflights.


@pytest.mark.parametrize("path", ["/v1/bot/list", "/api/v1/conversation/x/complete", "/v1/nothing/here"])
async def test_a_preflight_needs_no_key_and_says_what_a_listed_origin_may_send(
    nobody: Api, site: str, path: str
) -> None:
    answer = await nobody.raw("OPTIONS", path, Origin=site, **ASKED)

    told = {name.lower(): value for name, value in crossing(answer).items()}
    expected = ALLOWED | {"Access-Control-Allow-Origin": site}
    assert (answer.status, answer.body, answer.headers["Vary"]) == (204, b"", "Origin")
    assert told == {name.lower(): value for name, value in expected.items()}
    assert "X-Request-Id" in answer.headers


@pytest.mark.parametrize("origin", ["null", "*", "https://a b", "é", "x" * 1_000, "https://unlisted.example"])
async def test_a_preflight_from_an_origin_that_nobody_lists_says_nothing(nobody: Api, origin: str) -> None:
    answer = await nobody.raw("OPTIONS", "/v1/bot/list", Origin=origin, **ASKED)

    assert (answer.status, json.loads(answer.body)["code"]) == (403, "NOT_AUTHORIZED")
    assert "origin add" in json.loads(answer.body)["message"]
    assert crossing(answer) == {}
    assert answer.headers["Vary"] == "Origin"


async def test_an_origin_is_listed_to_the_letter(nobody: Api, site: str) -> None:
    for near in (
        site.upper(),
        site + ":8443",
        site.replace("https", "http"),
        site + ".evil.example",
        site + "/",
    ):
        answer = await nobody.raw("OPTIONS", "/v1/bot/list", Origin=near, **ASKED)
        assert (answer.status, crossing(answer)) == (403, {}), near


async def test_options_that_is_no_preflight_is_a_wrong_verb(nobody: Api, site: str) -> None:
    for headers in ({}, {"Origin": site}, {"Access-Control-Request-Method": "POST"}):
        answer = await nobody.raw("OPTIONS", "/v1/bot/list", **headers)
        assert (answer.status, json.loads(answer.body)["code"]) == (405, "METHOD_NOT_ALLOWED")


# Answers.


async def test_an_accounts_own_page_reads_its_answers(tenant: Tenant, site: str) -> None:
    made = await tenant.api.post("/v1/bot/create", {}, Origin=site)
    listed = await tenant.api.get("/api/v1/bot/list", Origin=site)

    assert (made.status, listed.status) == (200, 200)
    assert {name.lower(): v for name, v in crossing(made).items()} == readable(site)
    assert crossing(listed) == crossing(made)
    assert made.headers["Vary"] == "Origin"


async def test_another_accounts_page_is_served_to_a_key_and_reads_nothing(
    tenant: Tenant, other_site: str
) -> None:
    for origin in (other_site, fresh()):
        answer = await tenant.api.get("/v1/bot/list", Origin=origin)
        assert (answer.status, crossing(answer), answer.headers["Vary"]) == (200, {}, "Origin")


async def test_a_request_without_an_origin_is_answered_without_a_word_of_it(
    tenant: Tenant, site: str
) -> None:
    answer = await tenant.api.get("/v1/bot/list")

    assert (answer.status, crossing(answer), answer.headers.get("Vary")) == (200, {}, None)


async def test_errors_are_read_as_well(tenant: Tenant, nobody: Api, site: str) -> None:
    answers = [
        await nobody.get("/v1/bot/list", Origin=site),
        await nobody.get("/v1/bot/list", Origin=site, Authorization="Bearer a.b.c"),
        await nobody.get("/v1/nothing/here", Origin=site),
        await tenant.api.post("/v1/bot/create", {"nonsense": 1}, Origin=site),
        await tenant.api.get(f"/v1/bot/{ids.bot()}/fetch", Origin=site),
        await tenant.api.post("/v1/bot/list", {}, Origin=site),
        await tenant.api.post("/v1/bot/create", {}, Origin=site, **{"Content-Type": "text/plain"}),
        await tenant.api.post("/v1/dataset/create", {}, Origin=site),
        await tenant.api.get("/v1/bot/list", Origin=site, **{"X-RunAs-User-ID": "x"}),
    ]

    assert [answer.status for answer in answers] == [401, 401, 404, 400, 404, 405, 415, 501, 501]
    for answer in answers:
        assert {name.lower(): v for name, v in crossing(answer).items()} == readable(site), answer.status


async def test_an_answer_to_a_bug_is_read_as_well_has_its_number_and_is_logged_once(
    tenant: Tenant, site: str
) -> None:
    log = tenant.house.home / "log" / "api.log"
    before = log.stat().st_size
    await tenant.house.rows("ALTER TABLE rating RENAME COLUMN reason TO broken")
    headers = {"Authorization": f"Bearer {tenant.api.key}", "Origin": site}
    try:
        # Not by the client that holds answers against the document: bugs are not in it.
        async with tenant.api.session.get(f"{tenant.api.url}/v1/rating/list", headers=headers) as told:
            answer = Answer(told.status, await told.json(), told.headers)
    finally:
        await tenant.house.rows("ALTER TABLE rating RENAME COLUMN broken TO reason")

    assert (answer.status, answer.body["code"]) == (500, "INTERNAL_SERVER_ERROR")
    assert answer.headers["X-Request-Id"] == answer.body["requestId"]
    assert {name.lower(): v for name, v in crossing(answer).items()} == readable(site)
    assert log.read_bytes()[before:].count(b"UndefinedColumnError") == 1
    assert (await tenant.api.get("/v1/rating/list")).status == 200


async def test_streams_are_read_as_well(tenant: Tenant, site: str) -> None:
    path = f"/v1/conversation/{await tenant.api.conversation()}/complete"
    for accept in ("application/jsonl", "text/event-stream"):
        answer = await tenant.api.post(path, {"text": "[model tokens=2]"}, Origin=site, Accept=accept)
        assert answer.status == 200
        assert {name.lower(): v for name, v in crossing(answer).items()} == readable(site)
        assert answer.headers["X-Run-Id"].startswith("run_")


async def test_no_answer_names_every_origin_or_lets_a_page_send_cookies(
    tenant: Tenant, nobody: Api, site: str
) -> None:
    answers = [
        await nobody.raw("OPTIONS", "/v1/bot/list", Origin=site, **ASKED),
        await tenant.api.get("/v1/bot/list", Origin=site),
        await nobody.get("/v1/bot/list", Origin=site),
    ]

    for answer in answers:
        assert "*" not in crossing(answer).values()
        assert "Access-Control-Allow-Credentials" not in answer.headers


async def test_health_is_nothing_for_pages(nobody: Api, site: str) -> None:
    assert crossing(await nobody.get("/health/live", Origin=site)) == {}


async def test_an_origin_that_is_no_longer_listed_is_forgotten_within_seconds(
    tenant: Tenant, nobody: Api, site: str
) -> None:
    assert crossing(await tenant.api.get("/v1/bot/list", Origin=site))
    await tenant.house.store.origins.remove(tenant.account, site)

    async def forgotten() -> None:
        assert crossing(await tenant.api.get("/v1/bot/list", Origin=site)) == {}
        assert (await nobody.raw("OPTIONS", "/v1/bot/list", Origin=site, **ASKED)).status == 403

    await eventually(forgotten)


# Sessions.


async def test_a_visitor_on_the_accounts_own_page_is_served(tenant: Tenant, site: str) -> None:
    conversation = await tenant.api.conversation()
    token = (await tenant.api.ok(f"/v1/conversation/{conversation}/session/create"))["token"]

    async with tenant.house.api(key=token) as visitor:
        answer = await visitor.post(f"/v1/conversation/{conversation}/send", {"text": "x"}, Origin=site)
        closed = await visitor.get("/v1/bot/list", Origin=site)

    assert (answer.status, closed.status) == (200, 403)
    assert crossing(answer) == crossing(closed) != {}


async def test_a_token_carried_off_to_another_page_opens_nothing_there(
    tenant: Tenant, other_site: str
) -> None:
    conversation = await tenant.api.conversation()
    token = (await tenant.api.ok(f"/v1/conversation/{conversation}/session/create"))["token"]

    async with tenant.house.api(key=token) as visitor:
        for origin in (other_site, fresh(), "null"):
            answer = await visitor.post(f"/v1/conversation/{conversation}/send", {"text": "x"}, Origin=origin)
            assert (answer.status, answer.body["code"]) == (403, "NOT_AUTHORIZED")
            assert "origin add" in answer.body["message"]
            assert crossing(answer) == {}

    assert await tenant.api.messages(conversation) == []
