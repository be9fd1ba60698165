"""Every task that is due again has one schedule in Temporal, made, changed, put right and removed with it."""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleDescription,
    ScheduleOverlapPolicy,
    ScheduleSpec,
    ScheduleUpdate,
    ScheduleUpdateInput,
    WorkflowExecution,
)
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

from activities.watch import Watch
from domain import ids
from domain.calendars import Interval, Spec
from domain.occurrences import following
from domain.plans import PRIORITY, TASK_TIMEOUT, TaskInput
from domain.projection import Projection
from domain.schedule import SHORTEST, Timing, parse
from schedules import Schedules
from starter import Starter
from telemetry.meters import Meters
from tests.api.test_task_runs import over
from tests.house import House, eventually, minute_lasts
from tests.http import Api
from tests.store.conftest import caller, key
from tests.tasks import new_task
from tests.triggers import new_trigger
from workflows.placed import FIRED_AT

YEARLY = {"schedule": "0 7 1 1 *", "timezone": "Asia/Tokyo"}
"""Of no concern while the tests run."""
ACCOUNT = SearchAttributeKey.for_keyword("AccountId")
TASK = SearchAttributeKey.for_keyword("TaskId")
TRIGGER = SearchAttributeKey.for_keyword("TriggerId")
BOT = SearchAttributeKey.for_keyword("BotId")


@pytest.fixture(scope="module", autouse=True)
async def _by_hand(session_house: House) -> AsyncIterator[None]:
    """Upkeep goes round when a test says so, and puts nothing right that a test has not looked at yet."""
    upkeep = (await session_house.temporal()).get_schedule_handle(ids.UPKEEP_SCHEDULE)

    async def over() -> None:
        assert not (await upkeep.describe()).info.running_actions

    await upkeep.pause()
    await eventually(over)
    yield
    await upkeep.unpause()


async def told(house: House, **columns: Any) -> str:
    """A task that Temporal is to be told of."""
    return await new_task(house.store, house.account, **columns | {"untold_at": datetime.now(UTC)})


async def change(house: House, task: str, change: str, *arguments: Any) -> None:
    await house.rows(
        f"UPDATE task SET {change}, revision = revision + 1, untold_at = clock_timestamp() WHERE id = $1",  # noqa: S608
        task,
        *arguments,
    )


async def settled(house: House, task: str) -> None:
    """Returns once Temporal has been told."""

    async def check() -> None:
        assert not await house.rows("SELECT FROM task WHERE id = $1 AND untold_at IS NOT NULL", task)

    await eventually(check)


async def shown(client: Client, task: str) -> ScheduleDescription | None:
    try:
        return await client.get_schedule_handle(ids.task_schedule(task)).describe()
    except RPCError as error:
        if error.status == RPCStatusCode.NOT_FOUND:
            return None
        raise


async def schedule(house: House, task: str) -> ScheduleDescription:
    """A task's schedule, once Temporal has been told."""
    await settled(house, task)
    found = await shown(await house.temporal(), task)
    assert found is not None
    return found


async def gone(house: House, task: str) -> None:
    client = await house.temporal()

    async def check() -> None:
        assert await shown(client, task) is None

    await eventually(check)


async def watch(house: House) -> None:
    """A round of upkeep, which there is every minute anyway."""
    client = await house.temporal()
    await client.execute_workflow("upkeep", id=f"upkeep/{uuid.uuid4()}", task_queue="holdfast")


async def listed(house: House, task: str, **expected: Any) -> None:
    """Returns once Temporal lists a schedule as it is: it does so a moment later."""
    schedules = Schedules(await house.temporal(), "holdfast")

    async def check() -> None:
        found = {one.task_id: one._asdict() async for one in schedules.all()}
        if expected:
            assert expected.items() <= found.get(task, {}).items()
        else:
            assert task not in found

    await eventually(check)


async def ours(house: House, interval: Interval, jitter: timedelta) -> Projection:
    """A projection that a test tells Temporal of by itself."""
    later = datetime.now(UTC) + timedelta(hours=1)
    return Projection(
        task_id=await new_task(house.store, house.account, next_at=later, untold_at=later),
        trigger_id=None,
        account_id=house.account,
        bot_id=None,
        spec=Spec(intervals=(interval,)),
        next_at=later,
        catchup=timedelta(hours=1),
        jitter=jitter,
        paused=False,
        note="one",
    )


