"""Waits: a publish answers one call once, whoever looks at the same time, and whatever else ends then."""

from __future__ import annotations

import asyncio

from domain.events import TERMINAL
from domain.toolbox import Asking
from tests.store.agents import ONE, ability, asking, holding, on, publish, results, states, taken, types
from tests.store.conftest import Desk, key

CHANNEL = "channel-of-the-tests"
DELAY = Asking(name="_delay", arguments={"seconds": 60}, kind="settle", wait_seconds=60)


async def untaken(desk: Desk, channel: str = CHANNEL) -> int:
    rows = await desk.rows(
        "SELECT FROM event e JOIN channel c ON c.id = e.channel_id "
        "WHERE c.name = $1 AND e.type = 'published' AND e.seq > c.taken",
        channel,
    )
    return len(rows)


async def due(desk: Desk, run: str) -> None:
    """The time of everything it waits for is up."""
    await desk.rows(
        "UPDATE call SET deadline = clock_timestamp() WHERE run_id = $1 AND deadline > now()", run
    )


async def test_two_looks_at_once_take_one_publish_once(desk: Desk) -> None:
    for _ in range(10):
        run = await asking(desk, on(CHANNEL), on(CHANNEL))
        await publish(desk, CHANNEL, "one")

        looked = await asyncio.gather(*(desk.store.waits.look(run) for _ in range(4)))

        assert [one.result.left for one in looked] == [1] * 4
        assert await results(desk, run) == ["one"]
        assert (await types(desk, run)).count("waitForChannelMessageEnd") == 1
        await desk.store.turns.cancel(desk.caller, run)


async def test_a_publish_that_races_with_a_look_is_taken_then_or_later_and_once(desk: Desk) -> None:
    for n in range(10):
        run = await asking(desk, on(CHANNEL))

        await asyncio.gather(
            desk.store.waits.look(run), publish(desk, CHANNEL, n), desk.store.waits.look(run)
        )
        last = await desk.store.waits.look(run)

        assert last.result.left == 0
        assert await results(desk, run) == [n]
        assert await untaken(desk) == 0
        await desk.store.turns.cancel(desk.caller, run)


async def test_what_was_published_is_taken_in_its_order_by_calls_in_theirs(desk: Desk) -> None:
    run = await asking(desk, on(CHANNEL, "first"), on(CHANNEL, "second"))
    for result in ("one", "two", "three"):
        await publish(desk, CHANNEL, result)

    await desk.store.waits.look(run)

    assert await results(desk, run) == ["one", "two"]
    assert await untaken(desk) == 1


async def test_of_two_runs_that_wait_on_one_channel_one_has_the_publish(desk: Desk) -> None:
    for _ in range(10):
        runs = [await asking(desk, on(CHANNEL)) for _ in range(2)]
        await publish(desk, CHANNEL, "one")

        looked = await asyncio.gather(*(desk.store.waits.look(run) for run in runs))

        assert sorted(one.result.left for one in looked) == [0, 1]
        assert [result for run in runs for result in await results(desk, run)] == ["one"]
        for run in runs:
            await desk.store.turns.cancel(desk.caller, run)


async def test_of_a_publish_and_the_end_of_the_time_at_once_one_answers(desk: Desk) -> None:
    for n in range(10):
        run = await asking(desk, on(CHANNEL))

        # Each says something else: the same again within 10 s, where nobody waits, is taken for a repeat.
        await asyncio.gather(due(desk, run), publish(desk, CHANNEL, f"{n}"), desk.store.waits.look(run))
        await desk.store.waits.look(run)

        (result,) = await results(desk, run)
        late = result != f"{n}"
        assert not late or result.startswith("no_message_received")
        # What came too late is the next wait's, and goes with the run.
        assert await untaken(desk) == int(late)
        await desk.store.turns.cancel(desk.caller, run)
        assert await untaken(desk) == 0


async def test_of_a_cancel_and_a_look_at_once_nothing_is_half_done(desk: Desk) -> None:
    for _ in range(10):
        run = await asking(desk, on(CHANNEL))
        await publish(desk, CHANNEL, "one")

        await asyncio.gather(desk.store.turns.cancel(desk.caller, run), desk.store.waits.look(run))

        told, answered = await types(desk, run), len(await results(desk, run))
        assert len([one for one in told if one in TERMINAL]) == 1
        assert told.count("waitForChannelMessageEnd") == answered
        assert await states(desk, run) == ["done", "done" if answered else "failed"]
        assert await untaken(desk) == 0


async def test_of_an_abort_and_a_cancel_at_once_one_ends_the_run(desk: Desk) -> None:
    for _ in range(5):
        run = await asking(desk, on(CHANNEL))
        await desk.store.channels.publish(desk.caller, CHANNEL, key(), {"abort": True})

        await asyncio.gather(desk.store.turns.cancel(desk.caller, run), desk.store.waits.look(run))

        told = await types(desk, run)
        assert (told.count("abort"), told.count("result")) == (1, 1)


async def test_what_a_run_leaves_goes_with_it_unless_another_run_may_take_it(desk: Desk) -> None:
    one, other = await asking(desk, on(CHANNEL)), await asking(desk, on(CHANNEL))
    for result in ("one", "two"):
        await publish(desk, CHANNEL, result)

    await desk.store.turns.cancel(desk.caller, one)
    kept = await untaken(desk)
    await desk.store.turns.cancel(desk.caller, other)

    assert (kept, await untaken(desk)) == (2, 0)


async def test_a_run_is_parked_when_it_only_waits_and_not_while_a_call_is_made(desk: Desk) -> None:
    run = await asking(desk, ability(), on(CHANNEL), DELAY)
    parked = []
    for answered in (False, True):
        if answered:
            await desk.store.calls.answer((await taken(desk, holding(run))).grip, ONE)
        looked = (await desk.store.waits.look(run)).result
        (row,) = await desk.rows("SELECT parked_at IS NOT NULL AS parked FROM run WHERE id = $1", run)
        parked.append((looked.left, row["parked"]))
        assert 50 < looked.seconds <= 60

    assert parked == [(2, False), (2, True)]


async def test_a_delay_is_over_when_its_time_is_up_and_not_before(desk: Desk) -> None:
    run = await asking(desk, DELAY)

    before = (await desk.store.waits.look(run)).result
    await due(desk, run)
    after = (await desk.store.waits.look(run)).result

    assert (before.left, after.left) == (1, 0)
    assert await results(desk, run) == ["The delay is over."]
