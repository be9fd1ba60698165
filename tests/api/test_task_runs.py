"""Runs of tasks: asked for by hand or fired by a schedule, from their instruction to their summary."""

from __future__ import annotations

import itertools
import json
from datetime import timedelta
from typing import Any

import pytest
from temporalio.client import (
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
)
from temporalio.testing import TimeSkipper

from domain import ids
from domain.plans import TaskInput
from tests.api.test_agent import activities, stored
from tests.api.test_long_runs import MIB, executions, lengthen
from tests.crash.witness import Witness
from tests.house import House, eventually
from tests.http import Api, inner
from tests.tasks import new_task

JSON = dict[str, Any]
DONE = "[model calls=1 tool=_success args=summary:finished]"
LONG = "[model tokens=4000 delay=50]"
META = {"a": 1, "b": None, "c": {"d": None}}


async def task(house: House, description: str = DONE, **columns: Any) -> str:
    return await new_task(house.store, house.account, description=description, **columns)


async def trigger(api: Api, task_id: str, **headers: str) -> JSON:
    found: JSON = await api.ok(f"/v1/task/{task_id}/trigger", {}, **headers)
    return found


async def fetched(api: Api, run: str) -> JSON:
    return dict((await api.get(f"/v1/run/{run}/fetch")).body)


async def over(api: Api, run: str) -> JSON:
    """The run, once it has ended."""

    async def check() -> JSON:
        found = await fetched(api, run)
        assert found.get("endedAt"), found
        return found

    return await eventually(check)


async def at_work(api: Api, run: str) -> JSON:
    async def check() -> JSON:
        found = await fetched(api, run)
        assert found["state"] == "running"
        return found

    return await eventually(check)


async def execution(house: House, run: str) -> Any:
    (row,) = await house.rows("SELECT * FROM execution WHERE id = $1", run)
    return row


async def test_a_task_that_is_triggered_runs_its_agent_until_it_says_how_it_went(
    house: House, api: Api
) -> None:
    made = await task(house, name="report", meta=META)

    told = await trigger(api, made)
    run = await over(api, told["executionId"])

    assert (told["id"], told["state"]) == (made, "started")
    assert (run["kind"], run["lane"], run["state"], run["outcome"]) == (
        *("task_run", "background"),
        *("succeeded", "success"),
    )
    messages = await stored(api, run["conversationId"])
    assert [message["type"] for message in messages][:3] == ["instruction", "activity", "activity"]
    assert DONE in messages[0]["text"]
    assert messages[-1]["text"] == "finished"
    ((counted,),) = await house.rows("SELECT messages FROM run WHERE id = $1", run["id"])
    assert counted == len(messages)
    kind, name, details = activities(messages)[1]
    assert (kind, name, details["name"], details["meta"]) == (
        *("response", "_getTaskDetails"),
        *("report", META),
    )
    assert (await execution(house, run["id"]))["summary"] == "finished"
    conversation = (await api.get(f"/v1/conversation/{run['conversationId']}/fetch")).body
    assert conversation["meta"] == {"app": "task", "taskId": made}


async def test_whoever_follows_the_run_of_a_task_hears_all_of_it(house: House, api: Api) -> None:
    made = await task(house, "[model calls=1 rounds=1000 tool=_nothing]", max_iterations=10)
    told = await trigger(api, made)

    events = inner(await api.stream(f"/v1/run/{told['executionId']}/subscribe"))

    said = [event["data"]["type"] for event in events if event["type"] == "message"]
    run = await over(api, told["executionId"])
    assert said == [message["type"] for message in await stored(api, run["conversationId"])]
    assert {*said} == {"instruction", "activity", "checkpoint"}


async def test_the_next_run_is_told_what_came_of_the_last_one(house: House, api: Api) -> None:
    made = await task(house)
    first = await over(api, (await trigger(api, made))["executionId"])

    second = await over(api, (await trigger(api, made))["executionId"])

    details = [
        told
        for kind, name, told in activities(await stored(api, second["conversationId"]))
        if (kind, name) == ("response", "_getTaskDetails")
    ]
    assert "lastExecution" not in details[0]
    last = details[1]["lastExecution"]
    assert last["ranAt"]
    assert (last["id"], last["outcome"], last["summary"]) == (first["id"], "success", "finished")