def by_hand(update: Any) -> Any:
    def updater(given: ScheduleUpdateInput) -> ScheduleUpdate:
        update(given.description.schedule)
        return ScheduleUpdate(given.description.schedule)

    return updater


async def test_a_task_with_a_rule_has_a_schedule_that_starts_its_runs(house: House) -> None:
    timing = Timing(schedule="0 7 * * 1-5", timezone="Europe/London")
    await minute_lasts()

    task = await told(house, schedule=timing.schedule, timezone=timing.timezone)
    found = await schedule(house, task)

    times = following(parse(timing, task), datetime.now(UTC), 5)
    assert found.info.next_action_times[:5] == [one.at for one in times]
    action = found.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert (action.workflow, action.id) == ("task_run", ids.scheduled_workflows(task))
    (argument,) = await (await house.temporal()).data_converter.decode(action.args, [TaskInput])
    assert argument == TaskInput(task_id=task)
    assert (action.task_queue, action.task_timeout) == ("holdfast", TASK_TIMEOUT)
    assert action.priority.priority_key == PRIORITY["scheduled"]
    assert action.priority.fairness_key == house.account
    assert found.typed_search_attributes[TASK] == task
    assert found.typed_search_attributes[ACCOUNT] == house.account
    assert found.schedule.policy.overlap == ScheduleOverlapPolicy.ALLOW_ALL
    assert found.schedule.policy.catchup_window == timedelta(days=1)
    assert not found.schedule.state.paused
    assert found.schedule.state.note == f"revision 1, clocks of {datetime.now(UTC).year}"


async def test_a_triggers_schedule_starts_events_of_it_and_names_no_task(house: House) -> None:
    store, who = house.store, caller(house.account)
    bot = await store.bots.create(who, key(), {})
    trigger = await new_trigger(store, house.account, bot_id=bot, schedule="0 7 * * 1-5")
    (row,) = await house.rows("SELECT id FROM task WHERE trigger_id = $1", trigger)
    at = datetime(2060, 1, 1, tzinfo=UTC)
    await change(house, row["id"], "next_at = $2, bot_id = $3", at, bot)

    found = await schedule(house, row["id"])

    action = found.schedule.action
    assert isinstance(action, ScheduleActionStartWorkflow)
    assert (action.workflow, action.id) == ("trigger_event", ids.scheduled_triggers(trigger))
    (argument,) = await (await house.temporal()).data_converter.decode(action.args, [TaskInput])
    assert argument == TaskInput(task_id=row["id"])
    for attributes in (found.typed_search_attributes, action.typed_search_attributes):
        assert (attributes[TRIGGER], attributes[BOT]) == (trigger, bot)
        assert TASK not in {pair.key for pair in attributes}


async def test_a_schedule_waits_as_long_as_its_task_and_spreads_as_it_says(house: House) -> None:
    task = await told(house, **YEARLY, catchup=7_200_000, jitter=90_000)
    impatient = await told(house, **YEARLY, catchup=0)

    found = await schedule(house, task)
    least = await schedule(house, impatient)

    assert found.schedule.policy.catchup_window == timedelta(hours=2)
    assert found.schedule.spec.jitter == timedelta(seconds=90)
    assert least.schedule.policy.catchup_window == timedelta(seconds=10)
    assert not least.schedule.spec.jitter


async def test_what_changes_of_a_task_changes_of_its_schedule(house: House) -> None:
    task = await told(house, **YEARLY)
    before = await schedule(house, task)

    start = datetime(2060, 1, 1, tzinfo=UTC)
    await change(house, task, "schedule = NULL, every = 90000, start_at = $2, next_at = $2", start)
    after = await schedule(house, task)

    assert after.info.next_action_times[:2] == [start, start + timedelta(seconds=90)]
    assert after.schedule.state.note == "revision 2"
    assert after.info.created_at == before.info.created_at


async def test_a_schedule_is_of_its_tasks_bot(house: House) -> None:
    store, who = house.store, caller(house.account)
    first, second = [await store.bots.create(who, key(), {}) for _ in range(2)]
    task = await told(house, **YEARLY, bot_id=first)

    async def are_of(bot: str | None) -> None:
        """The schedule, of which Temporal says so a moment later, and what it starts."""
        found = await schedule(house, task)
        action = found.schedule.action
        assert isinstance(action, ScheduleActionStartWorkflow)
        assert found.typed_search_attributes.get(BOT) == action.typed_search_attributes.get(BOT) == bot

    await eventually(partial(are_of, first))
    await store.tasks.update(who, task, {"bot_id": second}, SHORTEST)
    await eventually(partial(are_of, second))
    await store.bots.delete(who, second)
    await eventually(partial(are_of, None))


