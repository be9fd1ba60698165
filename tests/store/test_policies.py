"""Calls that join a turn, whenever they meet it: what they say is in one turn, once, and in its order."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from domain import ids
from domain.accept import Accepted, Work
from domain.completion import Usage
from domain.conversation import OnBusy
from domain.errors import Conflict
from domain.run import Answer, Asked
from domain.toolbox import Asking
from domain.tools import Function, Limits
from store.ending import Grip
from store.steps import Moved, Taken
from tests.house import PATIENCE
from tests.store.conftest import Desk, key

USED = Usage(input_tokens=3, output_tokens=2)
SAID = Answer(text="an answer", reason="stop", usage=USED, model="m")
LOOK = Function(name="look", description="", parameters={}, kind="data", data=1)


def asking(kind: Any, **more: Any) -> Answer:
    """An answer that asks for one call."""
    call = Asking(name="look", arguments={}, kind=kind, **more)
    return SAID.model_copy(update={"reason": "calls", "calls": (call,)})


async def call(
    desk: Desk, conversation: str, text: str | None, on_busy: OnBusy | None = None, **more: Any
) -> Accepted:
    own = {name: more.pop(name) for name in ("functions", "limits", "settles") if name in more}
    asked = Asked(text=text, **own)
    work = Work(
        run_id=ids.run(),
        caller=desk.caller,
        lane="interactive",
        key=key(),
        asked=asked,
        conversation_id=conversation,
        channel=ids.channel(),
        on_busy=on_busy,
        **more,
    )
    return await desk.store.accept.run(work)


async def steer(desk: Desk, conversation: str, text: str | None = "steer", **more: Any) -> str:
    return (await call(desk, conversation, text, "steer", **more)).run.id


async def take(desk: Desk, run: str, ordinal: int = 1, fence: int = 1) -> Taken:
    taken = await desk.store.steps.take(Grip(run, ordinal, fence, "me"))
    assert isinstance(taken, Taken)
    return taken


async def answer(desk: Desk, run: str, said: Answer = SAID, ordinal: int = 1, fence: int = 1) -> Moved:
    return await desk.store.steps.answer(Grip(run, ordinal, fence, "me"), said, [])


async def row(desk: Desk, run: str) -> Any:
    (found,) = await desk.rows("SELECT * FROM run WHERE id = $1", run)
    return found


async def states(desk: Desk, *runs: str) -> list[str]:
    return [(await row(desk, run))["state"] for run in runs]


async def seen(desk: Desk, conversation: str) -> list[tuple[str, str]]:
    """What is not hidden of a conversation."""
    rows = await desk.rows(
        "SELECT type, text FROM message WHERE conversation_id = $1 AND NOT hidden ORDER BY seq", conversation
    )
    return [(found["type"], found["text"]) for found in rows]


def told(taken: Taken) -> list[str]:
    return [prompt.text for prompt in taken.prompts]


@pytest.fixture
async def conversation(desk: Desk) -> str:
    return await desk.conversation()


async def test_a_steer_while_the_model_speaks_makes_its_answer_not_the_last(
    desk: Desk, conversation: str
) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    steered = await steer(desk, conversation)

    moved = await answer(desk, turn)
    between = await states(desk, turn, steered)
    taken = await take(desk, turn, 2)
    final = await answer(desk, turn, ordinal=2)

    assert (moved.result.outcome, moved.result.next, moved.result.calls) == ("next", 2, ())
    assert between == ["running", "queued"]
    assert told(taken) == ["hello", "an answer", "steer"]
    assert [plan.run_id for plan in taken.merged] == [steered]
    assert final.result.outcome == "final"
    assert await states(desk, turn, steered) == ["succeeded", "merged"]
    assert (await row(desk, steered))["merged_into"] == turn
    spoken = [("user", "hello"), ("bot", "an answer"), ("user", "steer"), ("bot", "an answer")]
    assert await seen(desk, conversation) == spoken
    assert (await row(desk, turn))["output_tokens"] == 2 * USED.output_tokens


async def test_an_answer_that_was_not_the_last_is_so_however_often_it_is_committed(
    desk: Desk, conversation: str
) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    await steer(desk, conversation)

    moves = [await answer(desk, turn) for _ in range(3)]
    resumed = await desk.store.steps.take(Grip(turn, 1, 9, "another plan"))

    assert {moved.result.next for moved in moves} == {2}
    assert isinstance(resumed, Moved)
    assert resumed.result.next == 2
    assert await seen(desk, conversation) == [("user", "hello"), ("bot", "an answer")]


async def test_steers_are_read_in_their_order_after_the_calls_that_were_being_made(
    desk: Desk, conversation: str
) -> None:
    turn = (await call(desk, conversation, "hello", functions=(LOOK,))).run.id
    await take(desk, turn)
    await answer(desk, turn, asking("ability", effect="once", source="ability"))
    steered = [await steer(desk, conversation, f"steer {n}") for n in range(3)]
    mid = await states(desk, turn, *steered)
    grip = Grip(turn, 2, 1, "me")
    await desk.store.calls.take(grip)
    await desk.store.turns.open(turn)

    await desk.rows("UPDATE call SET response_id = 'msg_x' WHERE run_id = $1", turn)
    await desk.rows("UPDATE step SET state = 'done' WHERE run_id = $1 AND kind = 'call'", turn)
    taken = await take(desk, turn, 3)

    assert mid == ["running", *["queued"] * 3]
    assert told(taken)[-3:] == [f"steer {n}" for n in range(3)]
    assert await states(desk, *steered) == ["merged"] * 3


async def test_a_steer_does_not_end_a_wait_and_is_read_after_it(desk: Desk, conversation: str) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    moved = await answer(desk, turn, asking("settle", wait_seconds=3600))
    steered = await steer(desk, conversation)

    looked = await desk.store.waits.look(turn)
    await desk.rows("UPDATE call SET deadline = now() - interval '1 s' WHERE run_id = $1", turn)
    after = await desk.store.waits.look(turn)
    taken = await take(desk, turn, moved.result.next)

    assert (looked.result.left, after.result.left) == (1, 0)
    assert told(taken)[-1] == "steer"
    assert await states(desk, steered) == ["merged"]


async def test_a_steer_joins_a_turn_that_waits_and_none_that_is_not_there(
    desk: Desk, conversation: str
) -> None:
    alone = await steer(desk, conversation, "first")
    joining = await steer(desk, conversation, "second")

    taken = await take(desk, alone)

    assert told(taken) == ["first", "second"]
    assert await states(desk, alone, joining) == ["running", "merged"]


async def test_a_retry_reads_what_has_joined_meanwhile(desk: Desk, conversation: str) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    steered = await steer(desk, conversation)

    again = await take(desk, turn, fence=2)
    final = await answer(desk, turn, fence=2)
    await take_events_again(desk, turn)

    assert (again.attempt, told(again)) == (2, ["hello", "steer"])
    assert final.result.outcome == "final"
    assert await states(desk, steered) == ["merged"]


async def take_events_again(desk: Desk, run: str) -> None:
    """The merge is told of no attempt, so none takes it away."""
    rows = await desk.rows(
        "SELECT e.step, e.type FROM event e JOIN run r USING (channel_id) WHERE r.id = $1 ORDER BY seq", run
    )
    assert [found["step"] for found in rows if found["type"] == "sendResult"] == [0, 0]


@pytest.mark.parametrize("end", ["cancel", "fail", "limit", "budget"])
async def test_a_steer_that_its_turn_did_not_read_has_a_turn_of_its_own(
    desk: Desk, conversation: str, end: str
) -> None:
    limits = {"limit": Limits(iterations=1), "budget": Limits(tokens=5)}.get(end, Limits())
    turn = (await call(desk, conversation, "hello", limits=limits)).run.id
    await take(desk, turn)
    steered = [await steer(desk, conversation, f"steer {n}") for n in range(2)]

    if end == "cancel":
        start = (await desk.store.turns.cancel(desk.caller, turn)).start
    elif end == "fail":
        start = (await desk.store.turns.finish(turn, "PLAN_LOST")).start
    else:
        start = (await answer(desk, turn)).start
    assert start is not None
    taken = await take(desk, steered[0])
    await answer(desk, steered[0])

    assert start.run_id == steered[0]
    assert told(taken)[-1] == "steer 0"
    assert await states(desk, *steered) == ["succeeded", "queued"]
    assert [(await row(desk, run))["joins"] for run in steered] == [None, None]


async def test_a_steer_that_is_cancelled_before_it_is_read_says_nothing(
    desk: Desk, conversation: str
) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    steered = await steer(desk, conversation)

    await desk.store.turns.cancel(desk.caller, steered)
    moved = await answer(desk, turn)

    assert moved.result.outcome == "final"
    assert await states(desk, turn, steered) == ["succeeded", "canceled"]
    assert ("user", "steer") not in await seen(desk, conversation)


@pytest.mark.parametrize(
    "brings",
    [{"functions": (LOOK,)}, {"limits": Limits(iterations=3)}, {"settles": True}, {"text": None}],
)
async def test_a_call_that_brings_what_the_turn_has_not_or_no_words_waits_its_turn(
    desk: Desk, conversation: str, brings: dict[str, Any]
) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)

    steered = await steer(desk, conversation, **({"text": "steer"} | brings))
    await answer(desk, turn)

    assert (await row(desk, steered))["joins"] is None
    assert await states(desk, turn, steered) == ["succeeded", "queued"]
    assert (await row(desk, steered))["admitted_at"] is not None


async def test_a_call_that_brings_some_of_what_the_turn_has_joins_it(desk: Desk, conversation: str) -> None:
    other = LOOK.model_copy(update={"name": "other"})
    turn = (await call(desk, conversation, "hello", functions=(LOOK, other))).run.id
    await take(desk, turn)

    steered = await steer(desk, conversation, functions=(other,))

    assert (await row(desk, steered))["joins"] == turn


async def test_of_a_last_answer_and_a_steer_at_once_the_words_are_in_one_turn(desk: Desk) -> None:
    for n in range(20):
        conversation = await desk.conversation()
        turn = (await call(desk, conversation, "hello")).run.id
        await take(desk, turn)

        moved, steered = await asyncio.gather(answer(desk, turn), steer(desk, conversation, f"steer {n}"))
        if moved.result.outcome == "next":
            await take(desk, turn, 2)
            assert await states(desk, steered) == ["merged"]
        else:
            assert (await row(desk, steered))["admitted_at"] is not None
            await take(desk, steered)

        assert [text for _, text in await seen(desk, conversation)] == ["hello", "an answer", f"steer {n}"]


async def test_of_a_cancel_a_step_and_steers_at_once_every_word_is_in_one_turn(desk: Desk) -> None:
    for _ in range(10):
        conversation = await desk.conversation()
        turn = (await call(desk, conversation, "hello")).run.id
        await take(desk, turn)

        await asyncio.gather(
            desk.store.turns.cancel(desk.caller, turn),
            desk.store.steps.take(Grip(turn, 1, 2, "later")),
            *(steer(desk, conversation, f"steer {n}") for n in range(5)),
        )
        await finish_all(desk, conversation)

        words = [text for kind, text in await seen(desk, conversation) if kind == "user"]
        assert sorted(words) == ["hello", *(f"steer {n}" for n in range(5))]


async def finish_all(desk: Desk, conversation: str) -> None:
    """Holds every turn of a conversation that is left."""
    while open_ := await desk.rows(
        "SELECT id FROM run WHERE conversation_id = $1 AND ended_at IS NULL AND admitted_at IS NOT NULL",
        conversation,
    ):
        await take(desk, open_[0]["id"], fence=9)
        await answer(desk, open_[0]["id"], fence=9)
    left = await desk.rows("SELECT FROM run WHERE conversation_id = $1 AND ended_at IS NULL", conversation)
    assert not left


# Rollback.


async def test_what_is_rolled_back_is_seen_by_nobody_and_counted(desk: Desk, conversation: str) -> None:
    before = (await call(desk, conversation, "before")).run.id
    await take(desk, before)
    await answer(desk, before)
    turn = (await call(desk, conversation, "hello", functions=(LOOK,))).run.id
    await take(desk, turn)
    await answer(desk, turn, asking("data", answered=True, result=1))
    joined = await steer(desk, conversation)
    await take(desk, turn, 3)
    waits = (await call(desk, conversation, "waits")).run.id

    accepted = await call(desk, conversation, "instead", "rollback")
    taken = await take(desk, accepted.run.id)

    assert [plan.run_id for plan in accepted.cancel] == [turn, waits]
    assert accepted.stopped == "rolled_back"
    assert await states(desk, turn, joined, waits) == ["rolled_back", "merged", "rolled_back"]
    kept = [("user", "before"), ("bot", "an answer"), ("user", "instead")]
    assert await seen(desk, conversation) == kept
    assert told(taken) == [text for _, text in kept]
    hidden = await desk.rows(
        "SELECT type FROM message WHERE conversation_id = $1 AND hidden ORDER BY seq", conversation
    )
    assert [found["type"] for found in hidden] == ["user", "bot", "activity", "activity", "user"]
    assert [(await row(desk, run))["messages"] for run in (turn, joined, waits)] == [5, 0, 0]
    acts = await desk.rows("SELECT type FROM audit WHERE about ->> 'runId' = ANY ($1)", [turn, joined])
    assert sorted(found["type"] for found in acts) == [
        *["run.create"] * 2,
        "run.merged",
        "run.rolled_back",
    ]


async def test_a_message_that_was_sent_meanwhile_is_not_rolled_back(desk: Desk, conversation: str) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    await desk.rows(
        "INSERT INTO message (id, conversation_id, seq, key, type, text)"
        " VALUES ('msg_s', $1, 50, 's', 'user', 's')",
        conversation,
    )

    await call(desk, conversation, None, "rollback")

    assert await seen(desk, conversation) == [("user", "s")]


# Batches.


async def test_calls_within_the_time_of_a_batch_are_one_turn(desk: Desk, conversation: str) -> None:
    first = await call(desk, conversation, "one", batch_ms=60_000)
    second = await call(desk, conversation, "two", batch_ms=60_000)
    wordless = await call(desk, conversation, None)

    plan = await desk.store.looks.accepted()
    due = await desk.rows("SELECT next_look_at - begins_at AS after, begins_at FROM run WHERE joins IS NULL")
    taken = await take(desk, first.run.id)
    later = await call(desk, conversation, "late")

    assert first.run.admitted_at is not None
    (claimed,) = [one for one in plan if one.run_id == first.run.id]
    assert 55 < claimed.delay <= 60
    assert due[0]["after"].total_seconds() == pytest.approx(2, abs=0.1)
    assert told(taken) == ["one", "two"]
    assert await states(desk, second.run.id, wordless.run.id, later.run.id) == ["merged", "merged", "queued"]
    assert (await row(desk, later.run.id))["joins"] is None


async def test_a_batch_in_the_line_gathers_what_comes_and_leaves_the_running_turn_alone(
    desk: Desk, conversation: str
) -> None:
    turn = (await call(desk, conversation, "hello")).run.id
    await take(desk, turn)
    first = (await call(desk, conversation, "one", batch_ms=60_000)).run.id
    second = (await call(desk, conversation, "two")).run.id

    start = (await answer(desk, turn)).start
    assert start is not None
    taken = await take(desk, first)

    assert start.run_id == first
    assert 55 < start.delay <= 60
    assert told(taken) == ["hello", "an answer", "one", "two"]
    assert await states(desk, second) == ["merged"]


@pytest.mark.parametrize("on_busy", ["reject", "interrupt", "rollback"])
async def test_a_call_that_does_not_wait_does_not_join_a_batch_either(
    desk: Desk, conversation: str, on_busy: OnBusy
) -> None:
    first = (await call(desk, conversation, "one", batch_ms=60_000)).run.id

    if on_busy == "reject":
        with pytest.raises(Conflict):
            await call(desk, conversation, "two", on_busy)
        return
    second = (await call(desk, conversation, "two", on_busy)).run.id

    assert await states(desk, first) == [{"interrupt": "interrupted", "rollback": "rolled_back"}[on_busy]]
    assert (await row(desk, second))["admitted_at"] is not None


async def test_a_batch_holds_a_place(desk: Desk, conversation: str) -> None:
    await call(desk, conversation, "one", batch_ms=60_000)

    lines = await desk.store.looks.queue()

    assert [(line.place, line.runs) for line in lines] == [("active", 1)]


async def test_a_batch_is_over_when_its_time_is(desk: Desk, conversation: str) -> None:
    first = (await call(desk, conversation, "one", batch_ms=60_000)).run.id
    await desk.rows("UPDATE run SET begins_at = now() - interval '1 ms' WHERE id = $1", first)

    second = (await call(desk, conversation, "two")).run.id

    assert (await row(desk, second))["joins"] is None


# Streams.


async def heard(desk: Desk, channel: int, after: int = 0) -> list[tuple[int, str]]:
    rows: list[tuple[int, str]] = []

    async def listen() -> None:
        async for page in desk.store.feed.follow(channel, after, 30):
            rows.extend((found.seq, found.type) for found in page)

    pumping = asyncio.create_task(desk.store.feed.run())
    try:
        await asyncio.wait_for(listen(), PATIENCE)
    finally:
        pumping.cancel()
    return rows


async def test_a_merged_runs_listeners_hear_the_turn_from_the_merge_on_numbered_on(
    desk: Desk, conversation: str
) -> None:
    turn = (await call(desk, conversation, "hello")).run
    await take(desk, turn.id)
    steered = (await call(desk, conversation, "steer", "steer")).run
    await answer(desk, turn.id)
    await take(desk, turn.id, 2)
    await answer(desk, turn.id, ordinal=2)

    own, whole = await heard(desk, steered.channel_id), await heard(desk, turn.channel_id)
    resumed = [await heard(desk, steered.channel_id, after) for after in range(len(own))]

    assert own[:2] == [(1, "sendResult"), (2, "merged")]
    assert [seq for seq, _ in own] == [*range(1, len(own) + 1)]
    assert [kind for _, kind in own[2:]] == [kind for _, kind in whole][-len(own) + 2 :]
    assert own[2][1] == "completeBegin"
    assert own[-1][1] == "result"
    assert resumed == [own[after:] for after in range(len(own))]
    channel = await desk.store.channels.find(desk.account, steered.channel)
    assert channel is not None
    assert channel.seq == own[-1][0]
    assert await desk.store.channels.before_newest(channel.id, 2) == own[-1][0] - 2
    (event,) = await desk.rows(
        "SELECT data FROM event WHERE channel_id = $1 AND type = 'merged'", steered.channel_id
    )
    assert json.loads(event["data"]) == {"runId": turn.id}