async def test_with_a_conversation_goes_what_the_next_run_was_told_of_it(house: House, api: Api) -> None:
    witness, word = Witness(house), ids.new("canary")
    made = await task(house, DONE.replace("finished", word), session_duration=0)
    first = await over(api, (await trigger(api, made))["executionId"])
    await house.rows("UPDATE task SET description = $2 WHERE id = $1", made, DONE)
    second = await over(api, (await trigger(api, made))["executionId"])
    told = await witness.tables_with(word)
    before = await stored(api, second["conversationId"])

    await api.ok(f"/v1/conversation/{first['conversationId']}/delete")

    assert {"message", "event"} <= {*told}
    assert await witness.tables_with(word) == []
    after = await stored(api, second["conversationId"])
    assert [one["id"] for one in after] == [one["id"] for one in before]
    last = activities(after)[1][2]["lastExecution"]
    assert (last["id"], last["outcome"]) == (first["id"], "success")
    assert "summary" not in last
    told_anew = await house.rows(
        "SELECT data FROM event e JOIN run r USING (channel_id)"
        " WHERE r.id = $1 AND e.type = 'message' ORDER BY e.seq",
        second["id"],
    )
    heard = [json.loads(row["data"]) for row in told_anew]
    assert [one["meta"] for one in heard[1:3]] == [one["meta"] for one in after[1:3]]


async def test_an_agent_that_fails_says_so(house: House, api: Api) -> None:
    made = await task(house, "[model calls=1 tool=_failure args=summary:impossible]")

    run = await over(api, (await trigger(api, made))["executionId"])

    assert (run["state"], run["outcome"]) == ("succeeded", "failure")
    assert (await execution(house, run["id"]))["summary"] == "impossible"


async def test_the_same_key_is_the_same_run(house: House, api: Api) -> None:
    made, headers = await task(house), {"Idempotency-Key": ids.new("key")}

    told = [await trigger(api, made, **headers) for _ in range(3)]
    other = await trigger(api, made)

    assert len({one["executionId"] for one in told}) == 1
    assert other.get("executionId") != told[0]["executionId"]


async def test_while_a_run_is_unfinished_the_policy_decides_and_the_answer_says_so(
    house: House, api: Api
) -> None:
    made = {
        overlap: await task(house, LONG, overlap=overlap, session_duration=0)
        for overlap in ("skip", "buffer_one", "cancel_other", "allow_all")
    }
    first = {overlap: (await trigger(api, one))["executionId"] for overlap, one in made.items()}

    told = {overlap: (await trigger(api, one))["state"] for overlap, one in made.items()}
    third = await trigger(api, made["buffer_one"])

    assert told["skip"] == "skipped"
    assert told["buffer_one"] == "waiting"
    assert told["allow_all"] == "started"
    assert third == {"id": made["buffer_one"], "state": "skipped"}
    assert (await over(api, first["cancel_other"]))["state"] == "canceled"
    for one in made.values():
        for row in await house.rows("SELECT id FROM run WHERE task_id = $1 AND ended_at IS NULL", one):
            await api.ok(f"/v1/run/{row['id']}/cancel", {})


async def test_who_waited_begins_after_the_one_before(house: House, api: Api) -> None:
    made = await task(house, "[model tokens=30 delay=20]", overlap="buffer_all", session_duration=0)

    runs = [(await trigger(api, made))["executionId"] for _ in range(3)]
    ended = [await over(api, run) for run in runs]

    assert all(one["state"] == "succeeded" for one in ended)
    assert all(after["begunAt"] >= before["endedAt"] for before, after in itertools.pairwise(ended))


async def test_a_run_that_reaches_a_limit_of_its_task_has_ended_well_and_says_so(
    house: House, api: Api
) -> None:
    made = await task(house, "[model calls=1 rounds=1000 tool=_nothing]", max_iterations=10)

    run = await over(api, (await trigger(api, made))["executionId"])

    assert (run["state"], run["end"]["reason"]) == ("succeeded", "iteration")
    checkpoints = [m for m in await stored(api, run["conversationId"]) if m["type"] == "checkpoint"]
    told = [one["meta"]["checkpoint"] for one in checkpoints]
    assert [one.get("percent") for one in told] == [50, 80, 90, None]
    assert told[-1] == {"type": "limit_exceeded"}


async def parked(api: Api, run: str) -> JSON:
    async def check() -> JSON:
        found = await fetched(api, run)
        assert found.get("parkedAt"), found
        return found

    return await eventually(check)


async def begun_earlier(house: House, run: str, by: str) -> None:
    await house.rows("UPDATE run SET begun_at = begun_at - $2::text::interval WHERE id = $1", run, by)


async def test_a_run_whose_time_is_up_while_it_delays_itself_ends_well(house: House, api: Api) -> None:
    made = await task(house, "[model calls=1 tool=_delay args=seconds:86400]", max_time=3_600_000)
    run = await parked(api, (await trigger(api, made))["executionId"])
    plan = (await house.temporal()).get_workflow_handle(run["workflowId"])
    skipper = TimeSkipper(await house.temporal())

    # Only by Temporal's clock: in Postgres, whose word counts, it is not up.
    await skipper.fast_forward(plan, timedelta(hours=1, minutes=1))
    assert (await fetched(api, run["id"]))["state"] == "running"
    await begun_earlier(house, run["id"], "1 hour")
    await skipper.fast_forward(plan, timedelta(hours=1, minutes=1))
    ended = await over(api, run["id"])

    assert (ended["state"], ended["end"]["reason"]) == ("succeeded", "iteration")
    last = (await stored(api, run["conversationId"]))[-1]
    assert (last["type"], last["meta"]["checkpoint"]) == ("checkpoint", {"type": "limit_exceeded"})
    assert [step["state"] for step in ended["steps"]] == ["done", "failed"]