async def test_a_paused_task_has_a_paused_schedule_until_it_is_resumed(house: House) -> None:
    task = await told(house, **YEARLY, paused_at=datetime.now(UTC))
    at_first = (await schedule(house, task)).schedule.state.paused

    await change(house, task, "paused_at = NULL")
    resumed = (await schedule(house, task)).schedule.state.paused
    await change(house, task, "paused_at = clock_timestamp()")
    again = (await schedule(house, task)).schedule.state.paused

    assert (at_first, resumed, again) == (True, False, True)


async def test_a_task_that_is_triggered_is_due_when_it_was_and_its_schedule_is_untouched(
    house: House, api: Api
) -> None:
    task = await told(house, **YEARLY, description="[model tokens=1]")
    before, row = await schedule(house, task), (await api.get(f"/v1/task/{task}/fetch")).body

    triggered = await api.ok(f"/v1/task/{task}/trigger", {})
    await over(api, triggered["executionId"])

    after, same = await schedule(house, task), (await api.get(f"/v1/task/{task}/fetch")).body
    assert triggered["state"] == "started"
    # Times to come, actions and changes: all that Temporal tells of it.
    assert after.info == before.info
    assert (after.info.num_actions, after.info.recent_actions) == (0, [])
    assert after.schedule.state == before.schedule.state
    assert same["nextRunAt"] == row["nextRunAt"] == before.info.next_action_times[0].timestamp() * 1_000
    assert same["lastRunAt"]


async def test_a_task_that_is_never_due_again_has_no_schedule(house: House) -> None:
    client = await house.temporal()
    never = await told(house, schedule="never")
    without = await told(house)
    task = await told(house, **YEARLY)
    await schedule(house, task)

    await change(house, task, "schedule = 'never', next_at = NULL")

    for one in (never, without, task):
        await settled(house, one)
        assert await shown(client, one) is None


async def test_a_task_that_is_gone_has_no_schedule(house: House) -> None:
    task = await told(house, **YEARLY)
    await schedule(house, task)

    await house.rows("WITH gone AS (DELETE FROM task WHERE id = $1) INSERT INTO task_gone VALUES ($1)", task)

    await gone(house, task)

    async def forgotten() -> None:
        assert not await house.rows("SELECT FROM task_gone WHERE task_id = $1", task)

    await eventually(forgotten)


async def test_in_a_house_at_rest_nothing_fires(house: House) -> None:
    task = await told(house, every=3_600_000)
    await schedule(house, task)

    await house.rest()

    await gone(house, task)


async def test_one_that_cannot_be_told_keeps_no_other_from_it(house: House) -> None:
    year = datetime.now(UTC) + timedelta(days=365)
    broken = await told(house, schedule="no schedule at all", next_at=year)

    task = await told(house, **YEARLY)

    await schedule(house, task)

    async def put_off() -> None:
        (row,) = await house.rows(
            "SELECT untold_at > clock_timestamp() + interval '30 seconds' AS later FROM task WHERE id = $1",
            broken,
        )
        assert row["later"]

    await eventually(put_off)
    await house.rows("DELETE FROM task WHERE id = $1", broken)


async def test_a_time_that_went_by_before_the_schedule_was_there_is_made_good(house: House) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    start = now - timedelta(seconds=20)

    task = await told(house, every=3_600_000, start_at=start, next_at=start, description="[model tokens=1]")
    await settled(house, task)

    (row,) = await house.rows("SELECT at, state, healed FROM occurrence WHERE task_id = $1", task)
    assert (row["at"], row["state"], row["healed"]) == (start, "ran", False)


async def test_hundreds_of_times_that_went_by_before_the_schedule_was_there_are_decided_at_once(
    house: House,
) -> None:
    now = datetime.now(UTC).replace(microsecond=0)
    start = now - timedelta(minutes=250, seconds=-50)
    timing = {"every": 60_000, "start_at": start, "next_at": start, "catchup": 86_400_000}

    task = await told(house, **timing, description="[model tokens=1]")
    await settled(house, task)

    rows = await house.rows("SELECT state FROM occurrence WHERE task_id = $1", task)
    await change(house, task, "every = NULL, next_at = NULL")
    assert len(rows) == 250
    assert {row["state"] for row in rows} == {"ran", "skipped"}


