"""Tasks: made, read, changed, stopped and removed; what may be said of when they are due."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from domain import ids
from domain.occurrences import following
from domain.schedule import WORDS, Timing, parse
from tests.api.test_expiry import in_seconds, upkeep
from tests.api.test_exports import cell, table
from tests.api.test_foreign import unknown
from tests.api.test_resources import fetched
from tests.api.test_streams import JSONL, jsonl
from tests.house import House, eventually, minute_lasts
from tests.http import inner
from tests.tenant import Tenant

FULL: dict[str, Any] = {
    "name": "n",
    "description": "Look at the weather.",
    "meta": {"a": 1},
    "schedule": "0 7 * * 1-5",
    "timezone": "Europe/London",
    "startAt": 1_767_225_600_000,
    "endAt": 4_070_908_800_000,
    "overlap": "buffer_all",
    "catchup": 3_600_000,
    "jitter": 30_000,
    "pauseOnFailure": True,
    "sessionDuration": 3_600_000,
    "maxIterations": 100_000,
    "maxTime": 86_400_000,
    "maxCalls": 100_000,
    "expiresAt": 4_102_444_800_000,
}
LONG = {"text": "[model tokens=4000 delay=25]"}
HOUR, DAY = 3_600_000, 86_400_000


async def task(tenant: Tenant, **fields: Any) -> str:
    told = await tenant.api.ok("/v1/task/create", fields)
    assert told.keys() == {"id"}
    made: str = told["id"]
    return made


def due(id_: str, since: int, **said: Any) -> int | None:
    """When a task is due first after a time, in milliseconds, by what its owner says."""
    coming = following(parse(Timing(**said), id_), datetime.fromtimestamp(since / 1_000, UTC), 1)
    return int(coming[0].at.timestamp() * 1_000) if coming else None


async def at_work(tenant: Tenant, id_: str) -> tuple[str, str]:
    """A conversation, and a run in it that goes on for long, which is the task's."""
    conversation = await tenant.api.conversation(taskId=id_)
    run = (await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", LONG))["runId"]

    async def begun() -> None:
        assert (await tenant.api.get(f"/v1/run/{run}/fetch")).body["state"] == "running"

    await eventually(begun)
    await tenant.house.rows("UPDATE run SET kind = 'task_run', task_id = $2 WHERE id = $1", run, id_)
    return conversation, run


# What is said of it.


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_task_is_made_and_read_with_all_that_was_said_of_it(tenant: Tenant, prefix: str) -> None:
    api = tenant.api
    bot, contact = (await api.ok("/v1/bot/create"))["id"], (await api.ok("/v1/contact/create"))["id"]
    full = FULL | {"botId": bot, "contactId": contact}

    made = (await api.ok(f"{prefix}/task/create", full))["id"]
    found = (await api.get(f"{prefix}/task/{made}/fetch")).body
    listed = (await api.get(f"{prefix}/task/list")).body

    first = due(made, found["createdAt"], schedule="0 7 * * 1-5", timezone="Europe/London")
    shown = {"id": made, "createdAt": found["createdAt"], "updatedAt": found["updatedAt"]}
    assert found == full | shown | {"status": "idle", "outcome": "pending", "nextRunAt": first}
    assert listed == {"items": [found], "cursor": made}


async def test_a_task_of_nothing_has_its_defaults_and_is_never_due(tenant: Tenant) -> None:
    found = await fetched(tenant.api, "task", await task(tenant))

    assert {name: value for name, value in found.items() if name not in ("id", "createdAt", "updatedAt")} == {
        "meta": {},
        "overlap": "skip",
        "jitter": 0,
        "pauseOnFailure": False,
        "status": "idle",
        "outcome": "pending",
    }


async def test_null_and_an_empty_text_are_nothing_said(tenant: Tenant) -> None:
    nulls = await fetched(tenant.api, "task", await task(tenant, **dict.fromkeys(FULL)))
    empty = await fetched(tenant.api, "task", await task(tenant, schedule=" ", timezone=""))

    bare = await fetched(tenant.api, "task", await task(tenant))
    for found in (nulls, empty):
        assert found.keys() == bare.keys()
        assert {**found, **{name: bare[name] for name in ("id", "createdAt", "updatedAt")}} == bare


@pytest.mark.parametrize("word", [*WORDS, "*/15 * * * *", "0 7 * * 1-5", "5 4 * feb mon"])
async def test_every_word_and_cron_say_when_it_is_due_next(tenant: Tenant, word: str) -> None:
    await minute_lasts(3)
    made = await task(tenant, schedule=word)

    found = await fetched(tenant.api, "task", made)

    assert found["schedule"] == word
    assert found.get("nextRunAt") == due(made, found["createdAt"], schedule=word)
    assert ("nextRunAt" in found) == (word != "never")


@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York", "Asia/Kathmandu", "Antarctica/Troll"])
@pytest.mark.parametrize("text", ["07:30", "7:05", "0 0 29 2 *", "2098-06-01", "2098-06-01T09:30:15"])
async def test_times_of_day_cron_and_dates_are_on_the_clocks_of_the_zone(
    tenant: Tenant, text: str, zone: str | None
) -> None:
    made = await task(tenant, schedule=text, timezone=zone)

    found = await fetched(tenant.api, "task", made)

    assert found.get("timezone") == zone
    assert found["nextRunAt"] == due(made, found["createdAt"], schedule=text, timezone=zone)


async def test_a_date_that_is_past_is_not_due(tenant: Tenant) -> None:
    found = await fetched(tenant.api, "task", await task(tenant, schedule="2026-01-01T00:00:00Z"))

    assert found["schedule"] == "2026-01-01T00:00:00Z"
    assert "nextRunAt" not in found


async def test_a_period_has_its_place_or_counts_from_its_start(tenant: Tenant) -> None:
    start = in_seconds(-90) // 1_000 * 1_000
    placed = await task(tenant, every=HOUR)
    counted = await task(tenant, every=HOUR, startAt=start)
    later = await task(tenant, every=HOUR, startAt=start + DAY)

    found = [await fetched(tenant.api, "task", made) for made in (placed, counted, later)]

    assert [one["every"] for one in found] == [HOUR] * 3
    assert found[0]["nextRunAt"] == due(placed, found[0]["createdAt"], every=HOUR)
    assert [one["nextRunAt"] for one in found[1:]] == [start + HOUR, start + DAY]


async def test_nothing_is_due_before_its_start_or_after_its_end(tenant: Tenant) -> None:
    begin = in_seconds(10 * 86_400)
    later = await fetched(tenant.api, "task", await task(tenant, schedule="07:30", startAt=begin))
    over = await fetched(tenant.api, "task", await task(tenant, schedule="monthly", endAt=in_seconds(1)))

    assert begin <= later["nextRunAt"] <= begin + DAY
    assert "nextRunAt" not in over


# What cannot be said.


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"schedule": "sometimes"}, "schedule"),
        ({"schedule": "Daily"}, "schedule"),
        ({"schedule": "@daily"}, "schedule"),
        ({"schedule": "x" * 201}, "schedule"),
        ({"schedule": 5}, "schedule"),
        ({"schedule": "24:00"}, "schedule"),
        ({"schedule": "7:60"}, "schedule"),
        ({"schedule": "2027-02-29"}, "schedule"),
        ({"schedule": "2100-01-01"}, "2099"),
        ({"schedule": "0 7 * *"}, "schedule"),
        ({"schedule": "0 7 * * * *"}, "schedule"),
        ({"schedule": "61 7 * * *"}, "minute"),
        ({"schedule": "0 25 * * *"}, "hour"),
        ({"schedule": "0 0 30 2 *"}, "schedule"),
        ({"schedule": "0 0 31 4,6 *"}, "schedule"),
        ({"schedule": "daily", "every": HOUR}, "every"),
        ({"timezone": "Mars/Phobos"}, "timezone"),
        ({"timezone": "europe/london"}, "timezone"),
        ({"schedule": "daily", "timezone": "localtime"}, "timezone"),
        ({"every": 0}, "every"),
        ({"every": -1}, "every"),
        ({"every": 59_000}, "60000 ms apart"),
        ({"every": 60_500}, "every"),
        ({"every": 10**20}, "every"),
        ({"every": 60_000.5}, "every"),
        ({"every": "1h"}, "every"),
        ({"startAt": 2_000, "endAt": 1_000}, "startAt"),
        ({"startAt": 1_800_000_000_000, "endAt": 1_700_000_000_000}, "endAt"),
        ({"startAt": 5_000_000_000_000}, "startAt"),
        ({"endAt": "2030-01-01"}, "endAt"),
        ({"overlap": "terminate_other"}, "overlap"),
        ({"catchup": -1}, "catchup"),
        ({"catchup": DAY + 1}, "catchup"),
        ({"jitter": HOUR + 1}, "jitter"),
        ({"jitter": -1}, "jitter"),
        ({"every": 60_000, "jitter": 60_001}, "jitter"),
        ({"schedule": "* * * * *", "jitter": 60_001}, "jitter"),
        ({"schedule": "0,10 * * * *", "jitter": 600_001}, "jitter"),
        ({"pauseOnFailure": "yes"}, "pauseOnFailure"),
        ({"sessionDuration": HOUR + 1}, "sessionDuration"),
        ({"sessionDuration": -1}, "sessionDuration"),
        ({"maxIterations": 100_001}, "maxIterations"),
        ({"maxIterations": 1.5}, "maxIterations"),
        ({"maxTime": DAY + 1}, "maxTime"),
        ({"maxCalls": 100_001}, "maxCalls"),
        ({"maxCalls": -1}, "maxCalls"),
        ({"expiresAt": 1_000}, "expiresAt"),
        ({"expiresAt": in_seconds(-5)}, "expiresAt"),
        ({"botId": ""}, "botId"),
        ({"contactId": {"fingerprint": "f"}}, "contactId"),
        ({"status": "running"}, "status"),
        ({"nextRunAt": 1}, "nextRunAt"),
        ({"pausedAt": 1}, "pausedAt"),
    ],
)
async def test_what_a_task_cannot_be_is_refused_by_name(
    tenant: Tenant, body: dict[str, Any], told: str
) -> None:
    made = await task(tenant, **FULL)
    before, acts = await fetched(tenant.api, "task", made), await tenant.acts()

    for path, given in (("create", body), (f"{made}/update", {"schedule": None} | body)):
        status, answer, _ = await tenant.api.post(f"/v1/task/{path}", given)
        assert (status, answer["code"]) == (400, "BAD_REQUEST"), answer
        assert told in answer["message"]

    assert (await tenant.belongings())["task"] == 1
    assert await fetched(tenant.api, "task", made) == before
    assert await tenant.acts() == acts


