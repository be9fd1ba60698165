"""Receivers that hang, however many, take no places from runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.client import Client
from temporalio.testing import ActivityEnvironment
from temporalio.worker import Worker

import settings
from activities.deliveries import AT_ONCE, Deliveries, Ways
from activities.mail import Mail
from activities.outbound.webhooks import Webhooks
from domain.plans import DeliveryInput, deliveries_queue
from starter import Starter
from store import Caps, Keyring, Store
from telemetry.meters import Meters
from tests.deliveries import new_delivery, new_target
from tests.house import House, eventually
from tests.receiver import Receiver
from worker import SANDBOX
from workflows.delivery import DeliveryWorkflow

pytestmark = pytest.mark.slow

QUEUE = "crowded"
FAR = {"look_at": datetime.now(UTC) + timedelta(days=1)}
"""No worker of the house looks after it."""
AT_A_TARGET = 8


async def tried_in(client: Client, workflow_id: str) -> list[str]:
    """The queues in which its attempts were asked for."""
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    asked = [event.activity_task_scheduled_event_attributes for event in history.events]
    return [one.task_queue.name for one in asked if one.activity_id]


async def delivered(client: Client, delivery: str) -> list[str]:
    """The queues of a delivery's attempts, once it is over."""
    input = DeliveryInput(delivery_id=delivery)
    await client.execute_workflow(DeliveryWorkflow.run, input, id=delivery, task_queue=QUEUE)
    return await tried_in(client, delivery)


@pytest.fixture
async def store(house: House) -> AsyncIterator[Store]:
    opened = await Store.open(house.store.database.url, Caps(), keyring=Keyring((b"k" * 32,)))
    yield opened
    await opened.close()


async def test_attempts_are_made_apart_from_runs_while_receivers_hang(house: House, store: Store) -> None:
    client = await house.temporal()
    async with Receiver() as receiver, Webhooks(loopback=True) as webhooks:
        pace = settings.Settings().delivery_pace
        hands = Deliveries(store, Ways(webhooks, Mail(None)), Starter(client, QUEUE), Meters(), pace)
        attempts = [hands.attempt]
        beside = Worker(
            client,
            task_queue=QUEUE,
            workflows=[DeliveryWorkflow],
            activities=attempts,
            workflow_runner=SANDBOX,
        )
        apart = Worker(client, task_queue=deliveries_queue(QUEUE), activities=attempts)
        up = await new_target(store, house.account, f"{receiver.url}/up")
        async with beside, apart:
            assert await delivered(client, await new_delivery(store, up, **FAR)) == [QUEUE]
            hung = []
            for number in range(AT_ONCE // AT_A_TARGET):
                down = await new_target(store, house.account, f"{receiver.url}/hang/{number}")
                for _ in range(AT_A_TARGET):
                    input = DeliveryInput(delivery_id=await new_delivery(store, down, **FAR))
                    hung.append(asyncio.create_task(ActivityEnvironment().run(hands.attempt, input)))

            async def hang() -> None:
                assert sum(receiver.seen.values()) == 1 + AT_ONCE

            await eventually(hang)

            crowded = await new_delivery(store, up, **FAR)
            assert await delivered(client, crowded) == [QUEUE, deliveries_queue(QUEUE)]
            assert not any(one.done() for one in hung)
            for one in hung:
                one.cancel()
            await asyncio.gather(*hung, return_exceptions=True)
            assert await delivered(client, await new_delivery(store, up, **FAR)) == [QUEUE]
