"""Deliveries: listed, shown with their attempts, sent again one or many, removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from domain import ids
from tests.api.test_delivery_field import URL, WEBHOOK, deliveries, dispatched, hook
from tests.api.test_streams import JSONL, jsonl
from tests.api.test_targets import DISABLE, listed, target_of
from tests.http import Api
from tests.tenant import Tenant

DEAD = """
UPDATE delivery SET state = 'dead', ended_at = clock_timestamp(), look_at = NULL, error_code = 'EXHAUSTED',
                    attempts = 10 WHERE id = ANY ($1::text[])
"""
ATTEMPT = """
INSERT INTO delivery_attempt (delivery_id, number, target_id, round, ended_at, status, error_code,
                              headers, body)
SELECT id, 1000 + $2, target_id, 7, clock_timestamp(), 503, 'HTTP_503', '{"retry-after": "5"}', 'busy'
FROM delivery WHERE id = $1
"""


async def pinged(api: Api, target: str) -> str:
    made: str = (await api.ok(f"/v1/target/{target}/test"))["id"]
    return made


async def given_up(tenant: Tenant, target: str, count: int = 1) -> list[str]:
    """Dead letters to a target, oldest first."""
    made = [await pinged(tenant.api, target) for _ in range(count)]
    await tenant.house.rows(DEAD, made)
    return made


async def fetched(api: Api, delivery: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/delivery/{delivery}/fetch")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


async def found(api: Api, query: str) -> list[str]:
    return [item["id"] for item in (await api.get(f"/v1/delivery/list?{query}")).body["items"]]


async def test_a_result_is_on_its_way_once_its_run_has_ended_and_says_so(tenant: Tenant) -> None:
    run = await dispatched(tenant.api, webhook={"url": URL})

    (sent,) = await deliveries(tenant.api, run)
    shown = await fetched(tenant.api, sent["id"])

    assert sent == {
        "id": sent["id"],
        "targetId": sent["targetId"],
        "kind": "webhook",
        "runId": run,
        "type": "conversation.completed",
        "state": "pending",
        "round": 1,
        "attempts": sent["attempts"],
        "nextAt": sent["nextAt"],
        "createdAt": sent["createdAt"],
    } | {name: sent[name] for name in ("errorCode",) if name in sent}
    body = json.loads(shown["body"])
    assert (body["type"], body["data"]["runId"]) == ("conversation.completed", run)
    assert body["data"]["text"]
    assert {*shown} - {*sent} <= {"body", "tried", "errorCode"}


async def test_every_attempt_is_shown_the_newest_first(tenant: Tenant) -> None:
    (dead,) = await given_up(tenant, await target_of(tenant.api))
    for number in (1, 2):
        await tenant.house.rows(ATTEMPT, dead, number)

    newest, before = (await fetched(tenant.api, dead))["tried"][:2]

    assert (newest["number"], before["number"]) == (1_002, 1_001)
    assert newest == {
        "number": 1_002,
        "round": 7,
        "begunAt": newest["begunAt"],
        "endedAt": newest["endedAt"],
        "status": 503,
        "errorCode": "HTTP_503",
        "headers": {"retry-after": "5"},
        "body": "busy",
    }


async def test_deliveries_are_listed_a_page_at_a_time_and_by_all_that_they_are_about(tenant: Tenant) -> None:
    api = tenant.api
    one, two = await target_of(api), await target_of(api)
    run = await dispatched(api, webhook={"url": URL})
    (sent,) = await deliveries(api, run)
    dead = await given_up(tenant, one, 2)
    other = await pinged(api, two)
    all_ = [sent["id"], *dead, other]
    made = (await fetched(api, dead[0]))["createdAt"]
    of_both = "UPDATE delivery SET task_id = 'task_x', trigger_id = 'trig_x' WHERE id = $1"

    assert await found(api, "") == all_[::-1]
    assert await found(api, "order=asc") == all_
    assert await found(api, f"order=asc&take=2&cursor={all_[0]}") == dead
    assert await found(api, "state=dead") == dead[::-1]
    assert await found(api, "state=pending,delivered&order=asc") == [sent["id"], other]
    assert await found(api, f"targetId={one}") == dead[::-1]
    assert await found(api, f"targetId={one},{two}&state=pending") == [other]
    assert await found(api, f"runId={run}") == [sent["id"]]
    assert await found(api, "type=conversation.completed,task.failed") == [sent["id"]]
    assert await found(api, f"from={made + 3_600_000}") == await found(api, f"to={made - 3_600_000}") == []
    assert await found(api, f"from={made - 3_600_000}&to={made + 3_600_000}&order=asc") == all_
    await tenant.house.rows(of_both, other)
    assert await found(api, "taskId=task_x") == await found(api, "triggerId=trig_x,trig_y") == [other]
    lines = jsonl((await api.raw("GET", "/v1/delivery/list?order=asc", **JSONL)).body)
    assert [line["data"]["id"] for line in lines] == all_
    assert all(("nextAt" in line["data"]) == (line["data"]["state"] == "pending") for line in lines)


@pytest.mark.parametrize(
    "query", ["state=lost", "state=dead,lost", "from=yesterday", "to=-1", "meta.a=1", "botId=x", "kind=email"]
)
async def test_what_deliveries_are_not_listed_by_is_refused(tenant: Tenant, query: str) -> None:
    status, body, _ = await tenant.api.get(f"/v1/delivery/list?{query}")

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert query.split("=")[0] in body["message"]


async def test_a_dead_letter_is_sent_again_under_its_id(tenant: Tenant) -> None:
    (dead,) = await given_up(tenant, await target_of(tenant.api))
    path, key = f"/v1/delivery/{dead}/redeliver", {"Idempotency-Key": ids.channel()}
    before = await fetched(tenant.api, dead)

    answers = [await tenant.api.ok(path, {}, **key) for _ in range(3)]
    after = await fetched(tenant.api, dead)

    assert answers == [{"id": dead}] * 3
    assert (before["state"], before["errorCode"], before["round"]) == ("dead", "EXHAUSTED", 1)
    assert (after["state"], after["round"], after["body"]) == ("pending", 2, before["body"])
    assert "endedAt" in before
    assert "endedAt" not in after
    assert [entry["deliveryId"] for entry in await tenant.acts("delivery.redeliver")] == [dead]


async def test_what_cannot_be_sent_is_not_sent_again(tenant: Tenant) -> None:
    api = tenant.api
    off, empty = await target_of(api), await target_of(api)
    (to_nobody,), (of_nothing,) = await given_up(tenant, off), await given_up(tenant, empty)
    await tenant.house.rows(DISABLE, off)
    await tenant.house.rows("UPDATE delivery SET body = NULL WHERE id = $1", of_nothing)

    refused = [await api.post(f"/v1/delivery/{dead}/redeliver") for dead in (to_nobody, of_nothing)]
    many = await api.ok("/v1/delivery/redeliver", {"state": "dead"})

    assert [(answer.status, answer.body["code"]) for answer in refused] == [(409, "CONFLICT")] * 2
    assert "enable" in refused[0].body["message"]
    assert many == {"count": 0, "more": False}
    assert await found(api, "state=dead&order=asc") == [to_nobody, of_nothing]
    assert await tenant.acts("delivery.redeliver") == []


async def test_many_are_sent_again_by_what_they_are_about(tenant: Tenant, api: Api) -> None:
    one, two = await target_of(tenant.api), await target_of(tenant.api)
    first, second = await given_up(tenant, one, 3), await given_up(tenant, two, 2)
    path = "/v1/delivery/redeliver"
    made = (await fetched(tenant.api, second[0]))["createdAt"]

    foreign = await api.ok(path, {"state": "dead", "targetId": one})
    early = await tenant.api.ok(path, {"state": "dead", "to": made - 3_600_000})
    other = await tenant.api.ok(path, {"state": "dead", "taskId": "task_x"})
    some = await tenant.api.ok(path, {"state": "dead", "targetId": one})
    left = await found(tenant.api, "state=dead&order=asc")
    key = {"Idempotency-Key": ids.channel()}
    rest = [await tenant.api.ok(path, {"state": "dead", "from": made - 3_600_000}, **key) for _ in range(2)]

    assert foreign == early == other == {"count": 0, "more": False}
    assert some == {"count": 3, "more": False}
    assert left == second
    assert rest == [{"count": 2, "more": False}] * 2
    assert {*await found(tenant.api, "state=pending")} >= {*first, *second}


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({}, "state"),
        ({"state": "pending"}, "state"),
        ({"state": "dead", "runId": "x"}, "runId: unknown field"),
        ({"state": "dead", "targetId": ["x"]}, "targetId"),
        ({"state": "dead", "from": "yesterday"}, "from"),
    ],
)
async def test_what_is_to_be_sent_again_is_said_in_words_that_there_are(
    tenant: Tenant, body: dict[str, Any], told: str
) -> None:
    dead = await given_up(tenant, await target_of(tenant.api))

    status, answer, _ = await tenant.api.post("/v1/delivery/redeliver", body)

    assert (status, answer["code"]) == (400, "BAD_REQUEST")
    assert told in answer["message"]
    assert await found(tenant.api, "state=dead") == dead


async def test_a_delivery_is_removed_whatever_became_of_it(tenant: Tenant) -> None:
    target = await target_of(tenant.api)
    (dead,), pending = await given_up(tenant, target), await pinged(tenant.api, target)

    for delivery in (dead, pending):
        assert await tenant.api.ok(f"/v1/delivery/{delivery}/delete") == {"id": delivery}
        assert (await tenant.api.post(f"/v1/delivery/{delivery}/delete")).status == 404
        assert (await tenant.api.get(f"/v1/delivery/{delivery}/fetch")).status == 404

    assert await found(tenant.api, "") == []
    assert await listed(tenant.api) == [target]
    acts = await tenant.acts("delivery.delete")
    assert [entry["deliveryId"] for entry in acts] == [dead, pending]


async def test_the_words_of_a_delivery_go_with_their_conversation(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    body = {"text": "[model tokens=1]", "delivery": hook()}
    run = (await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", body))["runId"]
    (sent,) = await deliveries(tenant.api, run)

    await tenant.api.ok(f"/v1/conversation/{conversation}/delete")
    left = await fetched(tenant.api, sent["id"])
    refused = await tenant.api.post(f"/v1/delivery/{sent['id']}/redeliver")

    assert (left["state"], left["errorCode"]) == ("dead", "DELETED")
    assert "body" not in left
    assert refused.status == 409


async def test_the_dead_letters_of_a_removed_target_are_listed_and_wait_for_it(tenant: Tenant) -> None:
    made = (await tenant.api.ok("/v1/task/create", {"delivery": {"webhook": WEBHOOK}}))["id"]
    (target,) = await listed(tenant.api)
    (dead,) = await given_up(tenant, target)
    path = f"/v1/delivery/{dead}/redeliver"

    await tenant.api.ok(f"/v1/task/{made}/update", {"delivery": None})
    refused = await tenant.api.post(path)
    seen = await found(tenant.api, f"targetId={target}")
    await tenant.api.ok(f"/v1/task/{made}/update", {"delivery": {"webhook": WEBHOOK}})
    await tenant.api.ok(path)

    assert refused.status == 409
    assert seen == [dead]
    assert (await fetched(tenant.api, dead))["state"] == "pending"
