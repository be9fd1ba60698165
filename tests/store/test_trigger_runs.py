"""What sets a trigger off, as rows: the event, its conversation and its run, together or not at all."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain import ids
from domain.errors import LimitsReached, NotFound
from domain.run import Run
from domain.trigger_event import Occasion, by_hand
from store import Caps, Quotas, Store
from store.database import Connection
from tests.store.conftest import Desk
from tests.triggers import new_trigger


@pytest.fixture
async def trigger(desk: Desk) -> str:
    return await new_trigger(desk.store, desk.account, name="Mail", description="Read it.")


def occasion(trigger: str, **given: Any) -> Occasion:
    named = {"event_id": ids.trigger_event(), "run_id": ids.run(), "trigger_id": trigger}
    return Occasion(**({"source": "event", "body": b"{}"} | named | given))


async def set_off(desk: Desk, trigger: str, **given: Any) -> Run:
    made = occasion(trigger, **given)

    async def work(connection: Connection) -> None:
        assert await desk.store.trigger_runs.set_off(connection, desk.caller, made)

    await desk.store.database.transact(work)
    return await desk.store.runs.fetch(desk.account, made.run_id)


async def test_an_event_is_kept_with_its_conversation_and_its_run(desk: Desk, trigger: str) -> None:
    run = await set_off(desk, trigger, body=b"\x00\xff", headers={"content-type": "a/b"})

    (kept,) = await desk.rows("SELECT * FROM trigger_event")
    assert (kept["run_id"], kept["trigger_id"], kept["body"], kept["size"]) == (
        run.id,
        trigger,
        b"\x00\xff",
        2,
    )
    assert (run.kind, run.lane, run.trigger_id, run.task_id) == ("trigger_event", "background", trigger, None)
    assert run.workflow_id == ids.trigger_workflow(trigger, run.id)
    conversation = await desk.store.conversations.fetch(desk.account, str(run.conversation_id))
    assert (conversation.name, conversation.description) == ("Mail", "Read it.")
    assert conversation.meta == {"app": "trigger", "trigger": {"integrationId": trigger}}


async def test_events_without_a_session_have_conversations_of_their_own(desk: Desk, trigger: str) -> None:
    one, other = await set_off(desk, trigger), await set_off(desk, trigger)

    assert one.conversation_id != other.conversation_id


async def test_events_of_one_session_share_a_conversation_and_calls_by_hand_share_another(
    desk: Desk, trigger: str
) -> None:
    one, other = await set_off(desk, trigger, session="never"), await set_off(desk, trigger, session="never")
    by_hands = [await set_off(desk, trigger, source="invoke", body=by_hand()) for _ in range(2)]

    assert one.conversation_id == other.conversation_id
    assert by_hands[0].conversation_id == by_hands[1].conversation_id != one.conversation_id


async def test_a_session_is_gone_on_with_until_its_time_is_over(desk: Desk, trigger: str) -> None:
    one = await set_off(desk, trigger, session="a")
    await desk.rows("UPDATE trigger_session SET begun_at = begun_at - interval '23 hours 59 minutes'")
    other = await set_off(desk, trigger, session="a")
    await desk.rows("UPDATE trigger_session SET begun_at = begun_at - interval '2 minutes'")
    later = await set_off(desk, trigger, session="a")

    assert one.conversation_id == other.conversation_id != later.conversation_id
    assert (await set_off(desk, trigger, session="a")).conversation_id == later.conversation_id


async def test_of_events_that_come_at_once_in_one_session_all_share_a_conversation(
    desk: Desk, trigger: str
) -> None:
    runs = await asyncio.gather(*(set_off(desk, trigger, session="a") for _ in range(12)))

    assert len({run.conversation_id for run in runs}) == 1
    assert {run.accepted_seq for run in runs} == {*range(1, 13)}


async def test_an_ordering_key_lets_one_event_begin_and_the_others_wait(desk: Desk, trigger: str) -> None:
    runs = await asyncio.gather(*(set_off(desk, trigger, ordering_key="7") for _ in range(8)))
    beside = await set_off(desk, trigger, ordering_key="8")

    assert sum(run.admitted_at is not None for run in runs) == 1
    (first,) = (run for run in runs if run.admitted_at is not None)
    assert first.channel_id == min(run.channel_id for run in runs)
    assert beside.admitted_at is not None
    await desk.store.turns.cancel(desk.caller, first.id)
    (plan,) = await desk.store.admission.admit()
    assert plan.run_id == sorted(runs, key=lambda run: run.channel_id)[1].id


async def test_what_a_limit_refuses_leaves_nothing(desk: Desk, trigger: str) -> None:
    store = await Store.open(desk.store.database.url, Caps(background=1), Quotas(waiting_of_account=1))
    small = Desk(store, desk.account)
    await set_off(small, trigger)
    await set_off(small, trigger)
    before = await desk.rows("SELECT count(*) FROM conversation")

    with pytest.raises(LimitsReached):
        await set_off(small, trigger)

    await store.close()
    assert await desk.rows("SELECT count(*) FROM conversation") == before
    assert len(await desk.rows("SELECT id FROM trigger_event")) == 2


async def test_a_trigger_of_another_account_is_not_set_off(desk: Desk, trigger: str) -> None:
    stranger = Desk(desk.store, await desk.store.accounts.create("a stranger"))

    with pytest.raises(NotFound):
        await stranger.store.trigger_events.take(stranger.caller, occasion(trigger))

    assert await desk.rows("SELECT id FROM trigger_event") == []


# What time makes superfluous.


async def aged(desk: Desk, run: Run, days: int) -> None:
    await desk.rows(
        "UPDATE trigger_event SET received_at = now() - $2 * interval '1 day' WHERE run_id = $1", run.id, days
    )


async def test_what_came_with_an_event_is_kept_for_so_many_days_and_the_event_for_thirty(
    desk: Desk, trigger: str
) -> None:
    came = {"query": {"a": "b"}, "ordering_key": "7", "content_type": "a/b"}
    runs = [await set_off(desk, trigger, **came) for _ in range(4)]
    for run, days in zip(runs, (6, 8, 29, 31), strict=True):
        await desk.store.turns.cancel(desk.caller, run.id)
        await aged(desk, run, days)

    await desk.store.upkeep.tidy(365, event_days=7)

    rows = await desk.rows("SELECT * FROM trigger_event ORDER BY id")
    assert (
        [row["ordering_key"] for row in rows]
        == [row["content_type"] and "7" for row in rows]
        == ["7", None, None]
    )
    assert [row["run_id"] for row in rows] == [run.id for run in runs[:3]]
    assert [row["body"] for row in rows] == [b"{}", None, None]
    assert [row["query"] for row in rows] == [{"a": "b"}, {}, {}]


async def test_events_are_kept_for_as_long_as_what_came_with_them(desk: Desk, trigger: str) -> None:
    run = await set_off(desk, trigger)
    await desk.store.turns.cancel(desk.caller, run.id)
    await aged(desk, run, 59)

    await desk.store.upkeep.tidy(365, event_days=60)

    assert [row["body"] for row in await desk.rows("SELECT body FROM trigger_event")] == [b"{}"]


async def test_what_a_run_is_still_to_begin_with_is_kept(desk: Desk, trigger: str) -> None:
    await aged(desk, await set_off(desk, trigger), 100)

    await desk.store.upkeep.tidy(365, event_days=30)

    assert [row["body"] for row in await desk.rows("SELECT body FROM trigger_event")] == [b"{}"]


async def test_a_session_is_forgotten_once_it_cannot_last_any_longer(desk: Desk, trigger: str) -> None:
    for session, days in (("old", 33), ("new", 30)):
        await set_off(desk, trigger, session=session)
        await desk.rows(
            "UPDATE trigger_session SET begun_at = now() - $1 * interval '1 day' "
            "WHERE begun_at > now() - interval '1 day'",
            days,
        )

    await desk.store.upkeep.tidy(365)

    assert len(await desk.rows("SELECT key FROM trigger_session")) == 1
