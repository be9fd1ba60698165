"""Connects to Temporal; starts, cancels and asks after workflows by their wire names."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import (
    Client,
    GrpcCompression,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleAlreadyRunningError,
    ScheduleDescription,
    ScheduleIntervalSpec,
    ScheduleOverlapPolicy,
    SchedulePolicy,
    ScheduleSpec,
    WorkflowExecutionStatus,
    WorkflowQueryFailedError,
)
from temporalio.common import Priority, SearchAttributeKey, SearchAttributePair, TypedSearchAttributes
from temporalio.common import WorkflowIDReusePolicy as Reuse
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.envconfig import ClientConfig
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain import at_hand, ids
from domain.errors import Unavailable
from domain.plans import (
    PRIORITY,
    TASK_TIMEOUT,
    DeliveryInput,
    Errand,
    Plan,
    Progress,
    RunInput,
    TaskInput,
)

_log = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds for one call: against a dead server the client itself would try for ten."""

# A lazy client that has never met a server says RuntimeError.
TROUBLES = (RPCError, TimeoutError, RuntimeError)

PlanState = Literal["open", "closed", "unknown"]

SILENT = timedelta(minutes=5)
"""After which a schedule that fires every minute is taken for dead."""


async def connect(*, lazy: bool, converter: DataConverter = pydantic_data_converter) -> Client:
    """A client from Temporal's own environment variables and TOML profiles; `lazy` boots without a server."""
    config = ClientConfig.load_client_connect_config()
    config.setdefault("target_host", "localhost:7233")
    # Only ids and codes travel: packing costs both ends more than it saves.
    packing = GrpcCompression.NONE
    return await Client.connect(**config, lazy=lazy, data_converter=converter, grpc_compression=packing)


