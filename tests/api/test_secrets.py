"""Secrets: a value goes in and never comes out; what the server cannot honour it does not take."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain import ids
from domain.paging import PAGE_BYTES
from tests.api.test_exports import CSV
from tests.api.test_streams import JSONL, SSE
from tests.house import House
from tests.http import Api
from tests.tenant import Tenant

VALUE = "canary:canary"
FILL = """
INSERT INTO secret (id, account_id, type, description)
SELECT 'sec_' || $2 || n, $1, 'plain', repeat('中', 999000) FROM generate_series(1, 5) AS n
"""


async def secret(api: Api, **fields: Any) -> str:
    made: str = (await api.ok("/v1/secret/create", {"value": VALUE, **fields}))["id"]
    return made


async def fetched(api: Api, name: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/secret/{name}/fetch")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


@pytest.fixture
async def keyless(house: House, tenant: Tenant) -> AsyncIterator[Api]:
    """The tenant at an API process without a key for secrets."""
    house.start("api2", HOLDFAST_SECRET_KEYS="")
    try:
        await house.ready("api2")
        async with house.api("api2", tenant.api.key) as api:
            yield api
    finally:
        house.stop("api2")


@pytest.mark.parametrize("type_", ["plain", "bearer", "basic"])
async def test_no_answer_shows_a_value(tenant: Tenant, type_: str) -> None:
    said: list[bytes] = []

    async def ask(verb: str, path: str, body: Any = None, **headers: str) -> dict[str, Any]:
        sent = headers | ({"Content-Type": "application/json"} if verb == "POST" else {})
        answer = await tenant.api.raw(verb, f"/v1{path}", json.dumps(body) if body else None, **sent)
        said.extend((answer.body, str(answer.headers).encode()))
        return dict(json.loads(answer.body)) if answer.body.startswith(b"{") and not headers else {}

    full = {"type": type_, "value": VALUE, "name": "n"}
    for key in ({}, {"Idempotency-Key": "k"}, {"Idempotency-Key": "k"}):
        await ask("POST", "/secret/create", full, **key)
    made = (await ask("POST", "/secret/create", full))["id"]
    await ask("POST", f"/secret/{made}/update", full)
    await ask("POST", f"/secret/{made}/update", {"value": [VALUE]})
    await ask("POST", f"/secret/{made}/update", {"value": f"{VALUE}\n"})
    await ask("POST", f"/secret/{made}/verify")
    await ask("POST", f"/secret/{made}/revoke")
    await ask("GET", f"/secret/{made}/fetch")
    for path in ("/secret/list", "/event/log/list", "/event/log/export"):
        for shape in (JSONL, SSE, {"Accept": "application/json"}):
            await ask("GET", path, **shape)
    await ask("GET", "/event/log/export", **CSV)
    await ask("POST", f"/secret/{made}/delete")

    text = b"".join(said)
    assert made.encode() in text
    for trace in (VALUE.encode(), b"canary", base64.b64encode(VALUE.encode()), b"canary".hex().encode()):
        assert trace not in text
    for log in (tenant.house.home / "log").iterdir():
        assert VALUE not in log.read_text(errors="replace"), log.name


async def test_an_update_keeps_the_value_that_it_does_not_name_and_null_clears_it(tenant: Tenant) -> None:
    made = await secret(tenant.api)
    verify = f"/v1/secret/{made}/verify"

    at_first = await tenant.api.ok(verify)
    await tenant.api.ok(f"/v1/secret/{made}/update", {"name": "n"})
    renamed = await tenant.api.ok(verify)
    await tenant.api.ok(f"/v1/secret/{made}/update", {"value": None})
    cleared = await tenant.api.ok(verify)
    await tenant.api.ok(f"/v1/secret/{made}/update", {"value": "x"})
    again = await tenant.api.ok(verify)

    assert at_first == renamed == again == {"id": made, "status": "authenticated"}
    assert cleared == {"id": made, "status": "unauthenticated"}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("type", "jwt"),
        ("type", "oauth"),
        ("type", "template"),
        ("type", "reference"),
        ("kind", "personal"),
        ("config", {}),
        ("blueprintId", "x"),
        ("visibility", "public"),
    ],
)
async def test_what_this_server_cannot_honour_is_501_by_name(tenant: Tenant, field: str, value: Any) -> None:
    made = await secret(tenant.api)

    for path in ("create", f"{made}/update"):
        status, body, _ = await tenant.api.post(f"/v1/secret/{path}", {field: value})
        assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
        assert body["message"].startswith(f"{field}: ")
    assert (await tenant.belongings())["secret"] == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"value": ""},
        {"value": 5},
        {"value": "a\r\nX-Other: b"},
        {"value": "two\nlines"},
        {"value": "käse"},
        {"value": " around "},
        {"value": "x" * 16_385},
        {"type": "basic", "value": "no-colon"},
        {"type": "basic", "value": "user:\u0007"},
        {"type": "magic"},
        {"type": None},
        {"kind": None},
    ],
    ids=str,
)
async def test_what_could_not_be_sent_is_no_value(tenant: Tenant, fields: dict[str, Any]) -> None:
    made = await secret(tenant.api, type="basic" if "basic" in fields.values() else "plain")

    for path in ("create", f"{made}/update"):
        status, body, _ = await tenant.api.post(f"/v1/secret/{path}", fields)
        assert (status, body["code"]) == (400, "BAD_REQUEST")
        assert body["message"].startswith(f"{[*fields][-1]}: ")


async def test_a_value_is_not_taken_for_one_of_another_type(tenant: Tenant) -> None:
    made = await secret(tenant.api, type="basic")
    path = f"/v1/secret/{made}/update"

    status, body, _ = await tenant.api.post(path, {"type": "bearer"})
    await tenant.api.ok(path, {"type": "basic", "name": "same"})
    misfit = await tenant.api.post(path, {"value": "no-colon"})
    kept = await fetched(tenant.api, made)
    await tenant.api.ok(path, {"type": "bearer", "value": "no-colon"})
    await tenant.api.ok(path, {"type": "plain", "value": None})
    await tenant.api.ok(path, {"type": "basic"})

    assert (status, body["code"], misfit.status) == (400, "BAD_REQUEST", 400)
    assert "type" in body["message"]
    assert (kept["type"], kept["name"]) == ("basic", "same")
    assert (await fetched(tenant.api, made))["type"] == "basic"


async def test_a_create_repeated_under_its_key_is_one_secret_and_tells_two_values_apart(
    tenant: Tenant,
) -> None:
    key = {"Idempotency-Key": "k"}
    body = {"value": VALUE, "alias": "mail"}

    answers = [await tenant.api.ok("/v1/secret/create", body, **key) for _ in range(3)]
    other = await tenant.api.post("/v1/secret/create", body | {"value": "another"}, **key)

    assert answers[0] == answers[1] == answers[2]
    assert (other.status, other.body["code"]) == (409, "CONFLICT")
    assert (await tenant.belongings())["secret"] == 1


async def test_an_alias_stands_for_the_id_of_a_secret(tenant: Tenant) -> None:
    made, other = await secret(tenant.api, alias="mail"), await secret(tenant.api)
    await tenant.api.ok("/v1/bot/create", {"alias": "mail"})

    found = await fetched(tenant.api, "@mail")
    changed = await tenant.api.ok("/v1/secret/@mail/update", {"name": "n"})
    verified = await tenant.api.ok("/v1/secret/@mail/verify")
    taken = await tenant.api.post(f"/v1/secret/{other}/update", {"alias": "mail"})
    again = await tenant.api.post("/v1/secret/create", {"alias": "mail"})
    log = (await tenant.api.get("/v1/event/log/list?secretId=@mail&type=secret.create")).body["items"]
    removed = await tenant.api.ok("/v1/secret/@mail/delete")

    assert (found["id"], found["alias"]) == (made, "mail")
    assert changed == removed == {"id": made}
    assert verified["id"] == made
    for refused in (taken, again):
        assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
        assert "another secret of this account" in refused.body["message"]
    assert [entry["secretId"] for entry in log] == [made]
    assert (await tenant.api.get("/v1/secret/@mail/fetch")).status == 404
    assert (await tenant.api.get("/v1/bot/@mail/fetch")).status == 200


async def test_what_is_done_to_a_secret_is_told_without_a_word_of_it(tenant: Tenant) -> None:
    made = await secret(tenant.api, name="canary", description="canary", meta={"canary": "canary"})
    await tenant.api.ok(f"/v1/secret/{made}/update", {"value": VALUE})
    await tenant.api.ok(f"/v1/secret/{made}/verify")
    await tenant.api.ok(f"/v1/secret/{made}/delete")

    entries = (await tenant.acts())[2:]

    assert [(entry["type"], entry["secretId"]) for entry in entries] == [
        ("secret.create", made),
        ("secret.update", made),
        ("secret.delete", made),
    ]
    assert all(entry["meta"]["actor"].startswith("key_") for entry in entries)
    assert "canary" not in str(entries)


async def test_a_page_of_large_secrets_is_shorter_than_asked_for(tenant: Tenant) -> None:
    await tenant.house.rows(FILL, tenant.account, ids.secret()[4:])

    page = (await tenant.api.get("/v1/secret/list")).body
    _, lines, _ = await tenant.api.raw("GET", "/v1/secret/list", **JSONL)

    size = sum(len(item["description"].encode()) for item in page["items"][:-1])
    assert 0 < len(page["items"]) < 5
    assert size < PAGE_BYTES
    assert len(lines.splitlines()) == 5


async def test_a_server_without_a_key_says_what_to_set_and_serves_the_rest(
    tenant: Tenant, keyless: Api
) -> None:
    made = await secret(tenant.api)

    refused = [
        await keyless.post("/v1/secret/create", {"value": VALUE}),
        await keyless.post("/v1/secret/create", {}),
        await keyless.post(f"/v1/secret/{made}/update", {"value": VALUE}),
    ]

    for status, body, _ in refused:
        assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
        assert "HOLDFAST_SECRET_KEYS" in body["message"]
    assert await keyless.ok(f"/v1/secret/{made}/verify") == {"id": made, "status": "unauthenticated"}
    assert await keyless.ok(f"/v1/secret/{made}/update", {"name": "n"}) == {"id": made}
    assert (await fetched(keyless, made))["name"] == "n"
    assert (await keyless.ok("/v1/bot/create"))["id"]
    assert await keyless.ok(f"/v1/secret/{made}/delete") == {"id": made}


async def test_a_page_with_a_sessions_token_meets_no_secret(tenant: Tenant) -> None:
    made = await secret(tenant.api)
    token = (await tenant.api.ok(f"/v1/conversation/{await tenant.api.conversation()}/session/create"))[
        "token"
    ]

    async with tenant.house.api(key=token) as page:
        answers = [
            await page.get("/v1/secret/list"),
            await page.get(f"/v1/secret/{made}/fetch"),
            await page.post(f"/v1/secret/{made}/verify"),
        ]

    assert [(answer.status, answer.body["code"]) for answer in answers] == [(403, "NOT_AUTHORIZED")] * 3
