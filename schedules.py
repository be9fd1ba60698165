"""The schedules of tasks in Temporal: one for each task that is due again.

A schedule is a projection of its task's row and decides nothing: it fires, and what a firing stands for is
found out in Postgres. So its overlap policy is to allow all, whatever the task's own is, and it may be made
anew, fire twice or late without harm. Its note says which revision of the task it was told, as its memo
cannot be changed later (server 1.32).

Temporal is spoken to in its own messages: its client reads a schedule before it changes one, and each of a
list whole, which for thousands takes minutes.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.common.v1 import Payloads, Priority, SearchAttributes, WorkflowType
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import (
    IntervalSpec,
    Range,
    Schedule,
    ScheduleAction,
    SchedulePolicies,
    ScheduleSpec,
    ScheduleState,
    StructuredCalendarSpec,
)
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import (
    CreateScheduleRequest,
    DeleteScheduleRequest,
    ListSchedulesRequest,
    UpdateScheduleRequest,
)
from temporalio.client import Client
from temporalio.converter import encode_search_attributes
from temporalio.service import RPCError, RPCStatusCode

from domain import ids
from domain.calendars import Calendar, Spans, Spec
from domain.errors import BadRequest
from domain.plans import PRIORITY, TASK_TIMEOUT, TaskInput
from domain.projection import Projection
from domain.run import RunKind
from starter import PATIENCE, TROUBLES, attributes, not_found, unavailable

PAGE = 200
"""Schedules asked for at once."""
PAGE_PATIENCE = 10.0
"""Seconds for them; nobody waits for a list."""


class Listed(NamedTuple):
    """A task's schedule as Temporal lists it, a moment late."""

    task_id: str
    note: str
    paused: bool


class Schedules:
    """Raises Unavailable when Temporal does not answer within its patience."""

    def __init__(self, client: Client, task_queue: str) -> None:
        self._client = client
        self._service = client.workflow_service
        self._task_queue = task_queue

    async def keep(self, told: Projection) -> bool:
        """Makes a task's schedule, or makes it what it should be; whether there was none.

        Raises BadRequest where Temporal refuses it: it would do so again.
        """
        request = self._request(ids.task_schedule(told.task_id)) | {
            "schedule": await self._schedule(told),
            "request_id": str(uuid.uuid4()),
            "search_attributes": _attributes(told),
        }
        async with _patiently():
            try:
                await self._service.update_schedule(UpdateScheduleRequest(**request), retry=True)
                return False
            except RPCError as error:
                if not not_found(error):
                    raise
            # Not the other way round: to find out so that one is there costs more than to change it.
            await self._service.create_schedule(CreateScheduleRequest(**request), retry=True)
        return True

    async def drop(self, task_id: str) -> None:
        """One that is not there is as good."""
        request = self._request(ids.task_schedule(task_id))
        async with _patiently(missing=True):
            await self._service.delete_schedule(DeleteScheduleRequest(**request), retry=True)

    async def all(self) -> AsyncIterator[Listed]:
        """Those of all tasks."""
        asked = ListSchedulesRequest(namespace=self._client.namespace, maximum_page_size=PAGE)
        while True:
            async with _patiently(PAGE_PATIENCE):
                page = await self._service.list_schedules(asked, retry=True)
            for entry in page.schedules:
                task_id = ids.scheduled_task(entry.schedule_id)
                if task_id is not None:
                    yield Listed(task_id, entry.info.notes, entry.info.paused)
            if not page.next_page_token:
                return
            asked.next_page_token = page.next_page_token

    def _request(self, schedule_id: str) -> dict[str, Any]:
        client = self._client
        return {"namespace": client.namespace, "schedule_id": schedule_id, "identity": client.identity}

    async def _schedule(self, told: Projection) -> Schedule:
        allow_all = ScheduleOverlapPolicy.SCHEDULE_OVERLAP_POLICY_ALLOW_ALL
        return Schedule(
            spec=temporals(told.spec, told.jitter),
            action=ScheduleAction(start_workflow=await self._workflow(told)),
            policies=SchedulePolicies(overlap_policy=allow_all, catchup_window=_duration(told.catchup)),
            state=ScheduleState(notes=told.note, paused=told.paused),
        )

    async def _workflow(self, told: Projection) -> NewWorkflowExecutionInfo:
        """What a firing starts."""
        payloads = await self._client.data_converter.encode([TaskInput(task_id=told.task_id)])
        kind: RunKind = "task_run" if told.trigger_id is None else "trigger_event"
        return NewWorkflowExecutionInfo(
            workflow_id=_workflows(told),
            workflow_type=WorkflowType(name=kind),
            task_queue=TaskQueue(name=self._task_queue),
            input=Payloads(payloads=payloads),
            workflow_task_timeout=_duration(TASK_TIMEOUT),
            search_attributes=_attributes(told, Kind=kind),
            priority=Priority(priority_key=PRIORITY["scheduled"], fairness_key=told.account_id),
        )


def temporals(spec: Spec, jitter: timedelta = timedelta()) -> ScheduleSpec:
    """In Temporal's words."""
    return ScheduleSpec(
        structured_calendar=[_calendar(calendar) for calendar in spec.calendars],
        interval=[
            IntervalSpec(interval=Duration(seconds=one.period), phase=Duration(seconds=one.phase))
            for one in spec.intervals
        ],
        start_time=_timestamp(spec.start_at),
        end_time=_timestamp(spec.end_at),
        jitter=_duration(jitter),
        timezone_name=spec.zone,
    )


def _calendar(calendar: Calendar) -> StructuredCalendarSpec:
    return StructuredCalendarSpec(
        second=_ranges(calendar.second),
        minute=_ranges(calendar.minute),
        hour=_ranges(calendar.hour),
        day_of_month=_ranges(calendar.day),
        month=_ranges(calendar.month),
        year=_ranges(calendar.year),
        day_of_week=_ranges(calendar.weekday),
    )


def _ranges(spans: Spans) -> list[Range]:
    return [Range(start=span.start, end=span.end) for span in spans]


def _duration(delta: timedelta) -> Duration:
    duration = Duration()
    duration.FromTimedelta(delta)
    return duration


def _timestamp(at: datetime | None) -> Timestamp | None:
    if at is None:
        return None
    timestamp = Timestamp()
    timestamp.FromDatetime(at)
    return timestamp


def _workflows(told: Projection) -> str:
    """What the ids begin with of the workflows that it fires."""
    if told.trigger_id is not None:
        return ids.scheduled_triggers(told.trigger_id)
    return ids.scheduled_workflows(told.task_id)


def _attributes(told: Projection, **more: str) -> SearchAttributes:
    found = SearchAttributes()
    task_id = told.task_id if told.trigger_id is None else None
    concerned = {"AccountId": told.account_id, "BotId": told.bot_id}
    typed = attributes(**concerned, TaskId=task_id, TriggerId=told.trigger_id, **more)
    encode_search_attributes(typed, found)
    return found


@asynccontextmanager
async def _patiently(seconds: float = PATIENCE, *, missing: bool = False) -> AsyncIterator[None]:
    """Bounds what is asked of Temporal; `missing`: that it is not there is no trouble."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TROUBLES as error:
        if missing and not_found(error):
            return
        trouble = unavailable(error)
        if isinstance(error, RPCError) and error.status == RPCStatusCode.INVALID_ARGUMENT:
            raise BadRequest("Temporal refuses this; the log says why.") from None
        raise trouble from None
