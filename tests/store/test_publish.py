"""Publishes and the runs that are to take them: each is taken once, and none is lost between two runs."""

from __future__ import annotations

import asyncio

import asyncpg

from domain import ids
from domain.accept import Work
from domain.completion import Usage
from domain.run import Answer, Asked
from domain.toolbox import Asking
from domain.tools import Function
from tests.house import eventually
from tests.store.conftest import Desk, caller, grip, key

SAID = Answer(text="done", reason="stop", usage=Usage(), model="m")


async def naming(desk: Desk, channel: str) -> str:
    """A run with a function that is answered on a channel."""
    function = Function(name="f", description="d", parameters={}, kind="channel", channel=channel)
    work = Work(
        run_id=ids.run(),
        caller=caller(desk.account),
        lane="interactive",
        key=key(),
        asked=Asked(text="hello", functions=(function,)),
        conversation_id=await desk.conversation(),
        channel=ids.channel(),
    )
    return (await desk.store.accept.run(work)).run.id


async def waiting(desk: Desk, channel: str) -> str:
    """One whose call waits there."""
    run = await naming(desk, channel)
    await desk.taken(run)
    call = Asking(name="f", arguments={}, kind="channel", channel=channel)
    said = Answer(text="", reason="calls", usage=Usage(), model="m", calls=(call,))
    await desk.store.steps.answer(grip(run), said, [])
    return run


async def publish(desk: Desk, channel: str, word: str) -> None:
    await desk.store.channels.publish(desk.caller, channel, key(), {"result": word})


async def untaken(desk: Desk, channel: str) -> list[str]:
    rows = await desk.rows(
        "SELECT e.data FROM event e JOIN channel c ON c.id = e.channel_id "
        "WHERE c.name = $1 AND e.seq > c.taken ORDER BY e.seq",
        channel,
    )
    return [row["data"] for row in rows]


async def test_a_publish_repeated_before_it_was_taken_is_there_once(desk: Desk) -> None:
    channel = ids.channel()
    await waiting(desk, channel)

    for _ in range(3):
        await publish(desk, channel, "yes")

    assert await untaken(desk, channel) == ['{"result":"yes"}']


async def test_the_same_word_for_two_calls_that_wait_is_two(desk: Desk) -> None:
    channel = ids.channel()
    for _ in range(2):
        await waiting(desk, channel)

    for _ in range(3):
        await publish(desk, channel, "yes")

    assert await untaken(desk, channel) == ['{"result":"yes"}'] * 2


async def test_two_looks_at_once_take_a_publish_once(desk: Desk) -> None:
    channel = ids.channel()
    runs = [await waiting(desk, channel) for _ in range(2)]
    await publish(desk, channel, "one")

    looked = await asyncio.gather(*(desk.store.waits.look(run) for run in runs * 3))

    assert sorted({one.result.left for one in looked}) == [0, 1]
    assert await untaken(desk, channel) == []


async def test_what_a_run_leaves_stays_for_another_that_has_just_named_the_channel(
    desk: Desk, url: str
) -> None:
    channel = ids.channel()
    first = await naming(desk, channel)
    await desk.taken(first)
    # The end of the first run has to wait for a publish; meanwhile a second run names the channel.
    publisher = await asyncpg.connect(url)
    holding = publisher.transaction()
    await holding.start()
    await publisher.execute("SELECT FROM channel WHERE name = $1 FOR NO KEY UPDATE", channel)
    ending = asyncio.create_task(desk.store.steps.answer(grip(first), SAID, []))

    async def waits() -> None:
        assert await desk.rows("SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'")

    await eventually(waits)
    await naming(desk, channel)
    await publisher.execute(
        "WITH place AS (UPDATE channel SET seq = seq + 1 WHERE name = $1 RETURNING id, seq) "
        "INSERT INTO event (channel_id, seq, step, attempt, type, data) "
        "SELECT id, seq, 0, 0, 'published', '{}' FROM place",
        channel,
    )
    await holding.commit()
    await ending
    await publisher.close()

    assert await untaken(desk, channel) == ["{}"]