async def test_a_change_is_held_against_what_stays_as_it_is(tenant: Tenant) -> None:
    daily, hourly = await task(tenant, schedule="daily"), await task(tenant, every=HOUR, endAt=in_seconds(9))
    spread = await task(tenant, every=HOUR, jitter=HOUR)

    for made, body, told in (
        (daily, {"every": HOUR}, "every"),
        (hourly, {"schedule": "daily"}, "every"),
        (hourly, {"startAt": in_seconds(99)}, "endAt"),
        (spread, {"every": HOUR - 1_000}, "jitter"),
        (hourly, {"every": 60_000, "jitter": 60_001}, "jitter"),
    ):
        status, answer, _ = await tenant.api.post(f"/v1/task/{made}/update", body)
        assert (status, answer["code"]) == (400, "BAD_REQUEST")
        assert told in answer["message"]
    await tenant.api.ok(f"/v1/task/{daily}/update", {"every": HOUR, "schedule": None})


async def test_the_shortest_period_is_the_operators(tenant: Tenant) -> None:
    house = tenant.house
    house.start("api2", HOLDFAST_SHORTEST_PERIOD_MS="2000")
    try:
        await house.ready("api2")
        async with house.api("api2", tenant.api.key) as api:
            made = (await api.ok("/v1/task/create", {"every": 2_000}))["id"]
            status, answer, _ = await api.post("/v1/task/create", {"every": 1_000})
    finally:
        house.stop("api2")

    # Where the shortest is longer, it stays as it is, and may be changed in other ways.
    await tenant.api.ok(f"/v1/task/{made}/update", {"name": "x", "every": 2_000})
    found = await fetched(tenant.api, "task", made)
    await tenant.api.ok(f"/v1/task/{made}/delete")
    assert (found["every"], found["name"]) == (2_000, "x")
    assert (status, answer["message"]) == (400, "every: two runs are 2000 ms apart at least.")


