"""Calls: asked for once, held by one, answered once, and never after the run's end."""

from __future__ import annotations

import asyncio

import asyncpg
import pytest

from domain.calls import Outcome
from domain.errors import Stale
from domain.events import TERMINAL
from domain.toolbox import Asking
from tests.house import eventually
from tests.store.agents import (
    ONE,
    ability,
    asking,
    holding,
    next_of,
    on,
    publish,
    results,
    said,
    states,
    taken,
    types,
)
from tests.store.conftest import Desk, grip

DATA = Asking(name="now", arguments={}, kind="data", answered=True, result=5)


async def test_an_answer_with_calls_that_is_committed_twice_asks_once(desk: Desk) -> None:
    run = await desk.admitted()
    await desk.taken(run)
    answer = said([ability(1), DATA], "I look")

    first, again = [await desk.store.steps.answer(grip(run), answer, []) for _ in range(2)]

    assert (first.result.calls, first.result.next) == (again.result.calls, again.result.next) == ((2,), 4)
    assert await states(desk, run) == ["done", "waiting", "done"]
    rows = await desk.rows("SELECT type FROM message WHERE run_id = $1 ORDER BY seq", run)
    assert [row["type"] for row in rows] == ["user", "bot", "activity", "activity", "activity"]
    assert (await types(desk, run)).count("completeEnd") == 1


async def test_of_all_who_held_a_call_only_the_newest_answers_it(desk: Desk) -> None:
    run = await asking(desk, ability())
    old = await taken(desk, holding(run, fence=1))
    new = await taken(desk, holding(run, fence=2, holder="later"))

    with pytest.raises(Stale):
        await desk.store.calls.answer(old.grip, Outcome(result="late"))
    with pytest.raises(Stale):
        await desk.store.calls.take(old.grip)
    with pytest.raises(Stale):
        await desk.store.calls.fail(old.grip, "TOOL_UNAVAILABLE", "late")
    await desk.store.calls.answer(new.grip, ONE)

    assert await results(desk, run) == ["one"]
    with pytest.raises(Stale):
        await desk.store.calls.answer(old.grip, Outcome(result="later still"))
    assert await results(desk, run) == ["one"]


async def test_a_call_that_is_answered_twice_has_one_answer(desk: Desk) -> None:
    run = await asking(desk, ability())
    held = (await taken(desk, holding(run))).grip

    await asyncio.gather(*(desk.store.calls.answer(held, Outcome(result=n)) for n in range(5)))

    assert len(await results(desk, run)) == 1
    assert (await types(desk, run)).count("operationEnd") == 1
    assert await desk.store.calls.take(holding(run, fence=7)) is None


async def test_a_call_cut_off_in_the_middle_may_have_happened_and_one_that_failed_has_not(desk: Desk) -> None:
    cut, failed = await asking(desk, ability()), await asking(desk, ability())
    for run in (cut, failed):
        assert (await taken(desk, holding(run))).interrupted is False
    counted = [await desk.store.calls.fail(holding(failed), "TOOL_UNAVAILABLE", "503") for _ in range(2)]

    again = [await taken(desk, holding(run, fence=2, holder="later")) for run in (cut, failed)]

    assert counted == [1, 1]
    assert [(one.attempt, one.interrupted) for one in again] == [(2, True), (2, False)]


async def test_a_call_that_is_cancelled_between_two_attempts_ended_with_the_first(desk: Desk) -> None:
    run = await asking(desk, ability())
    ended = "SELECT state, ended_at FROM step WHERE run_id = $1 AND kind = 'call'"
    await desk.store.calls.fail((await taken(desk, holding(run))).grip, "TOOL_UNAVAILABLE", "503")
    (failed,) = await desk.rows(ended, run)
    await taken(desk, holding(run, fence=2, holder="later"))
    (again,) = await desk.rows(ended, run)
    await desk.store.calls.fail(holding(run, fence=2, holder="later"), "TOOL_UNAVAILABLE", "503")

    await desk.store.turns.cancel(desk.caller, run)

    (last,) = await desk.rows(ended, run)
    assert (again["state"], again["ended_at"]) == ("running", None)
    assert (failed["state"], last["state"]) == ("failed", "failed")
    assert failed["ended_at"] < last["ended_at"]


async def test_calls_that_are_taken_or_answered_at_once_share_a_transaction(desk: Desk) -> None:
    run = await asking(desk, *(ability(n) for n in range(10)))
    grips = [holding(run, ordinal) for ordinal in range(2, 12)]

    held = await asyncio.gather(*(taken(desk, one) for one in grips))
    begun = await transactions(desk, run)
    await asyncio.gather(
        *(desk.store.calls.answer(one.grip, Outcome(result=(one.arguments or {})["n"])) for one in held)
    )

    assert len(begun) == len(await transactions(desk, run)) == 1
    assert await results(desk, run) == [*range(10)]
    assert (await types(desk, run))[-20:] == ["message", "operationEnd"] * 10
    assert (await next_of(desk, run)).calls == ()


async def transactions(desk: Desk, run: str) -> set[str]:
    """Those that wrote the calls of a run."""
    rows = await desk.rows("SELECT xmin::text FROM step WHERE run_id = $1 AND kind = 'call'", run)
    return {row["xmin"] for row in rows}


