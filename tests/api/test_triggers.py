"""Triggers: made, read, changed, set up and removed; the task that holds their schedule is seen by nobody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from domain import ids
from domain.occurrences import following
from domain.schedule import Timing, parse
from tests.api.test_secrets import keyless  # noqa: F401 - the fixture
from tests.api.test_streams import JSONL, jsonl
from tests.house import House, eventually
from tests.http import Api, inner
from tests.tenant import Tenant
from tests.triggers import DONE
from tests.workflows.test_projection import gone

FULL: dict[str, Any] = {
    "name": "n",
    "description": "Sort it.",
    "alias": "post",
    "meta": {"a": 1},
    "authenticate": False,
    "eventId": {"pointer": "/id"},
    "orderingKey": {"header": "X-Customer"},
    "schedule": "0 7 * * 1-5",
    "timezone": "Europe/London",
    "sessionDuration": 2_678_400_000,
}
HMAC = {
    "preset": "hmac",
    "header": "X-Signature",
    "algorithm": "sha512",
    "encoding": "base64",
    "prefix": "v1=",
}
SECRETS = ["canary-secret-1", "canary-secret-2"]
LONG = "[model tokens=4000 delay=25]"


async def trigger(tenant: Tenant, **fields: Any) -> str:
    told = await tenant.api.ok("/v1/integration/trigger/create", fields)
    assert told.keys() == {"id"}
    made: str = told["id"]
    return made


async def fetched(api: Api, id_: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/integration/trigger/{id_}/fetch")
    assert status == 200, body
    return dict(body)


async def hidden(tenant: Tenant, id_: str) -> str:
    """The task that holds its schedule."""
    (row,) = await tenant.house.rows("SELECT id FROM task WHERE trigger_id = $1", id_)
    return str(row["id"])


async def run_of(tenant: Tenant, id_: str) -> str:
    """A run of its schedule that goes on for long; of the kinds of runs it is a trigger's."""
    task = await hidden(tenant, id_)
    await tenant.house.rows(
        "UPDATE task SET schedule = '* * * * *', next_at = date_trunc('minute', clock_timestamp()),"
        " untold_at = NULL WHERE id = $1",
        task,
    )
    await tenant.house.store.ledger.catch_up(task)
    (row,) = await tenant.house.rows("SELECT id FROM run WHERE trigger_id = $1", id_)
    return str(row["id"])


# What is said of it.


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_trigger_is_made_and_read_with_all_that_was_said_of_it(tenant: Tenant, prefix: str) -> None:
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]

    made = (await tenant.api.ok(f"{prefix}/integration/trigger/create", FULL | {"botId": bot}))["id"]
    found = (await tenant.api.get(f"{prefix}/integration/trigger/{made}/fetch")).body
    listed = (await tenant.api.get(f"{prefix}/integration/trigger/list")).body

    timing = Timing(schedule="0 7 * * 1-5", timezone="Europe/London")
    since = datetime.fromtimestamp(found["createdAt"] / 1_000, UTC)
    first = following(parse(timing, await hidden(tenant, made)), since, 1)[0].at
    own = {name: found[name] for name in ("id", "createdAt", "updatedAt", "secret")}
    assert found == FULL | own | {"botId": bot, "nextTriggerAt": int(first.timestamp() * 1_000)}
    assert len(bytes.fromhex(found["secret"])) == 32
    assert listed == {"items": [found], "cursor": made}


async def test_a_trigger_of_nothing_asks_for_its_secret_and_is_never_due(tenant: Tenant) -> None:
    found = await fetched(tenant.api, await trigger(tenant))
    nulls = await fetched(tenant.api, await trigger(tenant, **dict.fromkeys(FULL)))

    own = ("id", "createdAt", "updatedAt", "secret")
    assert {name: value for name, value in found.items() if name not in own} == {
        "meta": {},
        "authenticate": True,
    }
    assert nulls.keys() == found.keys()
    assert nulls["secret"] != found["secret"]


@pytest.mark.parametrize("preset", ["github", "slack"])
async def test_the_secrets_of_a_source_are_counted_and_never_shown(tenant: Tenant, preset: str) -> None:
    made = await trigger(tenant, verification={"preset": preset, "secrets": SECRETS})

    shown = await fetched(tenant.api, made)
    _, raw, _ = await tenant.api.raw("GET", "/v1/integration/trigger/list")
    tolerance = {"tolerance": 300} if preset == "slack" else {}

    assert shown["verification"] == {"preset": preset, "secretCount": 2} | tolerance
    assert b"canary" not in raw
    assert shown["authenticate"]


