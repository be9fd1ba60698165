"""The ledger of a task over the wire: what became of each time, and what is done about it by hand."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from urllib.parse import quote

import pytest

from domain import ids
from domain.occurrences import following
from domain.schedule import Timing, parse
from tests import oracle
from tests.api.test_streams import JSONL, jsonl
from tests.house import eventually, minute_lasts
from tests.tasks import new_task
from tests.tenant import Tenant

JSON = dict[str, Any]
DONE = "[model calls=1 tool=_success args=summary:finished]"
LONDON = "Europe/London"
TIMING = Timing(schedule="0 7 * * *", timezone=LONDON)
DAY = 86_400_000


async def daily(tenant: Tenant, **more: Any) -> str:
    """Due each day at seven in London, and not just now."""
    await minute_lasts()
    body = {"schedule": TIMING.schedule, "timezone": LONDON, "description": DONE} | more
    return str((await tenant.api.ok("/v1/task/create", body))["id"])


async def fetched(tenant: Tenant, task: str) -> JSON:
    return dict((await tenant.api.get(f"/v1/task/{task}/fetch")).body)


def coming(count: int) -> list[tuple[str, int]]:
    """The ids and times of its next occurrences."""
    found = following(parse(TIMING, ""), datetime.now(UTC), count)
    return [(one.key, int(one.at.timestamp() * 1_000)) for one in found]


async def ledger(tenant: Tenant, task: str, query: str = "") -> list[JSON]:
    status, body, _ = await tenant.api.get(f"/v1/task/{task}/occurrence/list{query}")
    assert status == 200, body
    return list(body["items"])


async def whole(tenant: Tenant, path: str) -> list[JSON]:
    """A list to its end."""
    _, lines, _ = await tenant.api.raw("GET", f"/v1/{path}", **JSONL)
    return [line["data"] for line in jsonl(lines)]


def days_ago(count: int) -> int:
    return int(datetime.now(UTC).timestamp() * 1_000) - count * DAY


async def test_the_ledger_begins_with_the_next_twenty_the_farthest_first(tenant: Tenant) -> None:
    task, ahead = await daily(tenant), coming(20)

    found = await ledger(tenant, task)

    assert found == [
        {"id": name, "taskId": task, "at": at, "state": "expected", "healed": False}
        for name, at in ahead[::-1]
    ]
    assert await ledger(tenant, task, "?order=asc&when=next") == found[::-1]
    assert await ledger(tenant, task, "?when=past") == []


async def test_the_ledger_is_listed_page_by_page_and_as_a_stream(tenant: Tenant) -> None:
    task, url = await daily(tenant, timezone="UTC"), ""
    await tenant.api.ok(f"/v1/task/{task}/backfill", {"from": days_ago(5), "until": days_ago(0)})
    whole = [one["id"] for one in await ledger(tenant, task)]

    paged: list[str] = []
    while page := (await tenant.api.get(f"/v1/task/{task}/occurrence/list?take=7{url}")).body["items"]:
        paged += [one["id"] for one in page]
        url = f"&cursor={quote(paged[-1])}"
    _, lines, _ = await tenant.api.raw("GET", f"/v1/task/{task}/occurrence/list", **JSONL)

    assert len(whole) == 25
    assert paged == whole
    assert [line["data"]["id"] for line in jsonl(lines)] == whole


@pytest.mark.parametrize("query", ["?when=now", "?cursor=x", "?meta.a=b", "?state=ran"])
async def test_what_the_ledger_cannot_be_asked_is_refused(tenant: Tenant, query: str) -> None:
    status, told, _ = await tenant.api.get(f"/v1/task/{await daily(tenant)}/occurrence/list{query}")

    assert (status, told["code"]) == (400, "BAD_REQUEST")
    assert query[1:].split("=")[0].split(".")[0] in told["message"]


async def test_a_past_range_is_made_up_for_one_run_after_the_other(tenant: Tenant) -> None:
    # As many days have as many of its times wherever clocks never change.
    task = await daily(tenant, timezone="UTC", overlap="allow_all", sessionDuration=0)
    body = {"from": days_ago(4), "until": days_ago(0)}

    told = await tenant.api.ok(f"/v1/task/{task}/backfill", body)

    async def all_ran() -> list[JSON]:
        found = await ledger(tenant, task, "?when=past&order=asc")
        assert [one.get("outcome") for one in found] == ["success"] * 4
        return found

    found = await eventually(all_ran)
    runs = [(await tenant.api.get(f"/v1/run/{one['executionId']}/fetch")).body for one in found]
    again = await tenant.api.ok(f"/v1/task/{task}/backfill", body)
    assert told == {"id": task, "occurrences": 4, "runs": 4, "ran": 0, "excluded": 0}
    assert again == {"id": task, "occurrences": 4, "runs": 0, "ran": 4, "excluded": 0}
    assert {one["state"] for one in found} == {"late"}
    assert [run["begunAt"] for run in runs] == [one["startedAt"] for one in found]
    assert all(after["begunAt"] >= before["endedAt"] for before, after in pairwise(runs))
    assert len(await tenant.acts("task.backfill")) == 2


async def test_a_past_year_of_weekdays_in_a_zone_of_changing_clocks_is_made_up_for_once_each(
    tenant: Tenant,
) -> None:
    text, zone = "0 7 * * 1-5", "America/New_York"
    year = [datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC)]
    body = {name: int(at.timestamp() * 1_000) for name, at in zip(("from", "until"), year, strict=True)}
    task = await daily(tenant, schedule=text, timezone=zone)

    told = [await tenant.api.ok(f"/v1/task/{task}/backfill", body) for _ in range(2)]
    found = await whole(tenant, f"task/{task}/occurrence/list?when=past&order=asc")
    await tenant.api.ok(f"/v1/task/{task}/cancel")

    expected = oracle.due(text, zone, year[0], year[1])
    assert [one["at"] for one in found] == [int(at.timestamp() * 1_000) for at in expected]
    assert len({one["executionId"] for one in found}) == len(expected) == 261
    assert [one["runs"] for one in told] == [261, 0]


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_three_past_months_of_weekdays_run_to_their_end_once_each_in_the_order_of_their_times(
    tenant: Tenant,
) -> None:
    text, zone, word = "0 7 * * 1-5", "America/New_York", ids.new("word")
    months = [datetime(2025, 2, 1, tzinfo=UTC), datetime(2025, 5, 1, tzinfo=UTC)]
    body = {name: int(at.timestamp() * 1_000) for name, at in zip(("from", "until"), months, strict=True)}
    task = await daily(tenant, schedule=text, timezone=zone, description=f"{word} {DONE}", sessionDuration=0)
    expected = oracle.due(text, zone, *months)

    told = await tenant.api.ok(f"/v1/task/{task}/backfill", body)

    async def all_ran() -> None:
        figures = (await tenant.api.get(f"/v1/task/{task}/usage/fetch")).body
        assert (figures["runs"], figures["success"]) == (len(expected), len(expected))

    await eventually(all_ran, 480)
    ran = await whole(tenant, f"task/{task}/occurrence/list?when=past&order=asc")
    executions = {one["id"]: one for one in await whole(tenant, f"task/{task}/execution/list")}
    runs = {one["id"]: one for one in await whole(tenant, f"run/list?taskId={task}")}
    in_order = [runs[one["executionId"]] for one in ran]
    assert told["runs"] == len(expected) == 63
    assert [one["at"] for one in ran] == [int(at.timestamp() * 1_000) for at in expected]
    assert [executions[one["executionId"]]["dueAt"] for one in ran] == [one["at"] for one in ran]
    assert len({one["executionId"] for one in ran}) == len(executions) == len(runs) == len(expected)
    assert {(run["state"], run["lane"]) for run in in_order} == {("succeeded", "scheduled")}
    assert all(after["begunAt"] >= before["endedAt"] for before, after in pairwise(in_order))
    # The model was asked by each, and by none of them twice.
    assert len(await tenant.house.calls(word)) == len(expected)


async def test_a_backfill_repeated_under_its_key_is_answered_as_it_was(tenant: Tenant) -> None:
    task = await daily(tenant, timezone="UTC")
    body, header = {"from": days_ago(3), "until": days_ago(0)}, {"Idempotency-Key": ids.new("key")}

    told = [await tenant.api.ok(f"/v1/task/{task}/backfill", body, **header) for _ in range(3)]
    other = await tenant.api.post(f"/v1/task/{task}/backfill", body | {"from": days_ago(9)}, **header)

    assert told == [{"id": task, "occurrences": 3, "runs": 3, "ran": 0, "excluded": 0}] * 3
    assert other.status == 409
    assert len(await tenant.acts("task.backfill")) == 1


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "from"),
        ({"from": 0}, "until"),
        ({"from": 5, "until": 5}, "from"),
        ({"from": 6, "until": 5}, "from"),
        ({"from": 0, "until": days_ago(-1)}, "until"),
        ({"from": 0, "until": days_ago(0)}, "from"),
        ({"from": "2026-01-01", "until": days_ago(0)}, "from"),
    ],
)
async def test_a_range_that_cannot_be_made_up_for_is_refused_by_name(
    tenant: Tenant, body: JSON, field: str
) -> None:
    task, before = await daily(tenant), await tenant.belongings()

    status, told, _ = await tenant.api.post(f"/v1/task/{task}/backfill", body)

    assert (status, told["code"]) == (400, "BAD_REQUEST")
    assert told["message"].startswith(field)
    assert await tenant.belongings() == before


async def test_one_time_is_taken_out_and_put_back(tenant: Tenant) -> None:
    task, ((name, at), (other, later)) = await daily(tenant), coming(2)
    path = f"/v1/task/{task}/occurrence"

    assert await tenant.api.ok(f"{path}/skip", {"occurrenceId": name}) == {"id": task}
    skipped = await ledger(tenant, task, "?when=next&order=asc&take=2")
    without = await fetched(tenant, task)
    assert await tenant.api.ok(f"{path}/unskip", {"at": at}) == {"id": task}
    back = await ledger(tenant, task, "?when=next&order=asc&take=2")
    as_before = await fetched(tenant, task)

    assert [(one["id"], one["state"]) for one in skipped] == [(name, "excluded"), (other, "expected")]
    assert [(one["id"], one["state"]) for one in back] == [(name, "expected"), (other, "expected")]
    assert (without["nextRunAt"], as_before["nextRunAt"]) == (later, at)
    entries = await tenant.acts("task.skip", "task.unskip")
    assert [(one["taskId"], one["occurrenceId"]) for one in entries] == [(task, name)] * 2


@pytest.mark.parametrize("act", ["skip", "unskip"])
async def test_what_is_not_due_or_past_is_not_taken_out(tenant: Tenant, act: str) -> None:
    task, ((_, at),) = await daily(tenant), coming(1)
    url = f"/v1/task/{task}/occurrence/{act}"
    statuses = {
        json.dumps(body): (await tenant.api.post(url, body)).status
        for body in (
            {"occurrenceId": "x"},
            {"at": at + 1},
            {"at": at - 7 * DAY - 3_600_000 * 5},
            {},
            {"occurrenceId": "x", "at": at},
            {"occurrenceId": None},
            {"at": None},
            {"at": str(at)},
        )
    }

    assert [*statuses.values()] == [404, 404, 404, 400, 400, 400, 400, 400]
    past = following(parse(TIMING, ""), datetime.now(UTC) - timedelta(days=2), 1)[0].key
    status, told, _ = await tenant.api.post(url, {"occurrenceId": past})
    assert (status, told["code"]) == (409, "CONFLICT")


async def test_three_ticks_of_a_pause_are_told_as_paused_and_then_it_goes_on(tenant: Tenant) -> None:
    # More often than a task that is asked for may be due.
    task = await new_task(tenant.house.store, tenant.account, every=1_000)
    assert await tenant.api.ok(f"/v1/task/{task}/pause", {"note": "holidays"}) == {"id": task}

    async def three() -> list[JSON]:
        found = [one for one in await ledger(tenant, task, "?when=past") if one["state"] == "paused"]
        assert len(found) >= 3
        return found

    paused = await eventually(three)
    shown = await fetched(tenant, task)
    assert {one["state"] for one in await ledger(tenant, task, "?when=next")} == {"paused"}
    assert await tenant.api.ok(f"/v1/task/{task}/resume") == {"id": task}

    after = await fetched(tenant, task)
    found = {one["id"]: one for one in await ledger(tenant, task)}
    assert all(found[one["id"]]["state"] == "paused" for one in paused)
    assert all("decidedAt" in found[one["id"]] for one in paused)
    assert {one["state"] for one in await ledger(tenant, task, "?when=next")} == {"expected"}
    assert shown["note"] == "holidays"
    assert shown.get("pausedAt")
    assert "nextRunAt" not in shown
    assert "pausedAt" not in after
    assert "note" not in after
    assert "nextRunAt" in after
    assert [one["taskId"] for one in await tenant.acts("task.pause", "task.resume")] == [task] * 2


@pytest.mark.parametrize("body", [{"note": 5}, {"note": "x" * 10_001}, {"why": "x"}])
async def test_a_note_is_a_text_that_is_not_too_long(tenant: Tenant, body: JSON) -> None:
    for act in ("pause", "resume"):
        status, _, _ = await tenant.api.post(f"/v1/task/{await daily(tenant)}/{act}", body)
        assert status == 400