async def test_what_is_wrong_with_one_call_is_no_harm_to_those_beside_it(desk: Desk) -> None:
    run = await asking(desk, *(ability(n) for n in range(4)))
    held = [await taken(desk, holding(run, ordinal)) for ordinal in range(2, 6)]
    await taken(desk, holding(run, 2, fence=2, holder="later"))
    given = [ONE, Outcome(result="two"), Outcome(result="no text: \x00"), Outcome(result="four")]
    answers = [
        asyncio.create_task(desk.store.calls.answer(one.grip, outcome))
        for one, outcome in zip(held, given, strict=True)
    ]
    await asyncio.sleep(0)
    answers[3].cancel()

    stale, well, spoilt, gone = await asyncio.gather(*answers, return_exceptions=True)

    assert isinstance(stale, Stale)
    assert well is False
    assert isinstance(spoilt, asyncpg.PostgresError)
    assert isinstance(gone, asyncio.CancelledError)

    async def both_came() -> None:
        assert await states(desk, run) == ["done", "running", "done", "running", "done"]
        assert sorted(await results(desk, run)) == ["four", "two"]

    # Who is cancelled hears no more; the answer comes all the same.
    await eventually(both_came)


async def test_of_a_cancel_and_the_answer_of_a_call_at_once_nothing_is_half_done(desk: Desk) -> None:
    for _ in range(10):
        run = await asking(desk, ability())
        held = (await taken(desk, holding(run))).grip

        await asyncio.gather(desk.store.turns.cancel(desk.caller, run), desk.store.calls.answer(held, ONE))

        told, answered = await types(desk, run), len(await results(desk, run))
        assert len([one for one in told if one in TERMINAL]) == 1
        assert told[-1] in TERMINAL
        assert told.count("operationEnd") == answered
        assert await states(desk, run) == ["done", "done" if answered else "failed"]
        assert await desk.store.calls.take(holding(run, fence=2, holder="later")) is None


async def test_a_plan_that_begins_anew_is_told_what_lies_after_the_newest_answer(desk: Desk) -> None:
    run = await asking(desk, ability(1), ability(2), on("channel-of-the-calls"))
    begun = await next_of(desk, run)
    await desk.store.calls.answer((await taken(desk, holding(run))).grip, ONE)
    later = await next_of(desk, run)
    await desk.store.calls.answer((await taken(desk, holding(run, 3))).grip, ONE)
    await publish(desk, "channel-of-the-calls", "two")
    await desk.store.waits.look(run)
    over = await next_of(desk, run)

    assert [(one.calls, one.waits, one.next) for one in (begun, later, over)] == [
        ((2, 3), True, 5),
        ((3,), True, 5),
        ((), False, 5),
    ]
    # The next model step may have been begun by the plan that was lost.
    await desk.store.steps.take(holding(run, 5))
    assert (await next_of(desk, run)).next == 5


async def worded(desk: Desk, *, stateless: bool) -> str:
    """A run of an agent with a word in everything that can have one."""
    unknown = Asking(name="canary_tool", arguments={"canary": 1}, kind="unknown", answered=True, failed=True)
    waits = on("channel-of-the-words", name="canary_function")
    run = await asking(desk, ability(), unknown, waits, stateless=stateless, text="canary text")
    await desk.store.calls.answer((await taken(desk, holding(run))).grip, Outcome(result="canary result"))
    await publish(desk, "channel-of-the-words", "canary publish")
    await desk.store.waits.look(run)
    await desk.store.turns.cancel(desk.caller, run)
    return run


async def words(desk: Desk) -> list[str]:
    """The tables that hold the word."""
    tables = [row["relname"] for row in await desk.rows("SELECT relname FROM pg_class WHERE relkind = 'r'")]
    found = []
    for table in tables:
        if not table.startswith(("pg_", "sql_")):
            query = f"SELECT FROM {table} t WHERE t::text LIKE '%canary%' OR t::text LIKE '%signed%'"
            found += [table] * bool(await desk.rows(query))
    return sorted(found)


async def test_a_stateless_run_of_an_agent_that_is_forgotten_leaves_no_words(desk: Desk) -> None:
    run = await worded(desk, stateless=True)
    before = await words(desk)

    await desk.store.upkeep.scrub(run)

    assert before == ["call", "event", "message", "step"]
    assert await words(desk) == []


async def test_a_conversation_of_an_agent_that_is_deleted_leaves_no_words(desk: Desk) -> None:
    run = await worded(desk, stateless=False)
    (row,) = await desk.rows("SELECT conversation_id FROM run WHERE id = $1", run)

    await desk.store.conversations.delete(desk.caller, row["conversation_id"])

    assert await words(desk) == []


async def test_a_background_run_of_an_agent_keeps_no_words_longer_than_its_channel(desk: Desk) -> None:
    run = await worded(desk, stateless=True)
    await desk.rows("UPDATE run SET scrub_at = NULL")
    await desk.rows(
        "UPDATE channel SET closed_at = closed_at - interval '25 hours' WHERE closed_at IS NOT NULL"
    )
    await desk.rows("UPDATE event SET at = at - interval '8 days' WHERE type = 'published'")

    await desk.store.upkeep.tidy(30)

    assert await words(desk) == []
    (step, *_) = await desk.store.runs.steps(run)
    assert step.name is None