async def test_how_a_source_signs_is_shown_as_it_was_said_and_replaced_whole(tenant: Tenant) -> None:
    made = await trigger(tenant, verification=HMAC | {"secrets": SECRETS})
    path = f"/v1/integration/trigger/{made}/update"

    first = (await fetched(tenant.api, made))["verification"]
    await tenant.api.ok(path, {"name": "n"})
    kept = (await fetched(tenant.api, made))["verification"]
    await tenant.api.ok(path, {"verification": {"preset": "stripe", "secrets": SECRETS[:1], "tolerance": 60}})
    second = (await fetched(tenant.api, made))["verification"]
    await tenant.api.ok(path, {"verification": None})

    assert first == kept == HMAC | {"secretCount": 2}
    assert second == {"preset": "stripe", "secretCount": 1, "tolerance": 60}
    assert "verification" not in await fetched(tenant.api, made)
    assert (
        await tenant.house.rows(
            "SELECT FROM trigger WHERE id = $1 AND num_nonnulls(signing, signing_key, verification) > 0", made
        )
        == []
    )


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("verification", {"preset": "github"}),
        ("verification", {"preset": "github", "secrets": []}),
        ("verification", {"preset": "github", "secrets": ["canary-a", "canary-b", "canary-c"]}),
        ("verification", {"preset": "github", "secrets": ["short"]}),
        ("verification", {"preset": "hmac", "secrets": SECRETS}),
        ("verification", {"preset": "github", "header": "X-A", "secrets": SECRETS}),
        ("verification", {"preset": "standard-webhooks", "secrets": SECRETS}),
        ("verification", {"preset": "nobody", "secrets": SECRETS}),
        ("verification", {"preset": "github", "secrets": SECRETS, "secretCount": 2}),
        ("eventId", {}),
        ("eventId", {"header": "a b"}),
        ("eventId", {"header": "a", "pointer": "/b"}),
        ("orderingKey", {"pointer": "no"}),
        ("orderingKey", {"header": "Authorization"}),
        ("sessionDuration", 2_678_400_001),
        ("sessionDuration", -1),
        ("schedule", "sometimes"),
        ("schedule", "2026-01-01 nonsense"),
        ("timezone", "Mars/Phobos"),
        ("secret", "mine"),
        ("authenticate", "yes"),
    ],
)
async def test_what_makes_no_sense_is_refused_by_name_and_without_a_secret(
    tenant: Tenant, field: str, value: Any
) -> None:
    made = await trigger(tenant)
    before = await tenant.belongings()

    for path in ("create", f"{made}/update"):
        status, body, _ = await tenant.api.post(f"/v1/integration/trigger/{path}", {field: value})
        assert (status, body["code"]) == (400, "BAD_REQUEST")
        assert field in body["message"] or "secret" in body["message"]
        assert "canary" not in str(body)
    assert await tenant.belongings() == before


async def test_its_changes_are_merged_and_null_puts_the_default_back(tenant: Tenant) -> None:
    made = await trigger(tenant, **FULL)
    path = "/v1/integration/trigger/@post/update"

    await tenant.api.ok(path, {"meta": {"b": 2}, "schedule": "hourly", "orderingKey": {"pointer": "/o"}})
    changed = await fetched(tenant.api, made)
    await tenant.api.ok(path, dict.fromkeys({*FULL} - {"alias"}))
    cleared = await fetched(tenant.api, "@post")

    assert changed["meta"] == {"a": 1, "b": 2}
    assert (changed["schedule"], changed["timezone"]) == ("hourly", "Europe/London")
    assert changed["orderingKey"] == {"pointer": "/o"}
    assert changed["eventId"] == {"pointer": "/id"}
    assert changed["nextTriggerAt"] - changed["updatedAt"] <= 3_600_000
    own = {name: cleared[name] for name in ("id", "createdAt", "updatedAt", "secret")}
    assert cleared == own | {"alias": "post", "meta": {}, "authenticate": True}
    assert cleared["secret"] == changed["secret"]


