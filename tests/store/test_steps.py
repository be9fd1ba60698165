"""Fences: of all who ever held a step, only the newest writes; and nobody after the end."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import pytest

from domain import events
from domain.completion import Usage
from domain.errors import Stale
from domain.run import Answer, Asked
from domain.tools import InlineAbility, Limits
from store.database import connect
from store.ending import Grip
from store.log import Writer
from store.queries import load
from store.steps import ENDED, Moved, Taken
from tests.house import PATIENCE, eventually
from tests.store.conftest import Desk, grip

SAID = Answer(text="one two", reason="stop", usage=Usage(input_tokens=3, output_tokens=2), model="m")


async def logged(desk: Desk, run: str, table: str = "event, token") -> list[tuple[int, str, str]]:
    """Every event of a run's channel, in order."""
    found: list[Any] = []
    for name in table.split(", "):
        found += await desk.rows(
            f"SELECT e.seq, e.type, e.data FROM {name} e JOIN run r USING (channel_id) WHERE r.id = $1",  # noqa: S608
            run,
        )
    return sorted((row["seq"], row["type"], row["data"]) for row in found)


async def flushed(desk: Desk, writer: Writer) -> None:
    """One round of the log."""
    await desk.store.log._flush_busy()


async def state(desk: Desk, run: str) -> str:
    (row,) = await desk.rows("SELECT state FROM run WHERE id = $1", run)
    return str(row["state"])


async def test_an_attempt_takes_its_step_again_but_another_execution_of_it_does_not(desk: Desk) -> None:
    run = await desk.admitted()

    first = await desk.taken(run, fence=5, holder="me")
    again = await desk.taken(run, fence=5, holder="me")

    assert (first.attempt, again.attempt) == (1, 1)
    with pytest.raises(Stale):
        await desk.store.steps.take(grip(run, 5, "somebody else"))
    with pytest.raises(Stale):
        await desk.store.steps.take(grip(run, 4, "earlier"))
    assert (await desk.taken(run, fence=6, holder="later")).attempt == 2


async def test_whoever_was_overtaken_writes_nothing_more(desk: Desk) -> None:
    run = await desk.admitted()
    old = await desk.taken(run, fence=1)
    writer = desk.store.log.writer(old.channel_id, 1)
    writer.add(events.token("old"))
    await flushed(desk, writer)

    await desk.taken(run, fence=2, holder="later")
    writer.add(events.token("late"))
    await flushed(desk, writer)

    assert writer.refused
    with pytest.raises(Stale):
        await desk.store.steps.answer(grip(run, 1), SAID, [])
    with pytest.raises(Stale):
        await desk.store.steps.fail(grip(run, 1), "MODEL_BROKEN", "late")
    assert [type_ for _, type_, _ in await logged(desk, run)] == ["sendResult", "completeBegin"]
    (step,) = await desk.rows("SELECT state, error_code, fence FROM step WHERE run_id = $1", run)
    assert tuple(step) == ("running", None, 2)
    assert await state(desk, run) == "running"


async def test_the_failures_of_a_model_are_counted_once_each_and_lost_workers_are_none(desk: Desk) -> None:
    run, counted = await desk.admitted(), []

    for fence in (1, 2, 3, 4):
        await desk.taken(run, fence=fence)
        if fence % 2 == 0:
            for _ in range(2):
                counted.append(await desk.store.steps.fail(grip(run, fence), "MODEL_BROKEN", "cut"))

    assert counted == [1, 1, 2, 2]


async def test_a_later_attempt_supersedes_what_the_earlier_one_logged(desk: Desk) -> None:
    run = await desk.admitted()
    taken = await desk.taken(run, fence=1)
    writer = desk.store.log.writer(taken.channel_id, 1)
    for word in ("a", "b", "c"):
        writer.add(events.token(word))
    await flushed(desk, writer)
    before = await logged(desk, run)

    await desk.taken(run, fence=2, holder="later")
    after = await logged(desk, run)

    assert [type_ for _, type_, _ in before] == ["sendResult", "completeBegin", "token", "token", "token"]
    assert [type_ for _, type_, _ in after] == ["sendResult", "completeBegin"]
    assert after[-1][0] > before[-1][0]
    assert after[-1][2] == '{"iteration":1,"attempt":2}'