async def test_a_run_that_delays_itself_goes_on_after_the_delay(house: House, api: Api) -> None:
    made = await task(house, "[model calls=1 tool=_delay args=seconds:240]", max_time=3_600_000)
    run = await parked(api, (await trigger(api, made))["executionId"])
    plan = (await house.temporal()).get_workflow_handle(run["workflowId"])

    await house.rows("UPDATE call SET deadline = deadline - interval '240 s' WHERE run_id = $1", run["id"])
    await TimeSkipper(await house.temporal()).fast_forward(plan, timedelta(minutes=4, seconds=1))
    ended = await over(api, run["id"])

    assert (ended["state"], ended["end"]["reason"]) == ("succeeded", "stop")


async def test_a_run_whose_history_grew_long_goes_on_in_a_new_one_and_ends_in_time(
    house: House, api: Api
) -> None:
    made = await task(house, "[model calls=1 rounds=2 tool=_delay args=seconds:8 tokens=2]")
    run = await parked(api, (await trigger(api, made))["executionId"])
    await lengthen(house, run["workflowId"])

    ended = await over(api, run["id"])

    assert (ended["state"], ended["end"]["reason"]) == ("succeeded", "stop")
    assert [step["kind"] for step in ended["steps"]] == ["model", "call", "model", "call", "model"]
    (first, size), (last, _) = await executions(house, run["workflowId"])
    assert (first, last) == (WorkflowExecutionStatus.CONTINUED_AS_NEW, WorkflowExecutionStatus.COMPLETED)
    assert size > MIB


async def test_a_plan_that_is_cancelled_in_temporal_while_it_waits_for_its_turn_ends_its_run(
    house: House, api: Api
) -> None:
    made = await task(house, LONG, every=2_000, overlap="buffer_all", session_duration=0, catchup=60_000)
    schedule = await scheduled(house, made, 1)

    async def waits() -> JSON:
        rows = await house.rows(
            "SELECT id, workflow_id FROM run WHERE task_id = $1 AND admitted_at IS NULL AND ended_at IS NULL "
            "AND workflow_id LIKE '%/run-%'",
            made,
        )
        assert rows
        return dict(rows[0])

    waiting = await eventually(waits)
    await schedule.delete()
    await house.rows("UPDATE task SET next_at = NULL WHERE id = $1", made)
    await (await house.temporal()).get_workflow_handle(waiting["workflow_id"]).cancel()
    ended = await over(api, waiting["id"])
    await api.ok(f"/v1/task/{made}/cancel", {})

    assert ended["state"] == "canceled"


async def test_a_task_that_is_not_there_is_not_triggered(api: Api) -> None:
    assert (await api.post(f"/v1/task/{ids.task()}/trigger", {})).status == 404


async def scheduled(house: House, task_id: str, seconds: int) -> Any:
    """A schedule of Temporal's, as a task has one."""
    client = await house.temporal()
    action = ScheduleActionStartWorkflow(
        "task_run",
        TaskInput(task_id=task_id),
        id=ids.scheduled_workflows(task_id),
        task_queue="holdfast",
    )
    return await client.create_schedule(
        ids.task_schedule(task_id),
        Schedule(
            action=action,
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(seconds=seconds))]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.ALLOW_ALL),
        ),
    )


@pytest.mark.parametrize("overlap", ["skip", "buffer_all"])
async def test_a_schedule_runs_its_task_once_each_time(house: House, api: Api, overlap: str) -> None:
    made = await task(house, every=2_000, start_at=None, overlap=overlap, catchup=60_000)
    # Its place in the period is its own; Temporal is told of all of them here, and most stand for nothing.
    schedule = await scheduled(house, made, 1)

    async def three() -> list[Any]:
        rows = await house.rows(
            "SELECT o.*, r.state AS of_run, r.workflow_id FROM occurrence o JOIN run r ON r.id = o.run_id "
            "WHERE o.task_id = $1 AND r.ended_at IS NOT NULL ORDER BY o.at",
            made,
        )
        assert len(rows) >= 3
        return rows

    try:
        rows = await eventually(three)
    finally:
        # Or upkeep would find that it has none.
        await house.rows("UPDATE task SET next_at = NULL WHERE id = $1", made)
        await schedule.delete()

    assert {row["of_run"] for row in rows} == {"succeeded"}
    gaps = {(after["at"] - before["at"]).total_seconds() for before, after in itertools.pairwise(rows)}
    assert gaps == {2.0} or overlap == "skip"
    # What was due before the schedule was there, or came late, a later firing has decided.
    workflows = ids.scheduled_workflows(made)
    assert any(row["workflow_id"] == f"{workflows}-{row['at']:%Y-%m-%dT%H:%M:%SZ}" for row in rows)
