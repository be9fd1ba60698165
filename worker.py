"""The engine room: connects, plugs store and providers into the activities, runs; also the manifest."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import logging
import signal
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import TYPE_CHECKING, TypedDict

import uvloop
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.worker import PollerBehaviorSimpleMaximum, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions
from temporalio.workflow import SandboxImportNotificationPolicy as Policy

import settings
import starter
from activities.deliveries import Deliveries, Ways
from activities.mail import Mail
from activities.models import Models
from activities.outbound.client import Outbound
from activities.outbound.webhooks import Webhooks
from activities.providers import Providers
from activities.providers.anthropic import Anthropic
from activities.providers.http import new_session
from activities.providers.openai import OpenAI
from activities.tasks import Tasks
from activities.tools import Tools
from activities.turns import Turns
from activities.upkeep import Days, Upkeep
from activities.waits import Waits
from activities.watch import Watch
from domain import model
from domain.errors import HoldfastError
from domain.plans import deliveries_queue
from schedules import Schedules
from settings import Settings
from starter import Starter
from store import Caps, Keyring, Reach, Store
from sweeper import Sweeper
from telemetry import Telemetry, logs
from workflows.ability import AbilityWorkflow
from workflows.agent import AT_ONCE
from workflows.completion import CompletionWorkflow
from workflows.delivery import DeliveryWorkflow
from workflows.task_run import TaskRunWorkflow
from workflows.trigger_event import TriggerEventWorkflow
from workflows.turn import TurnWorkflow
from workflows.upkeep import UpkeepWorkflow

if TYPE_CHECKING:
    from aiohttp import ClientSession

_log = logging.getLogger(__name__)

WORKFLOWS = [
    AbilityWorkflow,
    CompletionWorkflow,
    DeliveryWorkflow,
    TaskRunWorkflow,
    TriggerEventWorkflow,
    TurnWorkflow,
    UpkeepWorkflow,
]

# Pure by contract and by test, so they need not be loaded anew for every workflow.
PURE = ("domain", "activities", "workflows")

SANDBOX = SandboxedWorkflowRunner(
    restrictions=dataclasses.replace(
        SandboxRestrictions.default.with_passthrough_modules(*PURE),
        import_notification_policy=Policy.WARN_ON_DYNAMIC_IMPORT | Policy.RAISE_ON_UNINTENTIONAL_PASSTHROUGH,
    )
)


SENT_AT_ONCE = 300
"""Attempts to deliver that one worker makes apart from runs."""


class _Beats(TypedDict):
    max_heartbeat_throttle_interval: timedelta
    default_heartbeat_throttle_interval: timedelta
    graceful_shutdown_timeout: timedelta


_BEATS: _Beats = {
    "max_heartbeat_throttle_interval": timedelta(seconds=0.4),
    "default_heartbeat_throttle_interval": timedelta(seconds=0.4),
    "graceful_shutdown_timeout": timedelta(seconds=5),
}


async def run(chosen: Settings, converter: DataConverter = pydantic_data_converter) -> None:
    """Works until SIGTERM or SIGINT; then finishes what it can within ten seconds."""
    telemetry = Telemetry(chosen, "worker")
    store = await Store.open(
        chosen.database_url,
        Caps(chosen.active_runs, chosen.active_runs_per_account, chosen.active_background_runs),
        reach=Reach(chosen.transcript_bytes, chosen.wait_seconds),
        keyring=Keyring(chosen.sealing_keys),
    )
    try:
        async with (
            telemetry.shown(store),
            new_session() as session,
            Outbound(loopback=chosen.outbound_loopback) as outbound,
            Webhooks(loopback=chosen.outbound_loopback) as webhooks,
        ):
            client = await _connected(converter)
            start = Starter(client, chosen.task_queue)
            schedules = Schedules(client, chosen.task_queue)
            models = Models(store, _providers(chosen, session), start, telemetry, chosen.default_model)
            turns = Turns(store, start, telemetry.meters)
            tools = Tools(store, outbound, telemetry)
            waits = Waits(store, start, telemetry.meters)
            tasks = Tasks(store, start, telemetry.meters)
            days = Days(chosen.audit_days, chosen.retention_days, chosen.delivery_days, chosen.event_days)
            upkeep = Upkeep(store, start, telemetry.meters, days)
            ways = Ways(webhooks, Mail(chosen.smtp))
            deliveries = Deliveries(store, ways, start, telemetry.meters, chosen.delivery_pace)
            watch = Watch(store, schedules, telemetry.meters)
            hands: list[object] = [
                models.reply,
                tools.call,
                waits.look,
                turns.finish,
                tasks.place,
                tasks.cut,
                tasks.ended,
                deliveries.attempt,
                upkeep.tidy,
                upkeep.expire,
                watch.watch,
            ]
            workers = [_worker(client, chosen, hands), _sender(client, chosen, [deliveries.attempt])]
            sweeper = Sweeper(store, start, schedules, telemetry.meters)
            await _until_told(workers, store, sweeper, start)
    finally:
        await store.close()


def _providers(chosen: Settings, session: ClientSession) -> Providers:
    limits = (chosen.model_idle_seconds, chosen.model_output_bytes)
    openai_key, anthropic_key = chosen.openai_api_key, chosen.anthropic_api_key
    openai = OpenAI(session, chosen.openai_base_url, openai_key.get_secret_value(), *limits)
    anthropic = Anthropic(session, chosen.anthropic_base_url, anthropic_key.get_secret_value(), *limits)
    providers = Providers(
        openai=openai if chosen.has_openai else None, anthropic=anthropic if chosen.has_anthropic else None
    )
    _check_default(providers, chosen.default_model)
    return providers


def _check_default(providers: Providers, name: str) -> None:
    """An operator learns it now, not with the first call that names no model."""
    try:
        providers.pick(model.parse(name))
    except HoldfastError as error:
        _log.warning("HOLDFAST_DEFAULT_MODEL is `%s`: %s", name, error.message)


def _worker(client: Client, chosen: Settings, activities: list[object]) -> Worker:
    return Worker(
        client,
        task_queue=chosen.task_queue,
        workflows=WORKFLOWS,
        activities=activities,  # type: ignore[arg-type]
        workflow_runner=SANDBOX,
        # The gate is admission in Postgres; these lie above it so that nothing waits twice.
        max_concurrent_activities=chosen.active_runs + 100,
        max_concurrent_local_activities=200,
        max_concurrent_workflow_tasks=100,
        # A frozen worker swallows one attempt per open poll, each costing a heartbeat timeout. Most
        # activities come eagerly with their workflow task and need no poll.
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
        # All calls of an answer come with the task that asks for them; the SDK would poll for all but three.
        max_eager_activity_reservations_per_workflow_task=AT_ONCE,
        sticky_queue_schedule_to_start_timeout=timedelta(seconds=1),
        **_BEATS,
    )


def _sender(client: Client, chosen: Settings, activities: list[object]) -> Worker:
    """What makes attempts to deliver when there are many: no run waits for receivers that hang."""
    return Worker(
        client,
        task_queue=deliveries_queue(chosen.task_queue),
        activities=activities,  # type: ignore[arg-type]
        max_concurrent_activities=SENT_AT_ONCE,
        activity_task_poller_behavior=PollerBehaviorSimpleMaximum(2),
        **_BEATS,
    )


async def _connected(converter: DataConverter) -> Client:
    """Waits for Temporal: a worker has nothing to do without it."""
    while True:
        try:
            return await starter.connect(lazy=False, converter=converter)
        except RuntimeError as trouble:
            _log.warning("Temporal is not there yet (%s); trying again", trouble)
            await asyncio.sleep(0.5)


async def _until_told(workers: Sequence[Worker], store: Store, sweeper: Sweeper, start: Starter) -> None:
    told = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told.set)
    running = (store.log.run(), sweeper.run(), _prepare(store, start))
    sides = [asyncio.create_task(side) for side in running]
    async with AsyncExitStack() as stack:
        for worker in workers:
            await stack.enter_async_context(worker)
        _log.info("working on %s", workers[0].task_queue)
        waiting = asyncio.create_task(told.wait())
        await asyncio.wait([waiting, *sides[:2]], return_when=asyncio.FIRST_COMPLETED)
        # Who leaves claims nothing new: a plan started now would wait for this worker's timeouts.
        sides[1].cancel()
        # All at once: there are ten seconds.
        await asyncio.gather(*(worker.shutdown() for worker in workers))
    for side in sides:
        # A side that ended by itself has a reason: let it be seen.
        if side.done() and not side.cancelled():
            side.result()
        side.cancel()


async def _prepare(store: Store, start: Starter) -> None:
    """What must be there and survives us: the days of the token log, and the schedule of upkeep.

    Again every minute: upkeep looks after everything else, and nobody else after it.
    """
    while True:
        pause = 60
        try:
            await store.upkeep.make_days()
            await start.keep_upkeep()
        except Exception as trouble:
            _log.warning("not prepared: %s", trouble)
            pause = 2
        await asyncio.sleep(pause)


def main() -> None:
    chosen = settings.load()
    logs.begin(chosen)
    _leave_alone()
    uvloop.run(run(chosen))


def _leave_alone() -> None:
    """What is loaded stays: to look through it for garbage holds up all turns, for a tenth of a second."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)


if __name__ == "__main__":
    main()