async def test_a_schedule_that_is_deleted_behind_our_back_comes_back(house: House) -> None:
    task = await told(house, **YEARLY)
    await schedule(house, task)
    await (await house.temporal()).get_schedule_handle(ids.task_schedule(task)).delete()
    await listed(house, task)

    await watch(house)

    assert (await schedule(house, task)).info.next_action_times


async def test_a_schedule_that_is_paused_by_hand_goes_on(house: House) -> None:
    task = await told(house, **YEARLY)
    before = await schedule(house, task)
    handle = (await house.temporal()).get_schedule_handle(ids.task_schedule(task))
    await handle.pause(note="by hand")
    await listed(house, task, paused=True)

    await watch(house)

    after = (await schedule(house, task)).schedule.state
    assert (after.paused, after.note) == (False, before.schedule.state.note)


async def test_a_schedule_of_nobody_is_removed_and_others_than_tasks_are_left_alone(house: House) -> None:
    client, nobody, other = await house.temporal(), ids.task(), f"tests/{uuid.uuid4()}"
    action = ScheduleActionStartWorkflow("nothing", id=other, task_queue="nobody")
    for id_ in (ids.task_schedule(nobody), other):
        await client.create_schedule(id_, Schedule(action=action, spec=ScheduleSpec()))
    await listed(house, nobody, note="")

    await watch(house)

    await gone(house, nobody)
    await client.get_schedule_handle(other).delete()


async def test_a_comparison_that_there_is_no_time_for_is_one_warning(
    house: House, caplog: pytest.LogCaptureFixture
) -> None:
    watching = Watch(house.store, Schedules(await house.temporal(), "holdfast"), Meters())

    with caplog.at_level(logging.WARNING, logger="activities.watch"):
        await watching._compare(time.monotonic())

    (told,) = [record for record in caplog.records if record.name == "activities.watch"]
    assert (told.levelno, told.exc_info) == (logging.WARNING, None)
    assert "not compared in time" in told.message


async def test_schedules_of_nobody_that_a_round_has_no_time_for_are_left_to_the_next_one(
    house: House,
) -> None:
    client, nobody = await house.temporal(), ids.task()
    watching = Watch(house.store, Schedules(client, "holdfast"), Meters())
    action = ScheduleActionStartWorkflow("nothing", id=nobody, task_queue="nobody")
    await client.create_schedule(ids.task_schedule(nobody), Schedule(action=action, spec=ScheduleSpec()))

    await watching._drop([nobody], time.monotonic() - 1)
    left = await shown(client, nobody)
    await watching._drop([nobody], time.monotonic() + 10)

    assert left is not None
    assert await shown(client, nobody) is None


async def test_each_new_year_temporal_is_told_of_the_clocks_anew(house: House) -> None:
    await minute_lasts()
    year = datetime.now(UTC).year
    task = await told(house, **YEARLY)
    spread = await told(house, schedule="monthly")
    before = await schedule(house, spread)
    await schedule(house, task)
    await listed(house, spread, note="revision 1")

    def back(given: Schedule) -> None:
        given.state.note = f"revision 1, clocks of {year - 1}"

    await (await house.temporal()).get_schedule_handle(ids.task_schedule(task)).update(by_hand(back))
    await listed(house, task, note=f"revision 1, clocks of {year - 1}")

    await watch(house)

    assert (await schedule(house, task)).schedule.state.note == f"revision 1, clocks of {year}"
    assert (await schedule(house, spread)).info.last_updated_at == before.info.last_updated_at


async def test_what_was_due_and_nothing_fired_is_run_and_its_schedule_told_anew(house: House) -> None:
    task = await told(house, every=3_600_000, description="[model tokens=1]", catchup=86_400_000)
    made = (await schedule(house, task)).info.created_at
    handle = (await house.temporal()).get_schedule_handle(ids.task_schedule(task))

    async def dead() -> None:
        """Its schedule fires no more, and hours have passed."""
        await handle.update(by_hand(lambda given: setattr(given.spec, "end_at", made)))
        await house.rows("UPDATE task SET next_at = next_at - interval '2 hours' WHERE id = $1", task)

    await dead()
    await watch(house)
    first = await schedule(house, task)
    await dead()
    await watch(house)
    second = await schedule(house, task)

    assert first.info.next_action_times
    assert second.info.next_action_times
    # The first time its schedule was changed; that did not help, so the second time there is another one.
    assert first.info.created_at == made < second.info.created_at
    rows = await house.rows("SELECT state, healed FROM occurrence WHERE task_id = $1", task)
    assert rows
    assert all(row["healed"] for row in rows if row["state"] == "ran")


