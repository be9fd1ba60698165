"""Promise 8: a run whose workflow is closed, cancelled, removed or was never there still comes to its end."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest

from domain import ids
from tests.crash.conftest import Note
from tests.crash.witness import Witness, some
from tests.house import House
from tests.http import Api, inner, text_of

pytestmark = pytest.mark.slow

LONG = "[model tokens=40 delay=25 stall=20 times=1]"
"""Silent for ever after 20 tokens, when it is called for the first time."""


async def test_runs_whose_workflow_an_operator_terminates_or_removes_end_within_90_seconds(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    terminated, removed = await _speaking(api), await _speaking(api)
    await (await witness.plan(terminated["runId"])).terminate(reason="an operator slipped")
    await _remove(witness, removed["runId"])
    began = time.monotonic()

    await asyncio.gather(_ends_as_lost(api, witness, terminated), _is_done_again(api, witness, removed))

    note("from the operator's mistakes to the end of both runs, s", round(time.monotonic() - began))


async def test_a_run_whose_workflow_is_cancelled_in_temporal_ends_canceled_with_its_partial_text(
    house: House, api: Api, witness: Witness
) -> None:
    told = await _speaking(api)

    await (await witness.plan(told["runId"])).cancel()

    run = await witness.ended(told["runId"], "canceled")
    assert await witness.hung_up(told["word"])
    (message,) = await house.rows("SELECT text, meta FROM message WHERE id = $1", run["message_id"])
    assert message["text"] == " ".join(f"t{n}" for n in range(1, 21))
    assert message["meta"] == {"partial": True, "reason": "canceled"}
    events = inner(await api.stream(f"/v1/run/{told['runId']}/subscribe"))
    assert [event["type"] for event in events[-2:]] == ["abort", "result"]
    await _is_free(api, told["conversation"])


async def test_a_run_that_nobody_could_start_is_started_by_the_sweeper(
    house: House, api: Api, witness: Witness, note: Note
) -> None:
    conversation = await api.conversation()
    house.kill("temporal")
    told = await api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": "canary [model tokens=3]"})
    # With the API goes the start it still had in mind.
    house.kill("api")
    house.start("temporal")
    back = time.monotonic()

    await witness.ended(told["runId"])

    note("from Temporal's start to the end of a run nobody started, s", round(time.monotonic() - back, 1))
    house.start("api")
    await house.ready()
    assert await api.messages(conversation) == [("user", "canary [model tokens=3]"), ("bot", "t1 t2 t3")]


async def _speaking(api: Api) -> dict[str, Any]:
    """A turn whose model has said its 20 tokens and is silent."""
    conversation, word = await api.conversation(), ids.new("canary")
    ask = {"text": f"{word} {LONG}"}
    told: dict[str, Any] = await api.ok(f"/v1/conversation/{conversation}/dispatch", ask)
    async with api.streaming(f"/v1/channel/{told['channelId']}/subscribe") as events:
        await some(events, 20)
    return told | {"conversation": conversation, "word": word}


async def _remove(witness: Witness, run: str) -> None:
    """What `temporal workflow delete` does."""
    client, plan = await witness.temporal(), await witness.plan(run)
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=plan.id)
        )
    )


async def _ends_as_lost(api: Api, witness: Witness, told: dict[str, Any]) -> None:
    run = await witness.ended(told["runId"], "failed", seconds=90)
    assert (run["error_code"], run["end_reason"]) == ("PLAN_LOST", "error")
    shown = (await api.get(f"/v1/run/{told['runId']}/fetch")).body
    assert shown["error"]["code"] == "PLAN_LOST"
    assert "closed from outside" in shown["error"]["message"]
    last = (await api.stream(f"/v1/run/{told['runId']}/subscribe"))[-1]
    assert (last["data"]["type"], last["data"]["data"]["code"]) == ("error", "PLAN_LOST")
    assert [kind for kind, _ in await api.messages(told["conversation"])] == ["user"]
    assert await witness.hung_up(told["word"])
    await _is_free(api, told["conversation"])


async def _is_done_again(api: Api, witness: Witness, told: dict[str, Any]) -> None:
    await witness.ended(told["runId"], seconds=90)
    events = inner(await api.stream(f"/v1/run/{told['runId']}/subscribe"))
    stored = await api.messages(told["conversation"])
    assert [kind for kind, _ in stored] == ["user", "bot"]
    assert text_of(events) == stored[1][1] == " ".join(f"t{n}" for n in range(1, 41))
    await _is_free(api, told["conversation"])


async def _is_free(api: Api, conversation: str) -> None:
    answer = await api.ok(f"/v1/conversation/{conversation}/complete", {"text": "canary [model tokens=2]"})
    assert answer["text"] == "t1 t2"
