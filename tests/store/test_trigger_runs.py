"""What sets a trigger off, as rows: the event, its conversation and its run, together or not at all."""

from __future__ import annotations

from typing import Any

import pytest

from domain import ids
from domain.run import Run
from domain.trigger_event import Occasion, by_hand
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
