"""Targets: listed, shown, given a new secret, tested and brought back."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from domain import ids
from tests.api.test_delivery_field import (
    EMAIL,
    URL,
    WEBHOOK,
    dispatched,
    owning,
    shown,
    strict,  # noqa: F401 - a fixture
    targets,
)
from tests.api.test_streams import JSONL, jsonl
from tests.http import Api
from tests.tenant import Tenant

HOUR = 3_600_000
DISABLE = "UPDATE target SET disabled_at = now(), disabled_code = 'TARGET_GONE', failures = 7 WHERE id = $1"


async def target_of(api: Api, owner: str = "task", **delivery: Any) -> str:
    """The target of a new task or trigger."""
    made = await owning(api, owner, **(delivery or {"webhook": WEBHOOK}))
    (found,) = (await shown(api, owner, made)).values()
    return str(found["targetId"])


async def fetched(api: Api, target: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/target/{target}/fetch")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


async def listed(api: Api, query: str = "") -> list[str]:
    return [item["id"] for item in (await api.get(f"/v1/target/list{query}")).body["items"]]


async def test_a_target_is_fetched_with_its_secret_and_listed_without(tenant: Tenant) -> None:
    target = await target_of(tenant.api)

    found = await fetched(tenant.api, target)
    (item,) = (await tenant.api.get("/v1/target/list")).body["items"]
    (line,) = jsonl((await tenant.api.raw("GET", "/v1/target/list", **JSONL)).body)

    assert found.pop("secret").startswith("whsec_")
    assert item == line["data"] == found
    assert found == {
        "id": target,
        "kind": "webhook",
        "taskId": found["taskId"],
        "url": URL,
        "headerNames": ["X-Token", "x-other"],
        "events": ["failed"],
        "failures": 0,
        "createdAt": found["createdAt"],
        "updatedAt": found["updatedAt"],
    }


async def test_an_email_has_no_secret(tenant: Tenant, strict: Api) -> None:  # noqa: F811 - the fixture
    target = await target_of(strict, email=EMAIL)

    found = await fetched(tenant.api, target)
    status, body, _ = await tenant.api.post(f"/v1/target/{target}/rotate")

    assert (found["kind"], found["to"], found["subject"]) == ("email", EMAIL["to"], EMAIL["subject"])
    assert not {"secret", "url", "headerNames"} & {*found} - {"headerNames"}
    assert (status, body["code"]) == (400, "BAD_REQUEST")


async def test_targets_are_listed_a_page_at_a_time_and_by_whose_they_are(tenant: Tenant) -> None:
    api = tenant.api
    of_task = await owning(api, "task", webhook=WEBHOOK)
    of_trigger = await owning(api, "integration/trigger", webhook=WEBHOOK)
    task = (await shown(api, "task", of_task))["webhook"]["targetId"]
    trigger = (await shown(api, "integration/trigger", of_trigger))["webhook"]["targetId"]
    (said,) = await targets(api, await dispatched(api, webhook=WEBHOOK))
    all_ = [task, trigger, said["id"]]

    assert await listed(api) == all_[::-1]
    assert await listed(api, "?order=asc") == all_
    assert await listed(api, f"?order=asc&take=1&cursor={task}") == [trigger]
    assert await listed(api, f"?taskId={of_task}") == [task]
    assert await listed(api, f"?triggerId={of_trigger},{of_trigger}") == [trigger]
    assert await listed(api, f"?taskId={of_task}&triggerId={of_trigger}") == []
    await api.ok(f"/v1/task/{of_task}/update", {"delivery": None})
    assert await listed(api) == all_[:0:-1]


@pytest.mark.parametrize("query", ["meta.a=1", "kind=webhook", "state=dead"])
async def test_what_targets_are_not_listed_by_is_refused(tenant: Tenant, query: str) -> None:
    status, body, _ = await tenant.api.get(f"/v1/target/list?{query}")

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert query.split("=")[0] in body["message"]


async def test_a_new_secret_takes_over_and_the_old_one_signs_too_for_a_day(tenant: Tenant) -> None:
    target = await target_of(tenant.api)
    before = await fetched(tenant.api, target)

    answer = await tenant.api.ok(f"/v1/target/{target}/rotate")
    after = await fetched(tenant.api, target)
    (row,) = await tenant.house.rows("SELECT * FROM target WHERE id = $1", target)

    assert answer == {"id": target}
    assert before["secret"] != after["secret"]
    assert after["secret"].startswith("whsec_")
    assert abs(after["previousUntil"] - time.time() * 1_000 - 24 * HOUR) < 60_000
    assert row["previous"] is not None
    assert [entry["type"] for entry in await tenant.acts("target.rotate")] == ["target.rotate"]


async def test_how_long_the_old_secret_signs_is_said_in_hours(tenant: Tenant) -> None:
    target = await target_of(tenant.api)

    await tenant.api.ok(f"/v1/target/{target}/rotate", {"hours": 720})
    long = await fetched(tenant.api, target)
    await tenant.api.ok(f"/v1/target/{target}/rotate", {"hours": 0})
    none = await fetched(tenant.api, target)
    refused = [
        await tenant.api.post(f"/v1/target/{target}/rotate", body)
        for body in ({"hours": -1}, {"hours": 721}, {"hours": 1.5}, {"hours": None}, {"secret": "x"})
    ]

    assert abs(long["previousUntil"] - time.time() * 1_000 - 720 * HOUR) < 60_000
    assert "previousUntil" not in none
    assert len({long["secret"], none["secret"]}) == 2
    assert [answer.status for answer in refused] == [400] * 5
    assert await fetched(tenant.api, target) == none


async def test_a_rotation_repeated_under_its_key_is_one(tenant: Tenant) -> None:
    target = await target_of(tenant.api)
    path, key = f"/v1/target/{target}/rotate", {"Idempotency-Key": ids.channel()}

    await asyncio.gather(*(tenant.api.ok(path, {}, **key) for _ in range(5)))
    once = await fetched(tenant.api, target)
    await tenant.api.ok(path, {}, **key)
    other = await tenant.api.post(path, {"hours": 1}, **key)

    assert await fetched(tenant.api, target) == once
    assert other.status == 409
    assert len(await tenant.acts("target.rotate")) == 1


async def test_calls_with_one_url_get_their_new_secret_together(tenant: Tenant) -> None:
    api = tenant.api
    (one,) = await targets(api, await dispatched(api, webhook=WEBHOOK))
    (two,) = await targets(api, await dispatched(api, webhook={"url": URL}))
    (apart,) = await targets(api, await dispatched(api, webhook={"url": f"{URL}2"}))
    own = await target_of(api)

    before = await fetched(api, own)
    await api.ok(f"/v1/target/{two['id']}/rotate")
    (three,) = await targets(api, await dispatched(api, webhook={"url": URL, "events": ["failed"]}))
    after = [await fetched(api, target) for target in (one["id"], two["id"], three["id"])]

    assert len({target["secret"] for target in after}) == 1
    assert len({target["previousUntil"] for target in after}) == 1
    assert after[0]["secret"] != one["secret"] == two["secret"]
    assert (await fetched(api, apart["id"]))["secret"] == apart["secret"]
    assert await fetched(api, own) == before


async def test_a_secret_that_no_key_opens_is_made_anew_by_a_rotation(tenant: Tenant) -> None:
    (one,) = await targets(tenant.api, await dispatched(tenant.api, webhook=WEBHOOK))
    await tenant.house.rows("UPDATE target SET secret_key = 'lost' WHERE id = $1", one["id"])
    call = {"messages": [{"type": "user", "text": "x"}], "delivery": {"webhook": {"url": URL}}}

    blind = await fetched(tenant.api, one["id"])
    refused = await tenant.api.post("/v1/conversation/dispatch", call)
    await tenant.api.ok(f"/v1/target/{one['id']}/rotate")
    seen = await fetched(tenant.api, one["id"])
    await tenant.api.ok("/v1/conversation/dispatch", call)

    assert "secret" not in blind
    assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
    assert "rotate" in refused.body["message"]
    assert seen["secret"] != one["secret"]
    assert "previousUntil" not in seen


async def test_a_test_makes_a_delivery_that_tells_of_the_target_alone(tenant: Tenant) -> None:
    target = await target_of(tenant.api)
    path, key = f"/v1/target/{target}/test", {"Idempotency-Key": ids.channel()}

    made = [await tenant.api.ok(path, {}, **key) for _ in range(2)]
    another = await tenant.api.ok(path)
    found = (await tenant.api.get(f"/v1/delivery/{made[0]['id']}/fetch")).body

    assert made[0] == made[1] != another
    assert made[0]["id"].startswith("dlv_")
    assert (found["type"], found["targetId"], found["kind"]) == ("test.ping", target, "webhook")
    assert found["state"] == "pending"
    assert f'"targetId": "{target}"' in found["body"]
    assert not {"runId", "taskId", "triggerId"} & {*found}
    assert len(await tenant.acts("target.test")) == 2


async def test_a_disabled_target_is_tested_once_it_is_enabled(tenant: Tenant) -> None:
    target = await target_of(tenant.api)
    await tenant.house.rows(DISABLE, target)
    off = await fetched(tenant.api, target)

    refused = await tenant.api.post(f"/v1/target/{target}/test")
    answer = await tenant.api.ok(f"/v1/target/{target}/enable")
    on = await fetched(tenant.api, target)
    await tenant.api.ok(f"/v1/target/{target}/test")

    assert (off["disabledCode"], off["failures"]) == ("TARGET_GONE", 7)
    assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
    assert "enable" in refused.body["message"]
    assert answer == {"id": target}
    assert not {"disabledAt", "disabledCode", "openUntil"} & {*on}
    assert on["failures"] == 0
    assert [entry["targetId"] for entry in await tenant.acts("target.enable")] == [target]


@pytest.mark.parametrize("act", ["test", "rotate", "enable"])
async def test_with_a_removed_target_nothing_is_done(tenant: Tenant, act: str) -> None:
    made = await owning(tenant.api, "task", webhook=WEBHOOK)
    target = (await shown(tenant.api, "task", made))["webhook"]["targetId"]
    await tenant.api.ok(f"/v1/task/{made}/update", {"delivery": {"webhook": None}})
    before, acts = await fetched(tenant.api, target), await tenant.acts()

    status, body, _ = await tenant.api.post(f"/v1/target/{target}/{act}")

    assert (status, body["code"]) == (409, "CONFLICT")
    assert before["removedAt"] > 0
    assert await fetched(tenant.api, target) == before
    assert await tenant.acts() == acts
