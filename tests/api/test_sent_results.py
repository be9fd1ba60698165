"""Results are delivered at least once, under one id, whatever their receivers do meanwhile."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
from standardwebhooks import Webhook
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import WorkflowHandle

from domain import ids
from tests.house import House, eventually
from tests.http import Api
from tests.receiver import Receiver
from tests.results import Results, codes
from tests.scrape import scrape

pytestmark = pytest.mark.slow

SCALED = {
    "HOLDFAST_DELIVERY_SCHEDULE": "0,0.2,0.3,0.5,1,1,1,30",
    "HOLDFAST_DELIVERY_PAUSES": "0.5,1",
}
"""The days of a schedule in seconds."""
TIMES = 8


@pytest.fixture(scope="module")
async def house(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[House]:
    built = House(tmp_path_factory.mktemp("house"), **SCALED)
    try:
        await built.open()
        yield built
    finally:
        await built.close()


@pytest.fixture
async def results(api: Api) -> Results:
    return Results(api)


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as receiver:
        yield receiver


async def test_a_result_is_posted_once_signed_under_a_stable_id(results: Results, receiver: Receiver) -> None:
    conversation, run = await results.ask(f"{receiver.url}/hook")

    delivery = await results.one(run)

    (request,) = receiver.requests["hook"]
    shown = (await results.api.get(f"/v1/target/{delivery['targetId']}/fetch")).body
    told: dict[str, Any] = Webhook(shown["secret"]).verify(request.body, request.headers)
    assert request.id == delivery["id"]
    assert request.body.decode() == delivery["body"]
    assert told["type"] == delivery["type"] == "conversation.completed"
    assert (told["data"]["text"], told["data"]["runId"]) == ("t1 t2 t3", run)
    assert told["data"]["conversationId"] == conversation
    assert [(one["number"], one["status"], one["body"]) for one in delivery["tried"]] == [
        (1, 200, '{"ok": true}')
    ]


async def test_a_receiver_that_was_down_gets_what_it_missed_under_the_same_id(
    results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/status=503/times=3/hook")

    delivery = await results.one(run)

    assert {request.id for request in receiver.requests["hook"]} == {delivery["id"]}
    assert len({request.body for request in receiver.requests["hook"]}) == 1
    assert codes(delivery) == ["HTTP_503", "HTTP_503", "HTTP_503", None]


async def test_a_receiver_that_hangs_up_after_it_has_acted_gets_the_same_id_again(
    results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/late/times=1/hook")

    delivery = await results.one(run)

    assert [request.id for request in receiver.requests["hook"]] == [delivery["id"]] * 2
    assert codes(delivery) == ["CONNECTION_LOST", None]


async def test_a_receiver_that_asks_for_time_gets_it(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/status=429/retry=3/times=1/hook")

    delivery = await results.one(run)

    second, first = delivery["tried"]
    assert second["begunAt"] - first["endedAt"] >= 3_000


async def test_a_receiver_that_is_gone_is_disabled(results: Results, receiver: Receiver) -> None:
    url = f"{receiver.url}/gone/hook"
    _, first = await results.ask(url)
    delivery = await results.one(first, "dead")
    _, second = await results.ask(url)

    late = await results.one(second, "dead")

    assert (delivery["errorCode"], late["errorCode"]) == ("TARGET_GONE", "TARGET_DISABLED")
    assert len(receiver.requests["hook"]) == 1
    shown = (await results.api.get(f"/v1/target/{late['targetId']}/fetch")).body
    assert shown["disabledCode"] == "TARGET_GONE"


async def test_what_is_gone_when_a_task_has_moved_its_target_does_not_disable_the_new_url(
    results: Results, receiver: Receiver
) -> None:
    api, old = results.api, f"{receiver.url}/held/gone/old"
    given = {"name": "t", "description": "[model tokens=3]", "delivery": {"webhook": {"url": old}}}
    task = (await api.ok("/v1/task/create", given))["id"]
    await api.ok(f"/v1/task/{task}/trigger", {})
    await eventually(lambda: _came(receiver, "old"))

    await api.ok(f"/v1/task/{task}/update", {"delivery": {"webhook": {"url": f"{receiver.url}/new"}}})
    receiver.released.set()

    await eventually(lambda: _came(receiver, "new"))
    target = (await api.get(f"/v1/task/{task}/fetch")).body["delivery"]["webhook"]
    assert "disabledCode" not in target
    assert receiver.requests["new"][0].id == receiver.requests["old"][0].id


async def test_what_runs_out_of_attempts_is_a_dead_letter_that_is_sent_again_under_its_id(
    results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/status=500/times={TIMES}/hook")
    waits = await results.tried(run, TIMES - 1)
    await results.api.ok(f"/v1/delivery/{waits['id']}/redeliver", {})
    dead = await results.one(run, "dead")
    assert dead["errorCode"] == "EXHAUSTED"
    assert len(dead["tried"]) == TIMES

    told = await results.api.ok("/v1/delivery/redeliver", {"state": "dead", "targetId": dead["targetId"]})

    assert told == {"count": 1, "more": False}
    delivery = await results.one(run)
    assert (delivery["id"], delivery["round"]) == (dead["id"], 2)
    assert {request.id for request in receiver.requests["hook"]} == {dead["id"]}
    assert len({request.body for request in receiver.requests["hook"]}) == 1


async def test_a_target_that_is_down_is_left_alone_asked_by_one_and_loses_nothing(
    house: House, results: Results, receiver: Receiver
) -> None:
    down = f"{receiver.url}/status=503/times=12/down"
    runs = [run for _, run in await asyncio.gather(*(results.ask(down) for _ in range(20)))]
    _, other = await results.ask(f"{receiver.url}/up")
    assert len((await results.one(other))["tried"]) == 1

    deliveries = await asyncio.gather(*(results.one(run, seconds=120) for run in runs))

    assert receiver.distinct_ids >= {one["id"] for one in deliveries}
    failed = [one for delivery in deliveries for one in delivery["tried"] if one.get("errorCode")]
    assert len(failed) == 12
    # Eight may have been under way when it was first known to be down, and then one at a time.
    late = sorted(failed, key=lambda one: one["begunAt"])[8:]
    assert all(later["begunAt"] - one["endedAt"] >= 400 for one, later in pairwise(late))


async def test_a_target_that_is_slow_takes_eight_places_while_others_flow(
    house: House, results: Results, receiver: Receiver
) -> None:
    slow = f"{receiver.url}/hang/times=8/slow"
    runs = [run for _, run in await asyncio.gather(*(results.ask(slow) for _ in range(16)))]

    async def hang() -> None:
        assert receiver.seen["slow"] == 8

    await eventually(hang)
    others = [run for _, run in await asyncio.gather(*(results.ask(f"{receiver.url}/up") for _ in range(5)))]
    await asyncio.gather(*(results.one(run, seconds=18) for run in others))
    assert receiver.seen["slow"] == 8

    await asyncio.gather(*(results.one(run, seconds=120) for run in runs))


async def test_a_crowd_of_results_for_one_receiver_arrives_at_the_first_attempt(
    results: Results, receiver: Receiver
) -> None:
    asked = await asyncio.gather(*(results.ask(f"{receiver.url}/many") for _ in range(60)))

    async def all_came() -> None:
        assert len(receiver.distinct_ids) == len(asked)

    await eventually(all_came, 90)
    for _, run in asked:
        assert len((await results.one(run))["tried"]) == 1


# Plans.


async def test_a_delivery_whose_workflow_is_terminated_is_a_dead_letter(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/status=429/retry=60/times=1/hook")
    waits = await results.tried(run, 1)
    client = await house.temporal()
    await client.get_workflow_handle(ids.delivery_workflow(waits["id"], 1)).terminate()
    await _look(house, waits["id"])

    dead = await results.one(run, "dead")

    assert dead["errorCode"] == "PLAN_LOST"
    await results.api.ok(f"/v1/delivery/{dead['id']}/redeliver", {})
    assert (await results.one(run))["round"] == 2
    assert [request.id for request in receiver.requests["hook"]] == [dead["id"]] * 2


async def test_a_delivery_whose_workflow_temporal_has_forgotten_is_started_again(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/status=429/retry=4/times=1/hook")
    waits = await results.tried(run, 1)
    client, workflow_id = await house.temporal(), ids.delivery_workflow(waits["id"], 1)
    await client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=client.namespace, workflow_execution=WorkflowExecution(workflow_id=workflow_id)
        )
    )
    await _look(house, waits["id"])

    delivery = await results.one(run)

    second, first = delivery["tried"]
    assert second["begunAt"] - first["endedAt"] >= 4_000
    assert delivery["round"] == 1


async def test_a_delivery_whose_attempts_fail_for_a_bug_of_ours_goes_on_when_that_is_mended(
    house: House, results: Results, receiver: Receiver
) -> None:
    _, run = await results.ask(f"{receiver.url}/status=429/retry=15/times=1/hook")
    waits = await results.tried(run, 1)
    plan = (await house.temporal()).get_workflow_handle(ids.delivery_workflow(waits["id"], 1))
    await house.rows("ALTER TABLE delivery_attempt RENAME TO away")
    try:
        await eventually(lambda: _gave_up(plan), 120)
    finally:
        await house.rows("ALTER TABLE away RENAME TO delivery_attempt")

    await results.api.ok(f"/v1/delivery/{waits['id']}/redeliver", {})

    assert (await results.one(run))["round"] == 1


async def _gave_up(plan: WorkflowHandle[Any, Any]) -> None:
    """The engine tries its activity no more."""
    history = await plan.fetch_history()
    assert any(event.HasField("activity_task_failed_event_attributes") for event in history.events)


async def _look(house: House, delivery: str) -> None:
    """Somebody looks after it now, not in a minute."""
    await house.rows("UPDATE delivery SET look_at = clock_timestamp() WHERE id = $1", delivery)


# Ends of runs.


async def test_a_run_that_is_canceled_says_so_to_its_receiver(results: Results, receiver: Receiver) -> None:
    _, run = await results.ask(f"{receiver.url}/hook", "[model tokens=4000 delay=20]")
    await results.api.ok(f"/v1/run/{run}/cancel", {})

    delivery = await results.one(run)

    assert delivery["type"] == "conversation.failed"
    assert _data(receiver, "hook")["state"] == "canceled"


async def test_runs_that_are_interrupted_rolled_back_or_fail_say_so_to_their_receivers(
    results: Results, receiver: Receiver
) -> None:
    for how in ("interrupt", "rollback"):
        conversation, run = await results.ask(f"{receiver.url}/{how}", "[model tokens=4000 delay=20]")
        await results.api.ok(
            f"/v1/conversation/{conversation}/complete", {"text": "[model tokens=2]", "onBusy": how}
        )
        await results.one(run)
    _, run = await results.ask(f"{receiver.url}/failed", "[model status=400]")
    await results.one(run)

    assert _data(receiver, "interrupt")["state"] == "interrupted"
    assert _data(receiver, "rollback")["state"] == "rolled_back"
    failed = _data(receiver, "failed")
    assert (failed["state"], failed["text"], failed["error"]["code"]) == ("failed", "", "MODEL_REFUSED")


async def test_a_run_that_joins_another_has_its_result_delivered_too(
    results: Results, receiver: Receiver
) -> None:
    conversation, first = await results.ask(f"{receiver.url}/one", "[model tokens=60 delay=80]")
    second = await results.ask_in(conversation, f"{receiver.url}/two", "[model tokens=2]", onBusy="steer")

    async def both() -> None:
        assert len(await results.of(first)) == 2

    await eventually(both)
    assert await results.of(second) == []
    for name in ("one", "two"):
        await eventually(lambda name=name: _came(receiver, name))  # type: ignore[misc]
        assert _data(receiver, name)["runId"] == first


async def test_what_a_deleted_conversation_said_is_not_sent_any_more(
    results: Results, receiver: Receiver
) -> None:
    conversation, run = await results.ask(f"{receiver.url}/status=503/hook")
    await results.tried(run, 1)
    await results.api.ok(f"/v1/conversation/{conversation}/delete", {})

    dead = await results.one(run, "dead")

    assert dead["errorCode"] == "DELETED"
    assert "body" not in dead
    assert all("body" not in one for one in dead["tried"])


async def test_what_a_deleted_message_said_is_neither_kept_nor_sent_any_more(
    results: Results, receiver: Receiver
) -> None:
    conversation, run = await results.ask(f"{receiver.url}/status=503/hook")
    await results.tried(run, 1)
    done = await results.ask_in(conversation, f"{receiver.url}/hook", "[model tokens=3] two")
    await results.one(done)
    for one in (run, done):
        sent = await results.shown((await results.of(one))[0]["id"])
        message = json.loads(sent["body"])["data"]["messageId"]
        await results.api.ok(f"/v1/conversation/{conversation}/message/{message}/delete", {})

    dead, delivered = await results.one(run, "dead"), await results.one(done)

    assert dead["errorCode"] == "DELETED"
    assert "errorCode" not in delivered
    for left in (dead, delivered):
        assert "body" not in left
        assert [one for one in left["tried"] if "body" in one or one.get("headers")] == []
        assert (await results.api.post(f"/v1/delivery/{left['id']}/redeliver")).status == 409


async def test_a_part_of_an_answer_that_was_cut_takes_the_whole_with_it(
    results: Results, receiver: Receiver
) -> None:
    limits = {"continuations": 2}
    hook = f"{receiver.url}/hook"
    conversation = await results.api.conversation()
    run = await results.ask_in(conversation, hook, "[model tokens=3 finish=length]", limits=limits)
    await results.one(run)
    listed = (await results.api.get(f"/v1/conversation/{conversation}/message/list?order=asc")).body["items"]
    first, *others = [one["id"] for one in listed if one["type"] == "bot"]

    await results.api.ok(f"/v1/conversation/{conversation}/message/{first}/delete", {})

    assert others
    assert "body" not in await results.one(run)


async def test_a_part_that_was_cut_before_a_call_takes_nothing_with_it(
    house: House, results: Results, receiver: Receiver
) -> None:
    conversation = await results.api.conversation()
    asked = ("[model tokens=3 finish=length]", {"continuations": 2})
    run = await results.ask_in(conversation, f"{receiver.url}/hook", asked[0], limits=asked[1])
    sent = await results.one(run)
    listed = (await results.api.get(f"/v1/conversation/{conversation}/message/list?order=asc")).body["items"]
    first, *_ = [one["id"] for one in listed if one["type"] == "bot"]
    # As if a tool had been called in between: no result quotes what was said before that.
    await house.rows(
        "INSERT INTO step (run_id, ordinal, kind, state, fence, holder, attempt) "
        "SELECT $1, max(ordinal) + 1, 'call', 'done', 1, 'me', 1 FROM step WHERE run_id = $1",
        run,
    )

    await results.api.ok(f"/v1/conversation/{conversation}/message/{first}/delete", {})

    assert (await results.one(run))["body"] == sent["body"]


async def test_a_message_that_no_result_quotes_is_deleted_without_its_deliveries(
    results: Results, receiver: Receiver
) -> None:
    conversation, run = await results.ask(f"{receiver.url}/hook")
    sent = await results.one(run)
    listed = (await results.api.get(f"/v1/conversation/{conversation}/message/list")).body["items"]
    (asked,) = [one["id"] for one in listed if one["type"] == "user"]

    await results.api.ok(f"/v1/conversation/{conversation}/message/{asked}/delete", {})

    assert (await results.one(run))["body"] == sent["body"]


async def test_a_ping_of_a_target_arrives_signed(results: Results, receiver: Receiver) -> None:
    _, run = await results.ask(f"{receiver.url}/hook")
    target = (await results.one(run))["targetId"]

    told = await results.api.ok(f"/v1/target/{target}/test", {})

    async def arrived() -> None:
        assert (await results.shown(told["id"]))["state"] == "delivered"

    await eventually(arrived)
    request = receiver.requests["hook"][-1]
    assert request.id == told["id"]
    assert json.loads(request.body)["type"] == "test.ping"


async def test_attempts_and_what_became_of_them_are_counted(
    house: House, results: Results, receiver: Receiver
) -> None:
    before = await scrape(house, "worker")
    _, run = await results.ask(f"{receiver.url}/status=503/times=1/hook")
    await results.one(run)

    now = await scrape(house, "worker")

    for name, labels in (
        ("holdfast_deliveries_total", {"kind": "webhook", "became": "delivered"}),
        ("holdfast_deliveries_total", {"kind": "webhook", "became": "retried"}),
        ("holdfast_delivery_attempts_total", {"kind": "webhook", "outcome": "delivered"}),
        ("holdfast_delivery_attempts_total", {"kind": "webhook", "outcome": "HTTP_5xx"}),
    ):
        assert now.sum(name, **labels) - before.sum(name, **labels) == 1, (name, labels)
    assert now.sum("holdfast_delivery_attempt_seconds_count", kind="webhook") > 0
    dead = await house.rows("SELECT FROM delivery WHERE state = 'dead'")
    assert now.sum("holdfast_deliveries_left", state="dead") == len(dead)


async def _came(receiver: Receiver, name: str) -> None:
    assert receiver.requests[name]


def _data(receiver: Receiver, name: str) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(receiver.requests[name][-1].body)["data"]
    return data