async def test_a_create_repeated_under_its_key_is_one_trigger_with_one_secret(tenant: Tenant) -> None:
    given = {"alias": "post", "verification": {"preset": "github", "secrets": SECRETS}}
    keyed = {"Idempotency-Key": "k"}
    path = "/v1/integration/trigger/create"

    answers = await asyncio.gather(*(tenant.api.ok(path, given, **keyed) for _ in range(5)))
    other = given | {"verification": {"preset": "github", "secrets": SECRETS[:1]}}
    refused = await tenant.api.post(path, other, **keyed)

    assert len({answer["id"] for answer in answers}) == 1
    assert (refused.status, refused.body["code"]) == (409, "CONFLICT")
    counts = await tenant.belongings()
    assert (counts["trigger"], counts["task"]) == (1, 1)


async def test_an_alias_stands_for_the_trigger_in_every_path_and_filter(tenant: Tenant) -> None:
    made, other = await trigger(tenant, alias="post"), await trigger(tenant)

    clash = await tenant.api.post(f"/v1/integration/trigger/{other}/update", {"alias": "post"})
    again = await tenant.api.post("/v1/integration/trigger/create", {"alias": "post"})
    log = (await tenant.api.get("/v1/event/log/list?triggerIntegrationId=@post")).body["items"]
    runs = await tenant.api.get("/v1/run/list?triggerId=@post")
    done = [
        await tenant.api.ok(f"/v1/integration/trigger/@post/{act}") for act in ("setup", "update", "delete")
    ]

    assert [(answer.status, answer.body["code"]) for answer in (clash, again)] == [(409, "CONFLICT")] * 2
    assert [(entry["type"], entry["triggerIntegrationId"]) for entry in log] == [("trigger.create", made)]
    assert runs.body["items"] == []
    assert done == [{"id": made}] * 3
    assert (await tenant.api.get("/v1/integration/trigger/@post/fetch")).status == 404
    assert (await tenant.belongings())["trigger"] == 1


async def test_triggers_are_listed_by_bot_and_meta_and_as_a_stream(tenant: Tenant) -> None:
    bot = (await tenant.api.ok("/v1/bot/create", {"alias": "desk"}))["id"]
    one = await trigger(tenant, botId="@desk", meta={"a": "b"})
    two, three = await trigger(tenant, botId=bot), await trigger(tenant)

    async def listed(query: str = "") -> list[str]:
        found = await tenant.api.get(f"/v1/integration/trigger/list{query}")
        return [item["id"] for item in found.body["items"]]

    _, raw, _ = await tenant.api.raw("GET", "/v1/integration/trigger/list?order=asc", **JSONL)

    assert await listed() == [three, two, one]
    assert await listed("?botId=@desk") == [two, one]
    assert await listed("?meta.a=b") == [one]
    assert await listed(f"?take=1&cursor={three}") == [two]
    assert [item["id"] for item in inner(jsonl(raw))] == [one, two, three]


async def test_the_acts_on_a_trigger_are_told_in_the_log_and_never_its_secrets(tenant: Tenant) -> None:
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]
    made = await trigger(tenant, botId=bot, schedule="hourly")
    await tenant.api.ok(f"/v1/integration/trigger/{made}/update", {"schedule": "daily"})
    await tenant.api.ok(f"/v1/integration/trigger/{made}/setup")
    await tenant.api.ok(f"/v1/integration/trigger/{made}/delete")

    told = [entry for entry in await tenant.acts() if entry["type"].startswith(("trigger.", "task."))]

    assert [entry["type"] for entry in told] == ["trigger.create", "trigger.update", "trigger.delete"]
    assert {entry["triggerIntegrationId"] for entry in told} == {made}
    assert told[0]["botId"] == bot
    assert not any("taskId" in entry or "triggerId" in entry for entry in told)


async def test_a_trigger_outlives_its_bot(tenant: Tenant) -> None:
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]
    made = await trigger(tenant, botId=bot, schedule="hourly")

    await tenant.api.ok(f"/v1/bot/{bot}/delete")
    found = await fetched(tenant.api, made)
    await tenant.api.ok(f"/v1/integration/trigger/{made}/update", {"schedule": "daily"})

    assert "botId" not in found
    assert found["schedule"] == "hourly"


