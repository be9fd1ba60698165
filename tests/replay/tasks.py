"""Runs of tasks for the record: asked for, fired by a schedule, made to wait, and out of time."""

from __future__ import annotations

from datetime import timedelta

from temporalio.testing import TimeSkipper

from domain import ids
from tests.api.test_long_runs import lengthen
from tests.api.test_task_runs import begun_earlier, over, parked, scheduled, task, trigger
from tests.house import House, eventually
from tests.http import Api


async def task_runs(house: House, api: Api) -> dict[str, str]:
    """The workflows by the names of their histories, each over."""
    triggered = await over(api, (await trigger(api, await task(house)))["executionId"])
    return {
        "task_run-triggered": triggered["workflowId"],
        "task_run-continued": await _continued(house, api),
        "task_run-out-of-time": await _out_of_time(house, api),
    } | (await _scheduled(house))


async def _continued(house: House, api: Api) -> str:
    made = await task(house, "[model calls=1 rounds=2 tool=_delay args=seconds:3 tokens=2]")
    run = await parked(api, (await trigger(api, made))["executionId"])
    await lengthen(house, run["workflowId"])
    await over(api, run["id"])
    return str(run["workflowId"])


async def _out_of_time(house: House, api: Api) -> str:
    made = await task(house, "[model calls=1 tool=_delay args=seconds:86400]", max_time=3_600_000)
    run = await parked(api, (await trigger(api, made))["executionId"])
    plan = (await house.temporal()).get_workflow_handle(run["workflowId"])
    await begun_earlier(house, run["id"], "1 hour")
    await TimeSkipper(await house.temporal()).fast_forward(plan, timedelta(hours=1, minutes=1))
    await over(api, run["id"])
    return str(run["workflowId"])


async def _scheduled(house: House) -> dict[str, str]:
    """One that had its turn at once, one that waited for it, one that stood for nothing."""
    made = await task(
        house,
        "[model tokens=50 delay=50]",
        every=2_000,
        overlap="buffer_all",
        session_duration=0,
        catchup=60_000,
    )
    schedule = await scheduled(house, made, 1)

    async def two() -> list[str]:
        rows = await house.rows(
            "SELECT r.workflow_id FROM run r WHERE r.task_id = $1 AND r.workflow_id LIKE '%/run-%' "
            "AND r.ended_at IS NOT NULL ORDER BY r.created_at",
            made,
        )
        assert len(rows) >= 2
        return [row["workflow_id"] for row in rows]

    first, second = (await eventually(two))[:2]
    await schedule.delete()
    client = await house.temporal()

    async def spare() -> str:
        known = {
            row["workflow_id"]
            for row in await house.rows("SELECT workflow_id FROM run WHERE task_id = $1", made)
        }
        async for found in client.list_workflows("WorkflowType = 'task_run'"):
            if (
                found.id.startswith(ids.scheduled_workflows(made))
                and found.id not in known
                and found.close_time
            ):
                return found.id
        raise AssertionError("every firing had a run")

    return {
        "task_run-scheduled": first,
        "task_run-waited": second,
        "task_run-of-nothing": await eventually(spare),
    }
