"""Temporal's own word on when a schedule fires, beside ours on when it is due."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.schedule.v1 import Schedule, ScheduleAction
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflow.v1 import NewWorkflowExecutionInfo
from temporalio.api.workflowservice.v1 import CreateScheduleRequest
from temporalio.client import Client

from domain import zones
from domain.calendars import Spec, calendars
from domain.occurrences import INSTANT, between, following
from domain.schedule import Timing, parse
from domain.zones import Change
from schedules import temporals
from tests.house import House, eventually


async def next_times(client: Client, spec: Spec) -> list[datetime]:
    """The next times Temporal will fire, ten at most."""
    id_ = f"tests/{uuid.uuid4()}"
    nothing = NewWorkflowExecutionInfo(
        workflow_id=id_, workflow_type=WorkflowType(name="nothing"), task_queue=TaskQueue(name="nobody")
    )
    schedule = Schedule(spec=temporals(spec), action=ScheduleAction(start_workflow=nothing))
    request = CreateScheduleRequest(
        namespace=client.namespace, schedule_id=id_, schedule=schedule, request_id=id_
    )
    await client.workflow_service.create_schedule(request)
    handle = client.get_schedule_handle(id_)

    async def times() -> list[datetime]:
        found = (await handle.describe()).info.next_action_times
        assert found
        return [*found]

    try:
        return await eventually(times)
    finally:
        await handle.delete()


def next_change(zone: str, gap: bool) -> Change:
    now = datetime.now(UTC) + timedelta(days=3)
    years = range(now.year, now.year + 2)
    found = (change for year in years for change in zones.changes(zone, year))
    return next(change for change in found if change.at > now and change.gap is gap)


async def agree(house: House, timing: Timing) -> None:
    """Each occurrence is fired when it is due, for a firing decides all that is due up to its time."""
    schedule = parse(timing, "task_1")
    assert schedule.start_at

    fired = await next_times(await house.temporal(), calendars(schedule, datetime.now(UTC).year))

    decided: list[tuple[datetime, datetime]] = []
    last = schedule.start_at - INSTANT
    for at in fired:
        decided += [(at, one.at) for one in between(schedule, last, at)]
        last = at
    assert len(decided) >= 5
    assert [at for at, _ in decided] == [due for _, due in decided]


GAPS = [
    ("America/New_York", "30 2 * * *"),
    ("America/New_York", "0 2,3 * * *"),
    ("America/New_York", "30 */2 * * *"),
    ("Europe/Berlin", "*/30 2 * * *"),
    ("Australia/Lord_Howe", "15,45 2 * * *"),
    # No midnight there: Temporal by itself takes the Sunday for a Saturday.
    ("America/Havana", "0 7 * * 0"),
    ("America/Havana", "0 0,7 * * *"),
]
FOLDS = [
    ("America/New_York", "30 1 * * *"),
    # East of Greenwich Temporal by itself fires at the second time only.
    ("Europe/Berlin", "30 2 * * *"),
    ("Europe/Berlin", "*/30 * * * 0,6"),
    ("Europe/London", "*/30 0-2 * * *"),
    ("Australia/Lord_Howe", "45 1 * * *"),
    ("Australia/Lord_Howe", "*/20 * * * 0,6"),
    ("Pacific/Chatham", "*/20 * * * *"),
]


@pytest.mark.parametrize(("zone", "text"), GAPS)
async def test_temporal_fires_what_the_clocks_leave_out(house: House, zone: str, text: str) -> None:
    start = next_change(zone, gap=True).at - timedelta(hours=3 if "*/" in text else 28)

    await agree(house, Timing(schedule=text, timezone=zone, start_at=start))


@pytest.mark.parametrize(("zone", "text"), FOLDS)
async def test_temporal_fires_what_comes_twice(house: House, zone: str, text: str) -> None:
    start = next_change(zone, gap=False).at - timedelta(hours=2 if "*/" in text else 28)

    await agree(house, Timing(schedule=text, timezone=zone, start_at=start))


@pytest.mark.parametrize(
    "text",
    [
        "0 12 1,15 * 1",
        "0 12 */2 * 1",
        "0 0 29 2 *",
        "07:30",
        "quarterhourly",
        "halfhourly",
        "hourly",
        "twicedaily",
        "daily",
        "twiceweekly",
        "weekly",
        "twicemonthly",
        "monthly",
    ],
)
async def test_temporal_fires_when_a_schedule_is_due(house: House, text: str) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)

    await agree(house, Timing(schedule=text, timezone="Europe/London", start_at=start))


async def test_temporal_fires_every_period_from_its_start(house: House) -> None:
    start = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)

    await agree(house, Timing(every=90_000, start_at=start, end_at=start + timedelta(minutes=9)))


async def test_temporal_fires_a_date_once(house: House) -> None:
    day = (datetime.now(UTC) + timedelta(days=40)).date()
    schedule = parse(Timing(schedule=f"{day}T09:30:15", timezone="Asia/Tokyo"), "task_1")

    fired = await next_times(await house.temporal(), calendars(schedule, day.year))

    (one,) = following(schedule, datetime.now(UTC), 5)
    assert fired == [one.at]
    assert one.key == f"{day}T09:30:15[Asia/Tokyo]"