async def test_another_accounts_bot_is_unknown(tenant: Tenant, api: Api) -> None:
    bot = (await api.ok("/v1/bot/create"))["id"]
    made = await trigger(tenant)

    for path in ("create", f"{made}/update"):
        status, body, _ = await tenant.api.post(f"/v1/integration/trigger/{path}", {"botId": bot})
        assert (status, body["code"]) == (404, "NOT_FOUND")
        assert "botId" in body["message"]
    assert (await tenant.belongings())["trigger"] == 1


async def test_a_server_without_a_key_makes_none_and_shows_those_there_are(
    tenant: Tenant,
    keyless: Api,  # noqa: F811
) -> None:
    made = await trigger(tenant, verification={"preset": "github", "secrets": SECRETS})

    status, body, _ = await keyless.post("/v1/integration/trigger/create", {})
    shown = await fetched(keyless, made)
    await keyless.ok(f"/v1/integration/trigger/{made}/update", {"name": "n"})

    assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
    assert "HOLDFAST_SECRET_KEYS" in body["message"]
    assert shown["secret"] == ""
    assert shown["verification"] == {"preset": "github"}


# The task that holds its schedule.


@pytest.fixture
async def scheduled(tenant: Tenant) -> AsyncIterator[tuple[str, str]]:
    """A trigger with a schedule, and its hidden task."""
    made = await trigger(tenant, schedule="0 7 * * *")
    yield made, await hidden(tenant, made)
    await tenant.api.post(f"/v1/integration/trigger/{made}/delete")


@pytest.mark.parametrize("path", ["list", "export", "list?status=idle"])
async def test_its_hidden_task_is_in_no_list(tenant: Tenant, scheduled: tuple[str, str], path: str) -> None:
    mine = (await tenant.api.ok("/v1/task/create", {"schedule": "0 7 * * *"}))["id"]

    found = (await tenant.api.get(f"/v1/task/{path}")).body["items"]

    assert [item["id"] for item in found] == [mine]


@pytest.mark.parametrize(
    ("verb", "path", "body"),
    [
        ("GET", "fetch", None),
        ("POST", "update", {"name": "n"}),
        ("POST", "delete", {}),
        ("POST", "trigger", {}),
        ("POST", "cancel", {}),
        ("POST", "pause", {}),
        ("POST", "resume", {}),
        ("POST", "backfill", {"from": 0, "until": 1}),
        ("POST", "occurrence/skip", {"at": 0}),
        ("POST", "occurrence/unskip", {"at": 0}),
        ("POST", "subscribe", {}),
        ("GET", "occurrence/list", None),
        ("GET", "execution/list", None),
        ("GET", "usage/fetch", None),
    ],
)
async def test_its_hidden_task_is_unknown_by_name(
    tenant: Tenant, scheduled: tuple[str, str], verb: str, path: str, body: Any
) -> None:
    url = f"/v1/task/{scheduled[1]}/{path}"

    accept = JSONL if path == "subscribe" else {}
    answer = await (tenant.api.get(url) if verb == "GET" else tenant.api.post(url, body, **accept))

    assert (answer.status, answer.body["code"]) == (404, "NOT_FOUND")
    assert (await fetched(tenant.api, scheduled[0]))["schedule"] == "0 7 * * *"


async def test_no_conversation_is_made_its_hidden_tasks(tenant: Tenant, scheduled: tuple[str, str]) -> None:
    conversation = await tenant.api.conversation()

    for path in ("create", f"{conversation}/update"):
        status, body, _ = await tenant.api.post(f"/v1/conversation/{path}", {"taskId": scheduled[1]})
        assert (status, body["code"]) == (404, "NOT_FOUND")