class Starter:
    """Raises Unavailable when Temporal does not answer within its patience."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._task_queue = task_queue
        self._tasks: set[asyncio.Task[Any]] = set()

    @classmethod
    async def open(cls, task_queue: str, converter: DataConverter = pydantic_data_converter) -> Starter:
        """One that needs no server yet."""
        return cls(await connect(lazy=True, converter=converter), task_queue)

    @property
    def namespace(self) -> str:
        return self._client.namespace

    def start_soon(self, plan: Plan) -> asyncio.Task[None]:
        """Starts in the background, where Temporal's absence is no news; the sweeper is the net."""
        task = asyncio.create_task(self._start_quietly(plan))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _start_quietly(self, plan: Plan) -> None:
        at_hand.add(run_id=plan.run_id, conversation_id=plan.conversation_id)
        try:
            await self.start(plan)
        except Unavailable as trouble:
            _log.warning("%s; the sweeper tries again", trouble.message)

    async def start(self, plan: Plan) -> None:
        """Starts a run's workflow, once: a repeat finds it there."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._client.start_workflow(
                    plan.kind,
                    _input(plan),
                    id=plan.workflow_id,
                    task_queue=self._task_queue,
                    task_timeout=TASK_TIMEOUT,
                    # A process that works itself gets the first task with the answer to this call.
                    request_eager_start=not plan.delay and plan.task_id is None,
                    start_delay=timedelta(seconds=plan.delay) if plan.delay else None,
                    # The plan of what is scheduled may be there already, and wait for its turn.
                    start_signal="look" if plan.task_id is not None else None,
                    id_reuse_policy=Reuse.REJECT_DUPLICATE,
                    search_attributes=attributes(
                        AccountId=plan.account_id,
                        Kind=plan.kind,
                        ConversationId=plan.conversation_id,
                        BotId=plan.bot_id,
                        TaskId=plan.task_id,
                        TriggerId=plan.trigger_id,
                    ),
                    priority=Priority(priority_key=PRIORITY[plan.lane], fairness_key=plan.account_id),
                )
        except WorkflowAlreadyStartedError:
            return
        except TROUBLES as error:
            raise unavailable(error) from None

    async def deliver(self, errand: Errand) -> None:
        """Starts a delivery's workflow, once."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._client.start_workflow(
                    "delivery",
                    DeliveryInput(delivery_id=errand.delivery_id, round=errand.round),
                    id=errand.workflow_id,
                    task_queue=self._task_queue,
                    task_timeout=TASK_TIMEOUT,
                    request_eager_start=True,
                    id_reuse_policy=Reuse.REJECT_DUPLICATE,
                    search_attributes=attributes(
                        AccountId=errand.account_id,
                        Kind="delivery",
                        TaskId=errand.task_id,
                        TriggerId=errand.trigger_id,
                    ),
                    priority=Priority(priority_key=PRIORITY["background"], fairness_key=errand.account_id),
                )
        except WorkflowAlreadyStartedError:
            return
        except TROUBLES as error:
            raise unavailable(error) from None

    def deliver_soon(self, errand: Errand) -> None:
        """Starts it in the background; where that fails, the sweeper does."""
        self._soon(self.deliver(errand))

    async def cancel(self, plan: Plan) -> None:
        """Tells a plan that its run is over; one that is closed or unknown needs no telling."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._client.get_workflow_handle(plan.workflow_id).cancel()
        except TROUBLES as error:
            if not not_found(error):
                raise unavailable(error) from None

    def look_soon(self, plan: Plan | Errand) -> None:
        """Tells in the background; where that fails, the sweeper tells again."""
        self._soon(self.look(plan))

    def _soon(self, call: Coroutine[Any, Any, object]) -> None:
        task = asyncio.create_task(_quietly(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def look(self, plan: Plan | Errand) -> bool:
        """Tells a plan that there is something to read; False when it is closed or unknown."""
        try:
            async with asyncio.timeout(PATIENCE):
                await self._client.get_workflow_handle(plan.workflow_id).signal("look")
        except TROUBLES as error:
            if not not_found(error):
                raise unavailable(error) from None
            return False
        return True

    async def state(self, workflow_id: str) -> PlanState:
        try:
            async with asyncio.timeout(PATIENCE):
                described = await self._client.get_workflow_handle(workflow_id).describe()
        except TROUBLES as error:
            if not_found(error):
                return "unknown"
            raise unavailable(error) from None
        return "open" if described.status == WorkflowExecutionStatus.RUNNING else "closed"

    async def progress(self, workflow_id: str) -> Progress | None:
        """The workflow's own answer; None when it is gone."""
        try:
            async with asyncio.timeout(PATIENCE):
                handle = self._client.get_workflow_handle(workflow_id)
                answer: Progress = await handle.query("progress", result_type=Progress)
                return answer
        except (*TROUBLES, WorkflowQueryFailedError) as error:
            if not_found(error):
                return None
            raise unavailable(error) from None

    async def ready(self) -> bool:
        try:
            async with asyncio.timeout(PATIENCE):
                return await self._client.service_client.check_health()
        except TROUBLES:
            return False

    async def has_worker(self) -> bool:
        """Whether a worker polls for work."""
        ask = DescribeTaskQueueRequest(
            namespace=self.namespace,
            task_queue=TaskQueue(name=self._task_queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
        try:
            async with asyncio.timeout(PATIENCE):
                described = await self._client.workflow_service.describe_task_queue(ask)
        except TROUBLES:
            return False
        return len(described.pollers) > 0

    async def keep_upkeep(self, silent: timedelta = SILENT) -> None:
        """Makes sure that upkeep runs once a minute; a schedule that is silent for longer is made anew."""
        try:
            async with asyncio.timeout(PATIENCE):
                with suppress(ScheduleAlreadyRunningError):
                    await self._client.create_schedule(ids.UPKEEP_SCHEDULE, self._upkeep())
                    return
                handle = self._client.get_schedule_handle(ids.UPKEEP_SCHEDULE)
                if _last_sign(await handle.describe()) < datetime.now(UTC) - silent:
                    await handle.delete()
                    await self._client.create_schedule(ids.UPKEEP_SCHEDULE, self._upkeep())
        except TROUBLES as error:
            raise unavailable(error) from None

    def _upkeep(self) -> Schedule:
        return Schedule(
            action=ScheduleActionStartWorkflow("upkeep", id=ids.UPKEEP_WORKFLOW, task_queue=self._task_queue),
            spec=ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(minutes=1))]),
            policy=SchedulePolicy(overlap=ScheduleOverlapPolicy.SKIP, catchup_window=timedelta(minutes=1)),
        )


async def _quietly(call: Coroutine[Any, Any, object]) -> None:
    try:
        await call
    except Unavailable as trouble:
        _log.warning("%s; the sweeper tries again", trouble.message)


def _input(plan: Plan) -> RunInput | TaskInput:
    if plan.kind in ("task_run", "trigger_event"):
        return TaskInput(task_id=plan.task_id, run_id=plan.run_id)
    return RunInput(run_id=plan.run_id)


def attributes(**values: str | None) -> TypedSearchAttributes:
    """By their names (deploy/namespace.py); ids and the kind, never words. What is None is left out."""
    found = {SearchAttributeKey.for_keyword(name): value for name, value in values.items() if value}
    return TypedSearchAttributes([SearchAttributePair(key, value) for key, value in found.items()])


def _last_sign(described: ScheduleDescription) -> datetime:
    info = described.info
    return max([info.created_at, *(action.started_at for action in info.recent_actions)])


def not_found(error: BaseException) -> bool:
    return isinstance(error, RPCError) and error.status == RPCStatusCode.NOT_FOUND


def unavailable(error: BaseException) -> Unavailable:
    if isinstance(error, RPCError) and error.status == RPCStatusCode.INVALID_ARGUMENT:
        _log.error("Temporal refuses: %s (are the search attributes there? see deploy/README.md)", error)
    return Unavailable(f"Temporal does not answer ({type(error).__name__}); what was accepted is kept.")
