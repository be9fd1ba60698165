"""What the runs of a task came to: how many, how they ended, how long they took, what they used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.run import RunState
from tests.executions import finish_all, new_execution
from tests.tasks import new_task
from tests.tenant import Tenant

DAY = datetime(2026, 3, 1, tzinfo=UTC)
NOTHING = {"runs": 0, "success": 0, "failure": 0, "canceled": 0, "tokens": 0}


async def ran(
    tenant: Tenant, task: str, at: datetime, took: float, state: RunState = "succeeded", **columns: Any
) -> None:
    """A run that ended at a time, after so many seconds, having used 30 tokens."""
    run = {"begun_at": at - timedelta(seconds=took), "ended_at": at, "input_tokens": 10, "output_tokens": 20}
    await new_execution(tenant.house.store, task, state, run | columns)


async def figures(tenant: Tenant, task: str, query: str = "") -> dict[str, Any]:
    status, body, _ = await tenant.api.get(f"/v1/task/{task}/usage/fetch{query}")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


def between(begin: datetime, end: datetime) -> str:
    return f"?from={int(begin.timestamp() * 1000)}&to={int(end.timestamp() * 1000)}"


async def test_runs_are_counted_by_day_and_by_how_they_ended(tenant: Tenant) -> None:
    task = await new_task(tenant.house.store, tenant.account)
    for hour, took in enumerate((1, 2, 3, 4, 5)):
        await ran(tenant, task, DAY + timedelta(hours=hour), took)
    await ran(tenant, task, DAY + timedelta(hours=6), 6, outcome="failure")
    await ran(tenant, task, DAY + timedelta(days=2), 7, "failed")
    await ran(tenant, task, DAY + timedelta(days=2), 8, "canceled")

    told = await figures(tenant, task, between(DAY, DAY + timedelta(days=3)))
    first, empty, last = told.pop("series")

    assert told == {
        **{"runs": 8, "success": 5, "failure": 2, "canceled": 1, "tokens": 240},
        "durations": {"p50": 4_500, "p95": 7_650},
    }
    millis = int(DAY.timestamp() * 1000)
    assert first == {
        **{"date": millis, "runs": 6, "success": 5, "failure": 1, "canceled": 0, "tokens": 180},
        **{"p50": 3_500, "p95": 5_750},
    }
    assert empty == NOTHING | {"date": millis + 86_400_000}
    assert (last["failure"], last["canceled"], last["p50"]) == (1, 1, 7_500)


async def test_a_period_has_its_beginning_and_not_its_end(tenant: Tenant) -> None:
    task = await new_task(tenant.house.store, tenant.account)
    await ran(tenant, task, DAY, 1)

    from_it = await figures(tenant, task, between(DAY, DAY + timedelta(milliseconds=1)))
    up_to_it = await figures(tenant, task, between(DAY - timedelta(days=1), DAY))

    assert (from_it["runs"], len(from_it["series"])) == (1, 1)
    assert (up_to_it["runs"], len(up_to_it["series"])) == (0, 1)


async def test_without_a_period_it_is_the_last_thirty_days(tenant: Tenant) -> None:
    task, now = await new_task(tenant.house.store, tenant.account), datetime.now(UTC)
    await ran(tenant, task, now - timedelta(days=29), 1)
    await ran(tenant, task, now - timedelta(days=31), 1)

    told = await figures(tenant, task)
    since = await figures(tenant, task, f"?from={(now - timedelta(days=40)).strftime('%Y-%m-%d')}")
    until = await figures(tenant, task, f"?to={(now - timedelta(days=30)).strftime('%Y-%m-%d')}")

    assert (told["runs"], len(told["series"])) == (1, 31)
    assert since["runs"] == 2
    assert until["runs"] == 1


async def test_what_has_not_ended_or_never_began_has_no_duration(tenant: Tenant) -> None:
    store = tenant.house.store
    task = await new_task(store, tenant.account)
    await new_execution(store, task, "running")
    await new_execution(store, task, "canceled", {"begun_at": None})

    told = await figures(tenant, task)
    await finish_all(store, task)

    assert (told["runs"], told["canceled"], told["durations"]) == (1, 1, {})


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?from=2024-01-01&to=2026-01-01", "366"),
        ("?from=2024-01-01", "366"),
        ("?from=2026-01-02&to=2026-01-01", "to"),
        ("?from=yesterday", "from"),
        ("?since=1", "since"),
    ],
)
async def test_a_period_is_bounded(tenant: Tenant, query: str, named: str) -> None:
    task = await new_task(tenant.house.store, tenant.account)

    status, body, _ = await tenant.api.get(f"/v1/task/{task}/usage/fetch{query}")

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert named in body["message"]


@pytest.mark.parametrize(
    "query",
    [
        "?to=0001-01-01",
        "?from=0001-01-01&to=0001-02-01",
        "?to=1970-01-01",
        "?from=9999-12-31",
        "?from=9999-12-01&to=9999-12-31T23:59:59.999999",
    ],
)
async def test_a_period_may_lie_where_nothing_is(tenant: Tenant, query: str) -> None:
    task = await new_task(tenant.house.store, tenant.account)

    told = await figures(tenant, task, query)

    assert {name: told[name] for name in NOTHING} == NOTHING


async def test_figures_are_of_that_task_alone(tenant: Tenant) -> None:
    task, other = [await new_task(tenant.house.store, tenant.account) for _ in range(2)]
    await new_execution(tenant.house.store, other)

    assert (await figures(tenant, task))["runs"] == 0
    assert (await tenant.api.get(f"/v1/task/{ids.task()}/usage/fetch")).status == 404