@pytest.mark.parametrize("field", ["botId", "contactId"])
async def test_a_task_names_only_what_is_its_owners(house: House, tenant: Tenant, field: str) -> None:
    kind, made = field.removesuffix("Id"), await task(tenant)
    _, key = await house.new_account("owner")
    async with house.api(key=key) as owner:
        theirs = (await owner.ok(f"/v1/{kind}/create"))["id"]
    before = await tenant.belongings()

    for named in (theirs, unknown({kind: theirs})[kind], "@tools"):
        for path in ("create", f"{made}/update"):
            status, told, _ = await tenant.api.post(f"/v1/task/{path}", {field: named})
            assert (status, told["code"]) == (404, "NOT_FOUND")
            assert told["message"] == f"{field}: no such {kind} in this account."
    assert await tenant.belongings() == before


# Changes.


async def test_a_task_is_due_as_it_was_said_last(tenant: Tenant) -> None:
    await minute_lasts()
    made = await task(tenant, schedule="07:30")
    path = f"/v1/task/{made}/update"

    await tenant.api.ok(path, {"timezone": "Asia/Tokyo"})
    there = await fetched(tenant.api, "task", made)
    await tenant.api.ok(path, {"schedule": None, "every": HOUR})
    hourly = await fetched(tenant.api, "task", made)
    await tenant.api.ok(path, {"name": "m"})
    renamed = await fetched(tenant.api, "task", made)
    await tenant.api.ok(path, {"every": None})
    never = await fetched(tenant.api, "task", made)

    assert there["nextRunAt"] == due(made, there["updatedAt"], schedule="07:30", timezone="Asia/Tokyo")
    assert hourly["nextRunAt"] == due(made, hourly["updatedAt"], every=HOUR)
    assert renamed == hourly | {"name": "m", "updatedAt": renamed["updatedAt"]}
    assert not {"nextRunAt", "every", "schedule"} & {*never}


