"""What is left of waits that were answered, or that nobody waits for any more."""

from __future__ import annotations

from functools import partial

import pytest

from domain import ids
from domain.accept import Work
from domain.completion import Usage
from domain.run import Answer, Asked, Lane
from domain.toolbox import Asking
from domain.tools import Function
from store.ending import Grip
from store.held import hold
from tests.store.conftest import Desk, key

CHANNEL = "a function's channel"
LOOK = Function(name="canary_look", description="", parameters={}, kind="channel", channel=CHANNEL)
CALL = Asking(name=LOOK.name, arguments={}, kind="channel", channel=CHANNEL)
SAID = Answer(text="", reason="calls", usage=Usage(), model="m", calls=(CALL,))


async def waiting(desk: Desk, lane: Lane = "interactive", conversation: str | None = None) -> str:
    """A run whose model has called a function that is answered on a channel."""
    work = Work(
        run_id=ids.run(),
        caller=desk.caller,
        lane=lane,
        key=key(),
        asked=Asked(text="hello", functions=(LOOK,)),
        conversation_id=conversation,
        channel=ids.channel(),
    )
    run = (await desk.store.accept.run(work)).run.id
    await desk.store.steps.take(Grip(run, 1, 1, "me"))
    await desk.store.steps.answer(Grip(run, 1, 1, "me"), SAID, ())
    return run


async def publish(desk: Desk, word: str) -> None:
    await desk.store.channels.publish(desk.caller, CHANNEL, key(), {"result": word})


async def ended(desk: Desk, run: str) -> None:
    """Over, an hour ago, and told."""
    await desk.store.turns.cancel(desk.caller, run)
    await desk.rows(
        "UPDATE run SET ended_at = now() - interval '1 hour',"
        " scrub_at = CASE WHEN scrub_at IS NOT NULL THEN now() END WHERE id = $1",
        run,
    )
    await desk.rows("UPDATE channel SET closed_at = now() - interval '25 hours' WHERE run_id = $1", run)


async def published(desk: Desk) -> list[str]:
    rows = await desk.rows(
        "SELECT data::json ->> 'result' AS word FROM event WHERE type = 'published' ORDER BY seq"
    )
    return [row["word"] for row in rows]


@pytest.mark.parametrize("lane", ["interactive", "background"])
async def test_what_answered_a_stateless_run_goes_with_its_words_and_nothing_else_does(
    desk: Desk, lane: Lane
) -> None:
    run, other = await waiting(desk, lane), await waiting(desk, lane, await desk.conversation())
    await publish(desk, "for the stateless one")
    await desk.store.waits.look(run)
    await publish(desk, "for the turn")
    await desk.store.waits.look(other)
    await ended(desk, other)
    await publish(desk, "for whoever comes")
    await desk.store.upkeep.tidy(365)
    before = await published(desk)

    await ended(desk, run)
    await publish(desk, "for whoever comes later")
    await desk.store.upkeep.tidy(365)

    assert before == ["for the stateless one", "for the turn", "for whoever comes"]
    assert "for the stateless one" not in await published(desk)
    assert {"for the turn", "for whoever comes later"} <= {*await published(desk)}


async def test_a_forgotten_run_does_not_know_what_its_functions_were_called(desk: Desk) -> None:
    run, turn = await waiting(desk), await waiting(desk, conversation=await desk.conversation())

    for one in (run, turn):
        await ended(desk, one)
    await desk.store.upkeep.tidy(365)

    assert [step.name for step in await desk.store.runs.steps(run)] == [None, None]
    assert [step.name for step in await desk.store.runs.steps(turn)] == [None, LOOK.name]


async def test_nobody_looks_after_what_a_run_waited_for_that_is_over(desk: Desk) -> None:
    run, other = await waiting(desk), await waiting(desk)
    index = "SELECT run_id FROM call WHERE channel_id IS NOT NULL AND response_id IS NULL ORDER BY run_id"
    before = [row["run_id"] for row in await desk.rows(index)]

    await desk.store.turns.cancel(desk.caller, run)

    assert before == sorted([run, other])
    assert [row["run_id"] for row in await desk.rows(index)] == [other]


async def test_a_held_runs_request_is_read_once(desk: Desk) -> None:
    run = await waiting(desk)

    held = await desk.store.database.transact(partial(hold, run_id=run))

    assert held is not None
    assert held.asked.functions == (LOOK,)
    assert held.asked is held.asked
