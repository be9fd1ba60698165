"""Runs: listed, fetched, watched, cancelled."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any
from urllib.parse import unquote

import pytest

from domain import ids
from tests.api.test_streams import JSONL, SSE, jsonl, sse
from tests.http import Api, inner
from tests.tenant import Tenant


async def fetched(api: Api, run: str) -> dict[str, Any]:
    status, body, _ = await api.get(f"/v1/run/{run}/fetch")
    assert status == 200, body
    found: dict[str, Any] = body
    return found


@pytest.mark.parametrize("prefix", ["/v1", "/api/v1"])
async def test_a_run_tells_its_steps_its_usage_and_where_temporal_shows_it(
    tenant: Tenant, prefix: str
) -> None:
    conversation = await tenant.api.conversation()
    answer = await tenant.api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=3]"})

    run = (await tenant.api.get(f"{prefix}/run/{answer['runId']}/fetch")).body

    assert (run["id"], run["kind"], run["lane"]) == (answer["runId"], "turn", "interactive")
    assert (run["state"], run["end"], run["acceptedSeq"]) == ("succeeded", {"reason": "stop"}, 1)
    assert (run["conversationId"], run["messageId"]) == (conversation, answer["id"])
    assert run["createdAt"] <= run["admittedAt"] <= run["begunAt"] <= run["endedAt"]
    assert run["usage"]["token"] == answer["usage"]["token"]
    assert run["usage"]["token"] == run["usage"]["inputTokens"] + run["usage"]["outputTokens"]
    (step,) = run["steps"]
    assert (step["ordinal"], step["kind"], step["state"], step["attempt"]) == (1, "model", "done", 1)
    assert (step["model"], step["outputTokens"]) == ("gpt-5-mini", run["usage"]["outputTokens"])
    assert step["begunAt"] <= step["endedAt"]
    assert run["workflowId"] == ids.turn_workflow(conversation, run["id"])
    assert unquote(run["temporalUrl"]).endswith(f"/workflows/{run['workflowId']}")
    assert not {"request", "error"} & {*run}


async def test_a_run_tells_how_often_its_model_was_asked_and_why(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    answer = await tenant.api.ok(
        f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1 status=500 times=1]"}
    )
    status, told, _ = await tenant.api.post(
        f"/v1/conversation/{conversation}/complete", {"text": "[model status=401]"}
    )

    (mended,) = (await fetched(tenant.api, answer["runId"]))["steps"]
    failed = await fetched(tenant.api, told["runId"])

    assert (mended["state"], mended["attempt"]) == ("done", 2)
    assert status == 422
    assert (failed["state"], failed["end"]) == ("failed", {"reason": "error"})
    assert failed["error"] == {"code": told["code"], "message": told["message"]}
    assert failed["steps"][0]["errorCode"] == told["code"]


async def test_runs_are_listed_newest_first_and_narrowed_by_filters(tenant: Tenant) -> None:
    api = tenant.api
    bot = (await api.ok("/v1/bot/create"))["id"]
    contact = (await api.ok("/v1/contact/create"))["id"]
    one, other = await api.conversation(botId=bot), await api.conversation(contactId=contact)
    first = (await api.ok(f"/v1/conversation/{one}/complete", {"text": "[model tokens=1]"}))["runId"]
    between = time.time_ns() // 1_000_000
    failed = (await api.post(f"/v1/conversation/{other}/complete", {"text": "[model status=400]"})).body[
        "runId"
    ]
    alone = await api.ok(
        "/v1/conversation/complete", {"messages": [{"type": "user", "text": "x"}], "botId": bot}
    )
    stateless = alone["runId"]

    expected = {
        "": [stateless, failed, first],
        "order=asc": [first, failed, stateless],
        "take=1": [stateless],
        f"take=1&cursor={stateless}": [failed],
        "kind=turn": [failed, first],
        "kind=completion": [stateless],
        "state=failed": [failed],
        "state=failed,succeeded&kind=turn": [failed, first],
        f"conversationId={one},{other}": [failed, first],
        f"botId={bot}": [stateless, first],
        f"contactId={contact}": [failed],
        f"since={between}": [stateless, failed],
        "state=queued": [],
    }
    for query, runs in expected.items():
        listed = (await api.get(f"/v1/run/list?{query}")).body["items"]
        assert [item["id"] for item in listed] == runs, query
    _, lines, _ = await api.raw("GET", "/v1/run/list", **JSONL)
    assert [event["data"]["id"] for event in jsonl(lines)] == [stateless, failed, first]


@pytest.mark.parametrize("query", ["kind=alien", "state=lost"])
async def test_a_filter_value_that_nothing_has_finds_nothing(tenant: Tenant, query: str) -> None:
    assert (await tenant.api.get(f"/v1/run/list?{query}")).body == {"items": [], "cursor": ""}


async def test_subscribing_to_a_run_is_subscribing_to_its_channel(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    told = await tenant.api.ok(f"/v1/conversation/{conversation}/dispatch", {"text": "[model tokens=3]"})

    by_run = await tenant.api.stream(f"/v1/run/{told['runId']}/subscribe")
    by_channel = await tenant.api.stream(f"/v1/channel/{told['channelId']}/subscribe")
    rest = await tenant.api.stream(f"/v1/run/{told['runId']}/subscribe", {"after": by_run[1]["seq"]})
    status, body, _ = await tenant.api.post(f"/v1/run/{told['runId']}/subscribe")

    assert by_run == by_channel
    assert rest == by_run[2:]
    assert inner(by_run)[-1]["type"] == "result"
    assert (status, body["code"]) == (400, "BAD_REQUEST")


async def test_the_progress_of_a_run_at_work_is_its_workflows_own(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    told = await tenant.api.ok(
        f"/v1/conversation/{conversation}/dispatch", {"text": "[model tokens=4000 delay=30]"}
    )
    async with tenant.api.streaming(f"/v1/run/{told['runId']}/subscribe") as events:
        while (await anext(events))["data"]["type"] != "token":
            pass

    during = (await tenant.api.get(f"/v1/run/{told['runId']}/progress")).body
    await tenant.api.ok(f"/v1/run/{told['runId']}/cancel")
    after = (await tenant.api.get(f"/v1/run/{told['runId']}/progress")).body

    assert during == {
        "runId": told["runId"],
        "state": "running",
        "source": "workflow",
        "phase": "model",
        "step": 1,
        "attempts": 0,
        "calls": 0,
        "waits": 0,
    }
    assert (after["state"], after["source"], after["phase"]) == ("canceled", "store", "closed")


@pytest.mark.parametrize("shape", ["jsonl", "sse"])
async def test_progress_is_streamed_as_it_changes_until_the_run_is_over(tenant: Tenant, shape: str) -> None:
    conversation = await tenant.api.conversation()
    told = await tenant.api.ok(
        f"/v1/conversation/{conversation}/dispatch", {"text": "[model tokens=20 delay=30]"}
    )

    _, raw, headers = await tenant.api.raw(
        "GET", f"/v1/run/{told['runId']}/progress", **(JSONL if shape == "jsonl" else SSE)
    )

    events = jsonl(raw) if shape == "jsonl" else sse(raw)
    seen = [event["data"] for event in events]
    assert {event["type"] for event in events} == {"progress"}
    assert (seen[-1]["state"], seen[-1]["phase"]) == ("succeeded", "closed")
    assert all(one != next_ for one, next_ in pairwise(seen))
    assert headers["Content-Type"].startswith(
        "application/jsonl" if shape == "jsonl" else "text/event-stream"
    )


async def test_a_waiting_run_progresses_from_the_store(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    url = f"/v1/conversation/{conversation}/dispatch"
    busy = await tenant.api.ok(url, {"text": "[model tokens=4000 delay=30]"})
    waits = await tenant.api.ok(url, {"text": "next"})

    progress = (await tenant.api.get(f"/v1/run/{waits['runId']}/progress")).body
    await tenant.api.ok(f"/v1/conversation/{conversation}/delete")

    assert progress == {
        "runId": waits["runId"],
        "state": "queued",
        "source": "store",
        "phase": "waiting",
        "step": 0,
        "attempts": 0,
        "calls": 0,
        "waits": 0,
    }
    assert (await fetched(tenant.api, busy["runId"]))["state"] == "canceled"


async def test_cancelling_what_is_over_changes_nothing(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation()
    answer = await tenant.api.ok(f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=1]"})
    before = await fetched(tenant.api, answer["runId"])

    told = await tenant.api.ok(f"/v1/run/{answer['runId']}/cancel")

    assert told == {"id": answer["runId"]}
    assert await fetched(tenant.api, answer["runId"]) == before


async def test_a_cancelled_stateless_run_keeps_what_it_had_said_in_its_channel(tenant: Tenant) -> None:
    ask = {"messages": [{"type": "user", "text": "[model tokens=4000 delay=20]"}]}
    told = await tenant.api.ok("/v1/conversation/dispatch", ask)
    async with tenant.api.streaming(f"/v1/run/{told['runId']}/subscribe") as events:
        while (await anext(events))["data"]["type"] != "token":
            pass

    await tenant.api.ok(f"/v1/run/{told['runId']}/cancel")
    last = inner(await tenant.api.stream(f"/v1/run/{told['runId']}/subscribe"))[-1]

    assert last["type"] == "result"
    assert last["data"]["text"].startswith("t1")
    assert last["data"]["end"] == {"reason": "abort"}
    assert "id" not in last["data"]


async def test_progress_says_no_words(tenant: Tenant) -> None:
    conversation = await tenant.api.conversation(backstory="canary")
    told = await tenant.api.ok(
        f"/v1/conversation/{conversation}/dispatch", {"text": "canary [model tokens=1]"}
    )

    _, raw, _ = await tenant.api.raw("GET", f"/v1/run/{told['runId']}/progress", **JSONL)

    assert b"canary" not in raw
    assert json.loads(raw.splitlines()[-1])["data"]["state"] == "succeeded"