async def test_null_puts_defaults_back_and_clears_the_rest(tenant: Tenant) -> None:
    made = await task(tenant, **FULL)

    await tenant.api.ok(f"/v1/task/{made}/update", dict.fromkeys(FULL))
    cleared = await fetched(tenant.api, "task", made)

    bare = await fetched(tenant.api, "task", await task(tenant))
    assert cleared == bare | {name: cleared[name] for name in ("id", "createdAt", "updatedAt")}


async def test_a_task_stays_when_its_bot_and_contact_go(tenant: Tenant) -> None:
    api = tenant.api
    bot, contact = (await api.ok("/v1/bot/create"))["id"], (await api.ok("/v1/contact/create"))["id"]
    made = await task(tenant, botId=bot, contactId=contact, schedule="daily")
    before = await fetched(api, "task", made)

    await api.ok(f"/v1/bot/{bot}/delete")
    await api.ok(f"/v1/contact/{contact}/delete")

    after = await fetched(api, "task", made)
    assert (before["botId"], before["contactId"]) == (bot, contact)
    assert before == after | {"botId": bot, "contactId": contact}


async def test_a_bot_is_named_by_its_alias(tenant: Tenant) -> None:
    desk, shop = [(await tenant.api.ok("/v1/bot/create", {"alias": word}))["id"] for word in ("desk", "shop")]
    made = await task(tenant, botId="@desk")

    first = await fetched(tenant.api, "task", made)
    await tenant.api.ok(f"/v1/task/{made}/update", {"botId": "@shop"})
    listed = (await tenant.api.get("/v1/task/list?botId=@shop")).body["items"]

    assert first["botId"] == desk
    assert [(item["id"], item["botId"]) for item in listed] == [(made, shop)]


async def test_a_task_made_again_under_its_key_is_the_same(tenant: Tenant) -> None:
    keyed, said = {"Idempotency-Key": "k"}, {"schedule": "daily", "endAt": 4_070_908_800_000}

    told = await asyncio.gather(*(tenant.api.ok("/v1/task/create", said, **keyed) for _ in range(20)))
    other = await tenant.api.post("/v1/task/create", said | {"name": "x"}, **keyed)

    assert len({answer["id"] for answer in told}) == 1
    assert (other.status, other.body["code"]) == (409, "CONFLICT")
    assert (await tenant.belongings())["task"] == 1
    assert len(await tenant.acts("task.create")) == 1