async def test_an_event_logged_twice_is_there_once(desk: Desk) -> None:
    run = await desk.admitted()
    taken = await desk.taken(run)
    flush, token = load("log")["flush"], events.token("a")

    for numbers in ([1], [1, 2], [1, 2, 3]):
        many = len(numbers)
        await desk.rows(
            flush, [taken.channel_id] * many, [1] * many, numbers, [token.type] * many, [token.data] * many
        )

    assert [type_ for _, type_, _ in await logged(desk, run, "token")] == ["token"] * 3
    seqs = [seq for seq, _, _ in await logged(desk, run)]
    assert seqs == [*range(1, len(seqs) + 1)]


async def test_what_is_locked_waits_for_the_next_round_and_holds_up_nobody(desk: Desk) -> None:
    runs = [await desk.admitted() for _ in range(2)]
    writers = [desk.store.log.writer((await desk.taken(run)).channel_id, 1) for run in runs]
    other = await connect(desk.store.database.url)
    transaction = other.transaction()
    await transaction.start()
    await other.execute("SELECT FROM channel WHERE id = $1 FOR UPDATE", writers[0].channel_id)

    for writer in writers:
        writer.add(events.token("a"))
    await asyncio.wait_for(desk.store.log._flush_busy(), PATIENCE)
    during = [len(await logged(desk, run, "token")) for run in runs]
    pending = [len(writer.pending) for writer in writers]
    await transaction.rollback()
    await other.close()
    await desk.store.log._flush_busy()

    assert (during, pending) == ([0, 1], [1, 0])
    assert [len(await logged(desk, run, "token")) for run in runs] == [1, 1]
    assert not any(writer.refused for writer in writers)


async def test_the_final_commit_takes_over_what_the_log_lacks_and_no_more(desk: Desk) -> None:
    run = await desk.admitted()
    taken = await desk.taken(run)
    writer = desk.store.log.writer(taken.channel_id, 1)
    writer.add(events.token("one"))
    await flushed(desk, writer)
    tail = [(1, events.token("one")), (2, events.token(" two"))]

    await desk.store.steps.answer(grip(run), SAID, tail)
    await desk.store.steps.answer(grip(run), SAID, tail)

    told = await logged(desk, run)
    assert [data for _, type_, data in told if type_ == "token"] == ['{"token":"one"}', '{"token":" two"}']
    assert [type_ for _, type_, _ in told].count("result") == 1
    assert told[-1][1] == "result"
    texts = await desk.rows("SELECT type, text FROM message WHERE run_id = $1 ORDER BY seq", run)
    assert [tuple(row) for row in texts] == [("user", "hello"), ("bot", "one two")]


async def test_an_answer_that_a_limit_leaves_in_pieces_is_told_whole(desk: Desk) -> None:
    limits = Limits(continuations=5, iterations=2)
    asked = Asked(text="hello", limits=limits)
    run = (await desk.accept(await desk.conversation(), asked=asked)).run.id
    cut = SAID.model_copy(update={"reason": "length"})
    await desk.taken(run)
    gone_on = await desk.store.steps.answer(grip(run), cut, [])
    second = Grip(run, 2, 2, "me")
    assert isinstance(await desk.store.steps.take(second), Taken)

    ended = await desk.store.steps.answer(second, cut.model_copy(update={"text": " three"}), [])

    assert (gone_on.result.outcome, ended.result.outcome, ended.reason) == ("next", "final", "iteration")
    _, type_, data = (await logged(desk, run))[-1]
    assert (type_, json.loads(data)["text"]) == ("result", "one two three")


async def test_after_the_end_nobody_takes_writes_or_ends_again(desk: Desk) -> None:
    run = await desk.admitted()
    taken = await desk.taken(run)
    writer = desk.store.log.writer(taken.channel_id, 1)
    await desk.store.turns.cancel(desk.caller, run)
    before = await logged(desk, run)

    writer.add(events.token("late"))
    await flushed(desk, writer)
    later = await desk.store.steps.take(grip(run, 2, "later"))
    await desk.store.steps.answer(grip(run), SAID, [])
    await desk.store.turns.finish(run, "PLAN_LOST")

    assert writer.refused
    assert later == Moved(ENDED)
    assert await logged(desk, run) == before
    assert await state(desk, run) == "canceled"


