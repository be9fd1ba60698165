"""ability/execute: one call of an ability, made by hand, as a run of its own."""

from __future__ import annotations

import asyncio
from typing import Any

from domain import ids
from tests.api.test_budget import fetched
from tests.api.test_streams import SSE, sse
from tests.house import eventually
from tests.http import Api, inner
from tests.tenant import Tenant

JSON = dict[str, Any]
HELLO = "```prompt\nHello {word: string}.\n```"
BLOCKED = "```fetch\nPOST http://10.0.0.1/{word: string}\n```"


async def made(api: Api, instruction: str = HELLO, name: str = "say hello") -> tuple[str, str]:
    """The path of an ability's execute, and the ability."""
    skillset = (await api.ok("/v1/skillset/create"))["id"]
    body = {"name": name, "description": "says hello", "instruction": instruction}
    ability: str = (await api.ok(f"/v1/skillset/{skillset}/ability/create", body))["id"]
    return f"/v1/skillset/{skillset}/ability/{ability}/execute", ability


def told(messages: list[JSON]) -> list[tuple[str, str, Any]]:
    acts = [message["meta"]["activity"] for message in messages]
    return [(act["type"], act["function"]["name"], act["function"].get("result")) for act in acts]


async def test_an_ability_is_called_with_its_input_and_its_result_is_the_answer(tenant: Tenant) -> None:
    execute, ability = await made(tenant.api)

    answer = await tenant.api.ok(execute, {"input": '{"word": "you"}'})

    assert answer["result"] == "Hello you."
    assert (answer["usage"], "error" in answer) == ({"token": 0}, False)
    assert told(answer["messages"]) == [
        ("request", "say hello", None),
        ("response", "say hello", "Hello you."),
    ]
    run = await fetched(tenant.api, answer["runId"])
    assert (run["kind"], run["lane"], run["state"], run["end"]) == (
        "ability",
        "interactive",
        "succeeded",
        {"reason": "stop"},
    )
    assert run["workflowId"] == f"ability/{ability}/{run['id']}"
    (step,) = run["steps"]
    assert (step["ordinal"], step["kind"], step["tool"], step["state"], step["attempt"]) == (
        1,
        "call",
        "ability",
        "done",
        1,
    )
    acts = await tenant.acts("run.create", "run.succeeded")
    assert [(act["type"], act["runId"]) for act in acts] == [
        ("run.create", run["id"]),
        ("run.succeeded", run["id"]),
    ]
    assert acts[0]["abilityId"] == ability


async def test_plain_text_is_the_value_of_the_only_parameter(api: Api) -> None:
    execute, _ = await made(api)

    assert (await api.ok(execute, {"input": "you there"}))["result"] == "Hello you there."


async def test_arguments_that_do_not_fit_are_refused_before_anything_is_accepted(tenant: Tenant) -> None:
    execute, _ = await made(tenant.api)
    before = await tenant.belongings()

    for given in ({}, {"input": '{"other": 1}'}, {"input": '{"word": 7}'}):
        status, body, _ = await tenant.api.post(execute, given)
        assert (status, body["code"]) == (400, "BAD_REQUEST")
        assert "`word`" in body["message"]

    assert await tenant.belongings() == before


async def test_that_it_failed_is_an_answer_too(api: Api) -> None:
    execute, _ = await made(api, BLOCKED)

    answer = await api.ok(execute, {"input": "you"})

    assert "10.0.0.1" in answer["error"]
    assert "result" not in answer
    run = await fetched(api, answer["runId"])
    (step,) = run["steps"]
    assert (run["state"], step["state"], step["errorCode"], step["effect"]) == (
        "succeeded",
        "failed",
        "TOOL_BLOCKED",
        "once",
    )


async def test_it_is_heard_as_it_happens(api: Api) -> None:
    execute, _ = await made(api)

    events = await api.stream(execute, {"input": "you"})
    everything = await api.stream(execute, {"input": "you"}, **{"X-Holdfast-Events": "all"})
    _, raw, _ = await api.raw("POST", execute, b'{"input": "you"}', **SSE)

    assert [event["type"] for event in events] == ["message", "message", "result"]
    assert [event["type"] for event in everything] == [
        "message",
        "operationBegin",
        "message",
        "operationEnd",
        "result",
    ]
    assert events[-1]["data"]["result"] == "Hello you."
    assert [event["type"] for event in sse(raw)] == ["message", "message", "result"]


async def test_a_repeat_under_its_key_is_the_same_call(api: Api) -> None:
    execute, _ = await made(api)
    key = {"Idempotency-Key": ids.channel()}

    answers = await asyncio.gather(*(api.ok(execute, {"input": "you"}, **key) for _ in range(5)))
    other = await api.post(execute, {"input": "me"}, **key)

    assert len({answer["runId"] for answer in answers}) == 1
    assert {answer["result"] for answer in answers} == {"Hello you."}
    assert other.status == 409


async def test_its_words_go_once_it_is_answered(tenant: Tenant) -> None:
    execute, _ = await made(tenant.api)
    answer = await tenant.api.ok(execute, {"input": "you"})

    async def gone() -> None:
        (row,) = await tenant.house.rows(
            "SELECT (SELECT count(*) FROM message WHERE run_id = r.id) AS messages,"
            " (SELECT count(*) FROM event e WHERE e.channel_id = r.channel_id) AS events, request"
            " FROM run r WHERE id = $1",
            answer["runId"],
        )
        assert (row["messages"], row["events"], row["request"]) == (0, 0, None)

    await eventually(gone)


async def test_a_run_of_an_ability_is_listed_by_its_kind_and_heard_by_its_id(tenant: Tenant) -> None:
    execute, _ = await made(tenant.api)
    key = {"Idempotency-Key": ids.channel()}
    run = (await tenant.api.ok(execute, {"input": "you"}, **key))["runId"]

    listed = (await tenant.api.get("/v1/run/list?kind=ability")).body["items"]
    heard = inner(await tenant.api.stream(f"/v1/run/{run}/subscribe"))

    assert [item["id"] for item in listed] == [run]
    assert heard[-1]["data"]["result"] == "Hello you."


async def test_who_it_is_done_for_is_not_served_yet(api: Api) -> None:
    execute, _ = await made(api)

    status, body, _ = await api.post(execute, {"input": "you", "contactId": "ctc_1"})

    assert (status, body["code"]) == (501, "NOT_IMPLEMENTED")
    assert "contactId" in body["message"]