async def test_a_key_that_was_refused_can_be_used(tenant: Tenant) -> None:
    keyed = {"Idempotency-Key": "k"}

    refused = await tenant.api.post("/v1/task/create", {"schedule": "nonsense"}, **keyed)
    made = await tenant.api.ok("/v1/task/create", {"schedule": "daily"}, **keyed)

    assert refused.status == 400
    assert (await fetched(tenant.api, "task", made["id"]))["schedule"] == "daily"


# Lists.


async def test_tasks_are_narrowed_by_bot_contact_and_status(tenant: Tenant) -> None:
    api = tenant.api
    bots = [(await api.ok("/v1/bot/create"))["id"] for _ in range(3)]
    contact = (await api.ok("/v1/contact/create"))["id"]
    of = [await task(tenant, botId=bot) for bot in bots]
    with_contact = await task(tenant, botId=bots[0], contactId=contact, meta={"a": "b"})
    _, run = await at_work(tenant, of[1])

    async def listed(query: str) -> list[str]:
        urls = [f"/v1/task/{word}?order=asc&{query}" for word in ("list", "export")]
        page, same = [(await api.get(url)).body for url in urls]
        assert page == same
        return [item["id"] for item in page["items"]]

    assert await listed(f"botId={bots[1]}") == [of[1]]
    assert await listed(f"botId={bots[0]},{bots[2]}") == [of[0], of[2], with_contact]
    assert await listed(f"contactId={contact}") == [with_contact]
    assert await listed(f"contactId={contact}&botId={bots[1]}") == []
    assert await listed("meta.a=b") == [with_contact]
    assert await listed("status=running") == [of[1]]
    assert await listed("status=idle") == [of[0], of[2], with_contact]
    assert await listed("status=idle,running") == [*of, with_contact]
    assert await listed("status=canceled") == []
    await api.ok(f"/v1/run/{run}/cancel")


@pytest.mark.parametrize("query", ["status=nonsense", "status=idle,nonsense", "status=Idle"])
async def test_a_status_that_there_is_not_is_refused(tenant: Tenant, query: str) -> None:
    for path in ("list", "export"):
        status, body, _ = await tenant.api.get(f"/v1/task/{path}?{query}")

        assert (status, body["code"]) == (400, "BAD_REQUEST")
        assert body["message"] == "status: Input should be 'idle', 'running' or 'canceled'"


async def test_the_tasks_of_a_contact_are_listed_page_by_page(tenant: Tenant) -> None:
    contact = (await tenant.api.ok("/v1/contact/create"))["id"]
    mine = [await task(tenant, contactId=contact, meta={"n": str(n)}) for n in range(3)]
    await task(tenant)
    url = f"/v1/contact/{contact}/task/list"

    page = (await tenant.api.get(f"{url}?take=2")).body
    rest = (await tenant.api.get(f"{url}?take=2&cursor={page['cursor']}")).body
    _, lines, _ = await tenant.api.raw("GET", f"{url}?order=asc", **JSONL)
    narrowed = (await tenant.api.get(f"{url}?meta.n=1")).body["items"]

    assert [item["id"] for item in page["items"] + rest["items"]] == mine[::-1]
    assert {item["contactId"] for item in page["items"]} == {contact}
    assert [event["data"]["id"] for event in jsonl(lines)] == mine
    assert [item["id"] for item in narrowed] == [mine[1]]


async def test_tasks_are_exported_as_a_table(tenant: Tenant) -> None:
    await task(tenant, **FULL)
    await task(tenant, name="=1+1", description='a, "b"\r\nc')

    page = (await tenant.api.get("/v1/task/export")).body
    told, headers = await table(tenant, "/task/export")

    assert headers["Content-Type"] == "text/csv; charset=utf-8"
    shown = [{name: cell(value) for name, value in item.items()} for item in page["items"]]
    shown[0]["name"] = "'=1+1"
    assert [{name: value for name, value in row.items() if value} for row in told] == shown


