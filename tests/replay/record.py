"""Records the histories that later workflows must still replay: `python -m tests.replay.record`.

Run it when a plan gets a new way to go, and commit what it adds. Histories that are there are left as they
are: they are what runs of older versions look like.
"""

from __future__ import annotations

import asyncio
import json
import re
import tempfile
from pathlib import Path

from temporalio.client import Client, WorkflowExecution

from domain import ids
from tests.api.test_ability_runs import made
from tests.api.test_budget import LOOK, PLENTY, asking, ended, short
from tests.house import House, eventually
from tests.http import Api
from tests.replay.agents import agents
from tests.replay.deliveries import deliveries
from tests.replay.tasks import task_runs
from tests.replay.triggers import trigger_events

FOLDER = Path(__file__).parent / "histories"
_PRIVATE = re.compile(r"[0-9]+@[^\"]+")
"""A worker's identity: its process id and its machine's name."""


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        house = House(Path(folder))
        try:
            await house.open()
            client = await house.temporal()
            async with house.api() as api:
                for name, workflow_id in (await _runs(house, api)).items():
                    await _keep(client, name, workflow_id)
        finally:
            await house.close()


async def _runs(house: House, api: Api) -> dict[str, str]:
    """A run of every way a plan can go, by the name of its history."""
    conversation = await api.conversation()
    turn, words = f"/v1/conversation/{conversation}/complete", {"type": "user", "text": "canary"}
    answered = await api.ok(turn, {"text": "canary"})
    stateless = await api.ok("/v1/conversation/complete", {"messages": [words]})
    refused = await api.post(turn, {"text": "canary [model status=400]"})
    canceled = await api.ok(
        f"/v1/conversation/{conversation}/dispatch", {"text": "[model tokens=500 delay=50]"}
    )
    await _running(api, canceled["runId"])
    await api.ok(f"/v1/run/{canceled['runId']}/cancel")
    steered = await api.ok(f"{turn.removesuffix('complete')}dispatch", {"text": "[model tokens=9 delay=100]"})
    await _running(api, steered["runId"])
    await api.ok(turn, {"text": "[model tokens=1]", "onBusy": "steer"})
    execute, _ = await made(api)
    called = await api.ok(execute, {"input": "canary"})
    waited = await _out_of_budget(api)
    runs = {
        "turn-answered": answered["runId"],
        "completion-answered": stateless["runId"],
        "turn-refused-by-model": refused.body["runId"],
        "turn-canceled": canceled["runId"],
        "turn-steered": steered["runId"],
        "ability-answered": called["runId"],
        "completion-out-of-budget": waited,
        **await agents(house, api),
    }
    found = {name: (await api.get(f"/v1/run/{run}/fetch")).body["workflowId"] for name, run in runs.items()}
    found |= await deliveries(house, api)
    found |= await task_runs(house, api) | await trigger_events(house, api)
    return found | {"upkeep-tasks": await _upkeep(house)}


async def _out_of_budget(api: Api) -> str:
    """A run that waited for a higher budget, and had it."""
    run: str = (
        await api.ok("/v1/conversation/dispatch", asking("canary [model calls=1 tokens=1]", 1, LOOK))
    )["runId"]
    await short(api, run)
    await api.ok(f"/v1/run/{run}/budget", {"tokens": PLENTY})
    await ended(api, run)
    return run


async def _running(api: Api, run_id: str) -> None:
    async def check() -> None:
        assert (await api.get(f"/v1/run/{run_id}/fetch")).body["steps"]

    await eventually(check)


async def _upkeep(house: House) -> str:
    client = await house.temporal()
    await client.get_schedule_handle(ids.UPKEEP_SCHEDULE).trigger()

    async def check() -> str:
        async for found in client.list_workflows("WorkflowType = 'upkeep'"):
            return found.id
        raise AssertionError("no upkeep yet")

    return await eventually(check)


async def _keep(client: Client, name: str, workflow_id: str) -> None:
    """Of a plan that went on in a new execution, each has its history: `name`, then `name-2`."""
    if (FOLDER / f"{name}.json").exists():
        return
    for number, execution in enumerate(await _executions(client, workflow_id), 1):
        told = await client.get_workflow_handle(workflow_id, run_id=execution.run_id).fetch_history()
        history = json.loads(told.to_json())
        for event in history["events"]:
            # What made the history long need not do so here: the plan reads its size from other events.
            event.get("workflowExecutionSignaledEventAttributes", {}).pop("input", None)
        FOLDER.mkdir(exist_ok=True)
        file = FOLDER / f"{name}{f'-{number}' if number > 1 else ''}.json"
        file.write_text(_PRIVATE.sub("worker", json.dumps(history, indent=1)) + "\n")


async def _executions(client: Client, workflow_id: str) -> list[WorkflowExecution]:
    """All of a plan that is over, oldest first."""

    async def closed() -> list[WorkflowExecution]:
        found = [one async for one in client.list_workflows(f"WorkflowId = '{workflow_id}'")]
        assert found
        assert all(one.close_time for one in found)
        return sorted(found, key=lambda one: one.start_time)

    return await eventually(closed)


if __name__ == "__main__":
    asyncio.run(main())
