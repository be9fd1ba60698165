"""Runs of triggers for the record: of an event, by its own schedule, made to go on, and out of time."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
)
from temporalio.testing import TimeSkipper

from domain import ids
from domain.plans import TaskInput
from tests.api.test_long_runs import lengthen
from tests.api.test_task_runs import begun_earlier, parked
from tests.house import House, eventually
from tests.http import Api
from tests.triggers import new_trigger, over, source

DELAYED = "[model calls=1 rounds=2 tool=_delay args=seconds:3 tokens=2]"
DAY = timedelta(hours=24)


async def trigger_events(house: House, api: Api) -> dict[str, str]:
    """The workflows by the names of their histories, each over."""
    answered = await over(api, (await (await source(house, api)).ok())["runId"])
    return {
        "trigger_event-answered": answered["workflowId"],
        "trigger_event-continued": await _continued(house, api),
        "trigger_event-out-of-time": await _out_of_time(house, api),
        "trigger_event-scheduled": await _scheduled(house),
    }


async def _continued(house: House, api: Api) -> str:
    trigger = await source(house, api, DELAYED)
    run = await parked(api, (await trigger.ok())["runId"])
    await lengthen(house, run["workflowId"])
    await over(api, run["id"])
    return str(run["workflowId"])


async def _out_of_time(house: House, api: Api) -> str:
    trigger = await source(house, api, "[model calls=1 tool=_delay args=seconds:172800]")
    run = await parked(api, (await trigger.ok())["runId"])
    plan = (await house.temporal()).get_workflow_handle(run["workflowId"])
    await begun_earlier(house, run["id"], "24 hours")
    await TimeSkipper(await house.temporal()).fast_forward(plan, DAY + timedelta(minutes=1))
    await over(api, run["id"])
    return str(run["workflowId"])


async def _scheduled(house: House) -> str:
    trigger = await new_trigger(house.store, house.account, description="[model tokens=2]")
    made = "UPDATE task SET every = 2000, next_at = now() WHERE trigger_id = $1 RETURNING id"
    ((task,),) = await house.rows(made, trigger)
    action = ScheduleActionStartWorkflow(
        "trigger_event",
        TaskInput(task_id=task),
        id=ids.scheduled_triggers(trigger),
        task_queue="holdfast",
    )
    every = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=1))])
    policy = SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL)
    client = await house.temporal()
    schedule = await client.create_schedule(
        ids.task_schedule(task), Schedule(action=action, spec=every, policy=policy)
    )

    async def one() -> Any:
        query = (
            "SELECT workflow_id FROM run WHERE trigger_id = $1 AND ended_at IS NOT NULL "
            "AND workflow_id LIKE '%/run-%' ORDER BY created_at"
        )
        rows = await house.rows(query, trigger)
        assert rows
        return rows[0]["workflow_id"]

    workflow_id = str(await eventually(one))
    await house.rows("UPDATE task SET next_at = NULL WHERE trigger_id = $1", trigger)
    await schedule.delete()
    return workflow_id