async def test_a_run_of_its_schedule_names_the_trigger_and_no_task(
    tenant: Tenant, scheduled: tuple[str, str]
) -> None:
    made, task = scheduled
    run = await run_of(tenant, made)

    async def over() -> None:
        assert "endedAt" in (await tenant.api.get(f"/v1/run/{run}/fetch")).body

    await eventually(over)
    shown = (await tenant.api.get(f"/v1/run/{run}/fetch")).body
    listed = (await tenant.api.get(f"/v1/run/list?triggerId={made}")).body["items"]
    none = (await tenant.api.get(f"/v1/run/list?taskId={task}")).body["items"]
    used = (await tenant.api.get("/v1/usage/list")).body["items"]
    by_task = (await tenant.api.get(f"/v1/usage/list?taskId={task}")).body["items"]
    log = await tenant.acts()
    conversation = (await tenant.api.get(f"/v1/conversation/{shown['conversationId']}/fetch")).body

    assert (shown["kind"], shown["lane"], shown["triggerId"]) == ("trigger_event", "scheduled", made)
    assert "taskId" not in shown
    assert [item["id"] for item in listed] == [run]
    assert "taskId" not in listed[0]
    assert none == by_task == []
    assert [(item["id"], item["type"], "taskId" in item) for item in used] == [
        (run, "integration/trigger", False)
    ]
    assert task not in str(log)
    of_run = [entry for entry in log if entry["type"].startswith("run.")]
    assert {entry["triggerIntegrationId"] for entry in of_run} == {made}
    assert "taskId" not in conversation
    assert (await fetched(tenant.api, made))["lastTriggerAt"] > 0


async def test_its_schedule_sets_it_off_through_temporal_once_each_time(tenant: Tenant) -> None:
    made = await trigger(tenant, description=DONE, sessionDuration=0)
    task = await hidden(tenant, made)
    # No schedule that a caller may ask for is as short.
    await tenant.house.rows(
        "UPDATE task SET every = 2000, start_at = '2020-01-01Z', revision = revision + 1,"
        " next_at = to_timestamp(2 * ceil(extract(epoch FROM clock_timestamp()) / 2)),"
        " untold_at = clock_timestamp() WHERE id = $1",
        task,
    )

    async def three() -> list[Any]:
        rows = await tenant.house.rows(
            "SELECT o.at, o.healed, r.workflow_id, r.state, r.outcome, r.conversation_id, e.source, e.body"
            " FROM occurrence o JOIN run r ON r.id = o.run_id JOIN trigger_event e ON e.run_id = r.id"
            " WHERE o.task_id = $1 AND r.ended_at IS NOT NULL ORDER BY o.at",
            task,
        )
        assert len(rows) >= 3
        return list(rows)

    rows = await eventually(three)
    due = (await fetched(tenant.api, made))["nextTriggerAt"]
    await tenant.api.ok(f"/v1/integration/trigger/{made}/delete")

    assert len({row["at"] for row in rows}) == len({row["conversation_id"] for row in rows}) == len(rows)
    ended = {(row["state"], row["outcome"], row["source"]) for row in rows}
    assert ended == {("succeeded", "success", "schedule")}
    fired = [row for row in rows if row["workflow_id"].startswith(f"{ids.scheduled_triggers(made)}-")]
    assert fired, rows
    assert all(json.loads(row["body"])["type"] == "schedule" for row in rows)
    assert due % 2_000 == 0
    await gone(tenant.house, task)


# Its end.


async def test_deleting_a_trigger_ends_its_runs_and_leaves_their_conversations(tenant: Tenant) -> None:
    made = await trigger(tenant, description=LONG)
    run = await run_of(tenant, made)

    await tenant.api.ok(f"/v1/integration/trigger/{made}/delete")
    ended = (await tenant.api.get(f"/v1/run/{run}/fetch")).body
    again = await tenant.api.post(f"/v1/integration/trigger/{made}/delete")

    assert ended["state"] in ("canceled", "succeeded")
    assert again.status == 404
    assert (await tenant.api.get(f"/v1/conversation/{ended['conversationId']}/fetch")).status == 200
    counts = await tenant.belongings()
    assert (counts["trigger"], counts["task"], counts["trigger_event"]) == (0, 0, 0)


async def test_what_is_queued_for_a_deleted_trigger_never_begins(tenant: Tenant, house: House) -> None:
    made = await trigger(tenant)
    conversation = await tenant.api.conversation()
    runs = [
        (await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": LONG}))["runId"]
        for _ in range(3)
    ]
    await house.rows("UPDATE run SET kind = 'trigger_event', trigger_id = $2 WHERE id = ANY ($1)", runs, made)

    await tenant.api.ok(f"/v1/integration/trigger/{made}/delete")

    rows = await house.rows("SELECT state, end_reason FROM run WHERE id = ANY ($1)", runs)
    assert {row["state"] for row in rows} == {"canceled"}
    free = await tenant.api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1]"})
    assert free["text"]