async def test_a_turn_begins_once_however_often_it_is_told_to(desk: Desk) -> None:
    run = (await desk.accept(await desk.conversation())).run.id

    taken = await asyncio.gather(*(desk.store.steps.take(grip(run)) for _ in range(10)))

    assert all(isinstance(one, Taken) for one in taken)
    assert len(await desk.rows("SELECT FROM message WHERE run_id = $1", run)) == 1
    assert [type_ for _, type_, _ in await logged(desk, run)] == ["sendResult", "completeBegin"]


async def test_of_a_cancel_and_an_answer_at_once_exactly_one_ends_the_run(desk: Desk) -> None:
    for _ in range(10):
        run = await desk.admitted()
        await desk.taken(run)

        await asyncio.gather(
            desk.store.turns.cancel(desk.caller, run),
            desk.store.steps.answer(grip(run), SAID, [(1, events.token("one two"))]),
            desk.store.turns.finish(run, "PLAN_LOST"),
        )

        terminal = [data for _, type_, data in await logged(desk, run, "event") if type_ in events.TERMINAL]
        assert len(terminal) == 1
        messages = await desk.rows("SELECT FROM message WHERE run_id = $1 AND type = 'bot'", run)
        assert len(messages) == (1 if await state(desk, run) == "succeeded" else 0)


async def test_a_reader_is_called_for_what_is_committed(desk: Desk) -> None:
    run = await desk.admitted()
    taken = await desk.taken(run)
    feed = asyncio.create_task(desk.store.feed.run())
    seen: list[str] = []

    async def read() -> None:
        async for rows in desk.store.feed.follow(taken.channel_id, 0, 10):
            seen.extend(row.type for row in rows)

    reader = asyncio.create_task(read())

    async def has(count: int) -> None:
        assert len(seen) == count

    await eventually(lambda: has(2))
    await desk.store.steps.answer(grip(run), SAID, [(1, events.token("one two"))])
    await asyncio.wait_for(reader, PATIENCE)
    feed.cancel()

    assert seen[:3] == ["sendResult", "completeBegin", "token"]
    assert seen[-1] == "result"


async def test_a_long_conversation_of_small_messages_is_read_without_holding_its_locks(desk: Desk) -> None:
    conversation = await desk.conversation()
    run = (await desk.accept(conversation)).run.id
    called = '{"activity": {"type": "request", "function": {"name": "f", "arguments": {"n": 1}}}}'
    await desk.rows(
        "INSERT INTO message (id, conversation_id, seq, key, type, text, meta) "
        "SELECT 'msg_' || n, $1, -n, 'key_' || n, 'activity', '', $2::text::jsonb "
        "FROM generate_series(1, 40000) n",
        conversation,
        called,
    )

    taken = await desk.taken(run)

    # Each has a request and a result that says that there is none, and the user speaks last.
    assert len(taken.prompts) == 1 + 40_000 + 1


async def test_long_instructions_are_read_beside_the_loop_that_everybody_shares(desk: Desk) -> None:
    long = "\n".join(["```prompt", "\\{" * 30_000, "```"])
    abilities = tuple(InlineAbility(name=f"a{n}", description="d", instruction=long) for n in range(30))
    asked = Asked(text="hello", abilities=abilities)
    run = (await desk.accept(await desk.conversation(), asked=asked)).run.id
    moments: list[float] = []

    async def somebody_else() -> None:
        while True:
            moments.append(time.monotonic())
            await asyncio.sleep(0.01)

    beside = asyncio.create_task(somebody_else())
    taken = await desk.taken(run)
    beside.cancel()

    assert [tool.name for tool in taken.toolbox.tools()] == [f"a{n}" for n in range(30)]
    waited = max(later - earlier for earlier, later in pairwise(moments))
    assert waited < (moments[-1] - moments[0]) / 2
