"""The executions of a task: what became of each run, and the end of one by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain import ids
from domain.run import RunState
from tests.api.test_budget import fetched
from tests.api.test_streams import JSONL, SSE, jsonl, sse
from tests.executions import delay, finish, finish_all, new_execution
from tests.tasks import new_task
from tests.tenant import Tenant

JSON = dict[str, Any]
AT = datetime(2026, 11, 26, 7, 0, 0, 250_000, tzinfo=UTC)


@pytest.fixture
async def task(tenant: Tenant) -> AsyncIterator[str]:
    """A task, of which nothing is left unfinished."""
    made = await new_task(tenant.house.store, tenant.account)
    yield made
    await finish_all(tenant.house.store, made)


async def listed(tenant: Tenant, task: str, query: str = "") -> list[JSON]:
    status, body, _ = await tenant.api.get(f"/v1/task/{task}/execution/list{query}")
    assert status == 200, body
    found: list[JSON] = body["items"]
    return found


async def test_an_execution_tells_what_its_run_did_and_what_it_was_due_for(tenant: Tenant, task: str) -> None:
    conversation = await tenant.api.conversation()
    made = await new_execution(
        tenant.house.store,
        task,
        run={"conversation_id": conversation, "ended_at": AT},
        name="Monday",
        summary="All is well.",
        meta={"n": 1},
        due_key="2026-11-26T07:00:00[Europe/London]",
        due_at=AT,
    )

    (told,) = await listed(tenant, task)

    assert (told["id"], told["taskId"], told["conversationId"]) == (made, task, conversation)
    assert (told["name"], told["summary"], told["meta"]) == ("Monday", "All is well.", {"n": 1})
    assert told["completedAt"] == "2026-11-26T07:00:00.250Z"
    assert told["dueAt"] == int(AT.timestamp() * 1000)
    assert told["occurrenceId"] == "2026-11-26T07:00:00[Europe/London]"
    assert isinstance(told["createdAt"], int)
    assert "resumeAt" not in told
    assert (await fetched(tenant.api, made))["kind"] == "task_run"


@pytest.mark.parametrize(
    ("state", "said", "shown"),
    [
        ("queued", None, ("idle", "pending")),
        ("running", None, ("running", "pending")),
        ("succeeded", None, ("idle", "success")),
        ("succeeded", "success", ("idle", "success")),
        ("succeeded", "failure", ("idle", "failure")),
        ("failed", None, ("idle", "failure")),
        ("canceled", None, ("canceled", "failure")),
        ("interrupted", None, ("canceled", "failure")),
        ("rolled_back", None, ("canceled", "failure")),
    ],
)
async def test_its_status_and_outcome_are_those_of_its_run(
    tenant: Tenant, task: str, state: RunState, said: str | None, shown: tuple[str, str]
) -> None:
    made = await new_execution(tenant.house.store, task, state, {"outcome": said})

    (told,) = await listed(tenant, task)

    assert (told["status"], told["outcome"]) == shown
    assert ("completedAt" in told) == (shown[1] != "pending")
    for other in ("idle", "running", "canceled"):
        narrowed = [one["id"] for one in await listed(tenant, task, f"?status={other}")]
        assert narrowed == ([made] if other == shown[0] else [])


async def test_a_run_that_only_waits_tells_when_it_goes_on(tenant: Tenant, task: str) -> None:
    store, resumes = tenant.house.store, datetime.now(UTC) + timedelta(minutes=5)
    waiting = await new_execution(store, task, "running", {"parked_at": AT})
    at_work = await new_execution(store, task, "running")
    for run in (waiting, at_work):
        await delay(store, run, resumes)

    told = {one["id"]: one for one in await listed(tenant, task)}

    assert datetime.fromisoformat(told[waiting]["resumeAt"]) == resumes.replace(
        microsecond=resumes.microsecond // 1000 * 1000
    )
    assert "resumeAt" not in told[at_work]


async def test_executions_are_listed_newest_first_in_pages_and_streamed_whole(
    tenant: Tenant, task: str
) -> None:
    made = [await new_execution(tenant.house.store, task, meta={"odd": n % 2 == 1}) for n in range(5)]
    path = f"/v1/task/{task}/execution/list"

    page = (await tenant.api.get(f"{path}?take=2")).body
    rest = (await tenant.api.get(f"{path}?cursor={page['cursor']}")).body
    oldest = await listed(tenant, task, "?order=asc&take=1")
    odd = await listed(tenant, task, "?meta.odd=true")
    lines = jsonl((await tenant.api.raw("GET", path, None, **JSONL)).body)
    frames = sse((await tenant.api.raw("GET", path, None, **SSE)).body)

    assert [one["id"] for one in page["items"] + rest["items"]] == made[::-1]
    assert [one["id"] for one in oldest] == made[:1]
    assert [one["id"] for one in odd] == [made[3], made[1]]
    assert [line["data"]["id"] for line in lines] == made[::-1] == [frame["data"]["id"] for frame in frames]


async def test_only_the_executions_of_that_task_are_listed(tenant: Tenant, task: str) -> None:
    other = await new_task(tenant.house.store, tenant.account)
    await new_execution(tenant.house.store, other)

    assert await listed(tenant, task) == []
    assert (await tenant.api.get(f"/v1/task/{ids.task()}/execution/list")).status == 404


async def test_a_status_that_there_is_not_is_refused_by_name(tenant: Tenant, task: str) -> None:
    status, body, _ = await tenant.api.get(f"/v1/task/{task}/execution/list?status=paused")

    assert (status, body["code"]) == (400, "BAD_REQUEST")
    assert "status" in body["message"]


@pytest.mark.parametrize("state", ["queued", "running"])
async def test_an_execution_that_is_cancelled_is_over_when_that_is_answered(
    tenant: Tenant, task: str, state: RunState
) -> None:
    store = tenant.house.store
    made, beside = [await new_execution(store, task, state) for _ in range(2)]

    answers = [await tenant.api.ok(f"/v1/task/{task}/execution/{made}/cancel") for _ in range(2)]

    assert answers == [{"id": made, "taskId": task}] * 2
    assert [(one["id"], one["status"]) for one in await listed(tenant, task)] == [
        (beside, "running" if state == "running" else "idle"),
        (made, "canceled"),
    ]
    assert (await fetched(tenant.api, made))["state"] == "canceled"
    (act,) = await tenant.acts("run.canceled")
    assert (act["runId"], act["meta"]["actor"][:4]) == (made, "key_")


async def test_cancelling_an_execution_that_is_over_changes_nothing(tenant: Tenant, task: str) -> None:
    made = await new_execution(tenant.house.store, task, "running")
    await finish(tenant.house.store, made)
    before = await listed(tenant, task)

    await tenant.api.ok(f"/v1/task/{task}/execution/{made}/cancel")

    assert await listed(tenant, task) == before
    assert before[0]["outcome"] == "success"


async def test_an_execution_is_known_under_its_own_task_only(tenant: Tenant, task: str) -> None:
    made = await new_execution(tenant.house.store, task, "running")
    other = await new_task(tenant.house.store, tenant.account)

    for place in (f"{other}/execution/{made}", f"{task}/execution/{ids.run()}"):
        status, body, _ = await tenant.api.post(f"/v1/task/{place}/cancel")
        assert (status, body["code"]) == (404, "NOT_FOUND")
    assert (await listed(tenant, task))[0]["status"] == "running"
