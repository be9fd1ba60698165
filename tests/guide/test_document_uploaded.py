"""The guide's third worked example: a document is uploaded, analysed, and the result posted back."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest
from standardwebhooks import Webhook

from domain import ids
from tests.house import House, eventually
from tests.receiver import Receiver, Request

pytestmark = pytest.mark.slow

JSON = dict[str, Any]
SIGNING = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
WORK = "[model calls=1 rounds=2 tool=_delay,_success args=seconds:30,summary:analysed]"
SECONDS = 30


async def analyst(api: Any, receiver: Receiver, work: str = WORK) -> str:
    """The configured trigger: a bot, who may set it off, and where its results go."""
    bot = await api.ok("/v1/bot/create", {"backstory": "You analyse documents."})
    body = {
        "name": "Document uploaded",
        "description": f"Analyse the document of the event. {work}",
        "botId": bot["id"],
        "verification": {"preset": "standard-webhooks", "secrets": [SIGNING]},
        "delivery": {"webhook": {"url": f"{receiver.url}/results"}},
    }
    made: str = (await api.ok("/v1/integration/trigger/create", body))["id"]
    return made


async def uploaded(house: House, trigger: str, document: str, event: str) -> tuple[JSON, float]:
    """What the system with the documents is told of its event, and after how many seconds."""
    body = json.dumps({"document": document})
    at = datetime.now(UTC)
    # An outside library signs it.
    headers = {
        "webhook-id": event,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(SIGNING).sign(event, at, body),
        "content-type": "application/json",
    }
    async with house.api(key="") as outside:
        asked = time.perf_counter()
        path = f"/v1/integration/trigger/{trigger}/event"
        status, answer, _ = await outside.raw("POST", path, body.encode(), **headers)
        took = time.perf_counter() - asked
    assert status == 200, answer
    told: JSON = json.loads(answer)
    return told, took


async def posted(receiver: Receiver, seconds: float) -> Request:
    async def check() -> Request:
        assert receiver.requests["results"]
        return receiver.requests["results"][-1]

    return await eventually(check, seconds)


async def test_a_document_is_analysed_for_half_a_minute_and_the_result_is_posted_back_signed(
    build: Any,
) -> None:
    house: House = await build()
    event = ids.new("doc")
    async with house.api() as api, Receiver() as receiver:
        trigger = await analyst(api, receiver)
        told, took = await uploaded(house, trigger, "report-7.pdf", event)
        again, _ = await uploaded(house, trigger, "report-7.pdf", event)
        assert (again["runId"], again["duplicate"]) == (told["runId"], True)
        assert took < SECONDS / 2

        # In the middle of the work the worker dies, and another one goes on.
        async def begun() -> None:
            assert (await api.get(f"/v1/run/{told['runId']}/fetch")).body["state"] == "running"

        await eventually(begun)
        house.kill("worker")
        house.start("worker")
        result = await posted(receiver, SECONDS + 60)

        shown = (await api.get(f"/v1/integration/trigger/{trigger}/fetch")).body
        # And an outside library verifies it.
        body = Webhook(shown["delivery"]["webhook"]["secret"]).verify(result.body.decode(), result.headers)
        run = (await api.get(f"/v1/run/{told['runId']}/fetch")).body
        assert (body["type"], body["data"]["runId"]) == ("trigger.completed", told["runId"])
        assert body["data"]["triggerId"] == trigger
        assert (run["endedAt"] - run["createdAt"]) / 1_000 > SECONDS
        read = (await api.get(body["data"]["link"])).body
        assert read["text"] == body["data"]["text"]
        assert len(receiver.distinct_ids) == 1
        (delivery,) = (await api.get(f"/v1/delivery/list?triggerId={trigger}")).body["items"]
        assert (delivery["state"], delivery["id"]) == ("delivered", result.id)


async def test_while_it_is_wired_up_an_invoke_stands_in_for_an_event(build: Any) -> None:
    house: House = await build()
    async with house.api() as api, Receiver() as receiver:
        trigger = await analyst(api, receiver, "[model calls=1 tool=_success args=summary:ready]")
        told = await api.ok(f"/v1/integration/trigger/{trigger}/invoke", {})
        result = await posted(receiver, 30)

        assert json.loads(result.body)["data"]["runId"] == told["runId"]
        assert told["id"] == trigger