async def test_a_page_of_long_tasks_is_shorter(house: House, tenant: Tenant) -> None:
    made = [await task(tenant) for _ in range(60)]
    await house.rows("UPDATE task SET description = repeat('x', 100000) WHERE id = ANY ($1)", made)

    page = (await tenant.api.get("/v1/task/list?order=asc")).body
    _, lines, _ = await tenant.api.raw("GET", "/v1/task/list?order=asc", **JSONL)

    assert len(page["items"]) == 42
    assert [event["data"]["id"] for event in jsonl(lines)] == made


# Its runs.


async def test_a_cancelled_task_has_no_run_left_and_one_without_a_run_stays_as_it_is(tenant: Tenant) -> None:
    api, made = tenant.api, await task(tenant, schedule="daily")
    idle = await fetched(api, "task", made)
    nothing = await api.ok(f"/v1/task/{made}/cancel")
    same = await fetched(api, "task", made)
    conversation, run = await at_work(tenant, made)
    working = await fetched(api, "task", made)

    told = await api.ok(f"/v1/task/{made}/cancel")
    after = await fetched(api, "task", made)
    events = inner(await api.stream(f"/v1/run/{run}/subscribe"))
    again = await api.ok(f"/v1/task/{made}/cancel")

    assert nothing == told == again == {"id": made}
    assert same == idle
    assert (working["status"], working["outcome"]) == ("running", "pending")
    assert working["createdAt"] < working["lastRunAt"] <= time.time() * 1_000
    assert after == working | {"status": "idle", "outcome": "failure"}
    assert [event["data"] for event in events if event["type"] == "abort"] == [{"reason": "canceled"}]
    assert (await api.get(f"/v1/run/{run}/fetch")).body["state"] == "canceled"
    assert (await api.messages(conversation))[0] == ("user", LONG["text"])
    told_of = [entry["type"] for entry in await tenant.acts("task.cancel", "run.canceled")]
    # Two of one moment have no order.
    assert sorted(told_of) == ["run.canceled", "task.cancel"]


async def test_who_waits_behind_a_cancelled_run_has_its_turn_at_once(tenant: Tenant) -> None:
    made = await task(tenant)
    conversation, _ = await at_work(tenant, made)
    path = f"/v1/conversation/{conversation}/complete"
    waiting = asyncio.create_task(tenant.api.ok(path, {"text": "[model tokens=1]"}))

    async def queued() -> None:
        page = (await tenant.api.get(f"/v1/run/list?conversationId={conversation}&state=queued")).body
        assert len(page["items"]) == 1

    await eventually(queued)
    await tenant.api.ok(f"/v1/task/{made}/cancel")

    assert (await waiting)["text"] == "t1"


async def test_a_deleted_task_ends_its_runs_and_leaves_its_conversations(tenant: Tenant) -> None:
    api, made = tenant.api, await task(tenant, schedule="daily")
    conversation, run = await at_work(tenant, made)
    async with api.streaming(f"/v1/run/{run}/subscribe") as events:
        await anext(events)
        told = await api.ok(f"/v1/task/{made}/delete")
        live = inner([event async for event in events])

    assert told == {"id": made}
    assert [event["data"] for event in live if event["type"] == "abort"] == [{"reason": "deleted"}]
    assert (await api.get(f"/v1/run/{run}/fetch")).body["state"] == "canceled"
    left = await fetched(api, "conversation", conversation)
    assert "taskId" not in left
    assert (await api.messages(conversation))[0] == ("user", LONG["text"])
    for action in ("update", "delete", "cancel"):
        assert (await api.post(f"/v1/task/{made}/{action}")).status == 404
    assert (await api.get("/v1/task/list")).body == {"items": [], "cursor": ""}


async def test_every_act_on_a_task_is_told_once_and_without_its_words(tenant: Tenant) -> None:
    api = tenant.api
    bot, contact = (await api.ok("/v1/bot/create"))["id"], (await api.ok("/v1/contact/create"))["id"]
    made = await task(tenant, name="canary", description="canary", botId=bot, contactId=contact)
    await api.ok(f"/v1/task/{made}/update", {"description": "canary", "schedule": "daily"})
    conversation = await api.conversation(taskId=made)
    await api.ok(f"/v1/task/{made}/cancel")
    await api.ok(f"/v1/task/{made}/delete")

    entries = (await tenant.acts())[4:]

    about = [
        (entry["type"], {name: value for name, value in entry.items() if name.endswith("Id")})
        for entry in entries
    ]
    assert about == [
        ("task.create", {"taskId": made, "botId": bot, "contactId": contact}),
        ("task.update", {"taskId": made}),
        ("conversation.create", {"conversationId": conversation, "taskId": made}),
        ("task.delete", {"taskId": made}),
    ]
    assert all(entry["meta"]["actor"].startswith("key_") for entry in entries)
    assert "canary" not in str(entries)
    of = (await api.get(f"/v1/event/log/list?order=asc&taskId={made}")).body["items"]
    assert of == entries