async def test_a_schedule_is_made_once_however_often_it_is_kept(house: House) -> None:
    schedules = Schedules(await house.temporal(), "nobody")
    projection = await ours(house, Interval(period=86_400, phase=1), timedelta())

    made = await schedules.keep(projection)
    again = await schedules.keep(projection.model_copy(update={"note": "two"}))
    found = await shown(await house.temporal(), projection.task_id)
    await schedules.drop(projection.task_id)
    await schedules.drop(projection.task_id)

    assert (made, again) == (True, False)
    assert found is not None
    assert found.schedule.state.note == "two"


async def test_upkeeps_own_schedule_is_made_where_it_is_missing_and_made_anew_where_it_is_silent(
    house: House,
) -> None:
    client = await house.temporal()
    starter, handle = Starter(client, "holdfast"), client.get_schedule_handle(ids.UPKEEP_SCHEDULE)

    await handle.delete()
    await starter.keep_upkeep()
    missing = (await handle.describe()).info.created_at
    await starter.keep_upkeep()
    kept = (await handle.describe()).info.created_at
    await starter.keep_upkeep(silent=timedelta())
    silent = (await handle.describe()).info.created_at

    assert missing == kept < silent


@pytest.mark.slow
async def test_a_firing_names_the_time_it_is_due_for_and_not_the_moment_it_was_spread_to(
    house: House,
) -> None:
    client = await house.temporal()
    schedules = Schedules(client, "nobody")
    projection = await ours(house, Interval(period=4, phase=1), timedelta(seconds=3, milliseconds=900))
    task = projection.task_id
    await schedules.keep(projection)

    async def fired() -> list[WorkflowExecution]:
        query = f"TemporalScheduledById = '{ids.task_schedule(task)}'"
        found = [one async for one in client.list_workflows(query)]
        assert len(found) >= 4
        return found

    try:
        found = await eventually(fired)
        recent = (await client.get_schedule_handle(ids.task_schedule(task)).describe()).info.recent_actions
    finally:
        await schedules.drop(task)

    for one in found:
        at = one.typed_search_attributes[FIRED_AT]
        assert (at.timestamp() - 1) % 4 == 0
        assert one.id == f"{ids.scheduled_workflows(task)}-{at:%Y-%m-%dT%H:%M:%SZ}"
        assert timedelta() <= one.start_time - at < timedelta(minutes=1)
        await client.get_workflow_handle(one.id).terminate()
    assert any(action.scheduled_at.microsecond for action in recent)
    assert len({one.id for one in found}) == len(found)


@pytest.mark.slow
async def test_a_task_runs_at_each_of_its_times_and_the_ledger_has_them_as_they_were_said(
    house: House,
) -> None:
    task = await told(
        house,
        every=3_000,
        jitter=2_000,
        catchup=60_000,
        overlap="buffer_all",
        session_duration=0,
        description="[model tokens=1]",
    )

    async def ran() -> list[Any]:
        rows = await house.rows(
            "SELECT o.at, o.healed, r.workflow_id FROM occurrence o JOIN run r ON r.id = o.run_id "
            "WHERE o.task_id = $1 AND r.ended_at IS NOT NULL ORDER BY o.at",
            task,
        )
        assert len(rows) >= 4
        return rows

    try:
        first, *rows = await eventually(ran)
    finally:
        await change(house, task, "every = NULL, next_at = NULL")
        await gone(house, task)

    times = following(parse(Timing(every=3_000), task, shortest=0), first["at"], len(rows))
    assert [row["at"] for row in rows] == [one.at for one in times]
    assert not any(row["healed"] for row in rows)
    workflows = ids.scheduled_workflows(task)
    assert {row["workflow_id"] for row in rows} == {
        f"{workflows}-{one.at:%Y-%m-%dT%H:%M:%SZ}" for one in times
    }