@pytest.mark.slow
async def test_a_task_whose_time_is_up_goes_and_ends_its_runs(house: House, tenant: Tenant) -> None:
    made = await task(tenant, schedule="daily", expiresAt=in_seconds(1_000))
    kept = await task(tenant, expiresAt=in_seconds(1_000))
    _, run = await at_work(tenant, made)
    await tenant.api.ok(f"/v1/task/{made}/update", {"expiresAt": in_seconds(5)})
    asked = time.monotonic()

    async def gone() -> None:
        nonlocal asked
        if time.monotonic() > asked + 2:
            await upkeep(house)
            asked = time.monotonic()
        assert (await tenant.api.get(f"/v1/task/{made}/fetch")).status == 404

    await eventually(gone, 120)

    assert (await tenant.api.get(f"/v1/run/{run}/fetch")).body["state"] == "canceled"
    assert (await fetched(tenant.api, "task", kept))["id"] == kept
    (entry,) = await tenant.acts("task.delete")
    assert (entry["taskId"], entry["meta"]["actor"]) == (made, "server")


# Conversations of tasks.


async def test_a_conversation_belongs_to_a_task_and_to_none_and_is_found_by_it(tenant: Tenant) -> None:
    api, one, other = tenant.api, await task(tenant), await task(tenant)
    conversation = await api.conversation(taskId=one)
    await api.conversation()
    path = f"/v1/conversation/{conversation}/update"

    async def of(*tasks: str) -> list[dict[str, Any]]:
        query = f"taskId={','.join(tasks)}"
        page, same = [(await api.get(f"/v1/conversation/{word}?{query}")).body for word in ("list", "export")]
        assert page == same
        return list(page["items"])

    first, listed = await fetched(api, "conversation", conversation), await of(one)
    await api.ok(path, {"name": "x"})
    kept = await fetched(api, "conversation", conversation)
    await api.ok(path, {"taskId": other})
    moved = await fetched(api, "conversation", conversation)
    both, nothing = await of(one, other), await of(one)
    await api.ok(path, {"taskId": None})

    assert listed == [first]
    assert [one, one, other] == [found["taskId"] for found in (first, kept, moved)]
    assert (both, nothing) == ([moved], [])
    assert "taskId" not in await fetched(api, "conversation", conversation)


@pytest.mark.parametrize("act", ["create", "update"])
async def test_a_conversation_belongs_only_to_its_owners_tasks(
    house: House, tenant: Tenant, act: str
) -> None:
    account, key = await house.new_account("owner")
    async with house.api(key=key) as owner:
        theirs = await task(Tenant(account, owner, house))
    path = f"/v1/conversation/{await tenant.api.conversation()}/update"
    if act == "create":
        path = "/v1/conversation/create"
    before = await tenant.belongings()

    for named in (theirs, ids.task()):
        status, told, _ = await tenant.api.post(path, {"taskId": named})
        assert (status, told["code"]) == (404, "NOT_FOUND")
        assert told["message"] == "taskId: no such task in this account."
    assert await tenant.belongings() == before


async def test_what_the_runs_of_a_task_used_is_found_by_it(tenant: Tenant) -> None:
    api, made = tenant.api, await task(tenant)
    conversation = await api.conversation()
    told = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=3]"})
    await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=3]"})
    run = told["runId"]
    await tenant.house.rows("UPDATE run SET kind = 'task_run', task_id = $2 WHERE id = $1", run, made)

    (item,) = (await api.get(f"/v1/usage/list?taskId={made}")).body["items"]

    assert (item["id"], item["taskId"], item["count"]) == (run, made, told["usage"]["token"])
