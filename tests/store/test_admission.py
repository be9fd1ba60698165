"""Admission: who may begin, under the caps and in turn."""

from __future__ import annotations

import asyncio
import json

import pytest

from domain.run import Lane
from store import Caps, Store
from store.queries import load
from tests.store.conftest import Desk, caller, key

COMING = Caps().background // 8

# Waiting runs, half of them stateless, the others four to a conversation.
# $1 account, $2 the first number, $3 the last, $4 a channel.
_CROWD = """
INSERT INTO run (id, account_id, kind, lane, conversation_id, accepted_seq, channel_id, workflow_id,
                 fingerprint, keyed)
SELECT 'run_' || account || n, account, CASE WHEN n % 2 = 0 THEN 'turn' ELSE 'completion' END,
       CASE WHEN n % 3 = 0 THEN 'interactive' ELSE 'background' END,
       CASE WHEN n % 2 = 0 THEN 'conv_' || account || n / 8 END, CASE WHEN n % 2 = 0 THEN n END, $4, 'w',
       '', false
FROM (SELECT $1::text AS account) AS one, generate_series($2::int, $3::int) AS n
"""


async def capped(desk: Desk, everyone: int = 500, account: int = 250, background: int = 64) -> Desk:
    """The desk again, in a process with other caps."""
    return Desk(await Store.open(desk.store.database.url, Caps(everyone, account, background)), desk.account)


async def active(desk: Desk) -> list[str]:
    found = await desk.rows("SELECT id FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL")
    return [row["id"] for row in found]


async def test_a_run_that_meets_no_limit_is_admitted_as_it_is_accepted(desk: Desk) -> None:
    accepted = await desk.accept(await desk.conversation())

    assert accepted.run.admitted_at is not None


async def test_what_was_accepted_is_started_by_one_worker(desk: Desk) -> None:
    conversation = await desk.conversation()
    runs = [(await desk.accept(place)).run.id for place in (conversation, conversation, None)]

    claims = await asyncio.gather(*(desk.store.looks.accepted() for _ in range(8)))

    assert sorted(plan.run_id for claim in claims for plan in claim) == sorted([runs[0], runs[2]])


async def test_who_admits_a_run_starts_it(desk: Desk) -> None:
    conversation = await desk.conversation()
    first, second = [(await desk.accept(conversation)).run.id for _ in range(2)]
    await desk.store.looks.accepted()

    stopped = await desk.store.turns.cancel(desk.caller, first)

    assert stopped.start is not None
    assert stopped.start.run_id == second
    assert await desk.store.looks.accepted() == []


async def test_one_run_of_a_conversation_is_admitted_at_a_time(desk: Desk) -> None:
    conversation = await desk.conversation()

    accepted = await asyncio.gather(*(desk.accept(conversation) for _ in range(10)))

    assert len([one for one in accepted if one.run.admitted_at]) == 1
    assert sorted(one.run.accepted_seq or 0 for one in accepted) == [*range(1, 11)]
    assert await desk.store.admission.admit() == []


async def test_a_full_account_does_not_keep_another_waiting(desk: Desk) -> None:
    small = await capped(desk, account=2)
    other = await desk.store.accounts.create("another account")
    for _ in range(62):
        await small.accept()
    waiting = (await small.accept(lane="background", account=other)).run.id
    await desk.rows("UPDATE run SET admitted_at = NULL WHERE id = $1", waiting)

    admitted = await small.store.admission.admit()

    assert [plan.run_id for plan in admitted] == [waiting]
    await small.store.close()


async def test_the_end_of_a_run_admits_the_next_of_its_conversation(desk: Desk) -> None:
    conversation = await desk.conversation()
    runs = [(await desk.accept(conversation)).run.id for _ in range(3)]

    stopped = await desk.store.turns.cancel(desk.caller, runs[0])

    assert stopped.start is not None
    assert stopped.start.run_id == runs[1]
    assert await active(desk) == [runs[1]]


@pytest.mark.parametrize(
    ("caps", "lane", "admitted"),
    [
        ({"everyone": 2}, "interactive", 2),
        ({"account": 3}, "interactive", 3),
        ({"background": 1}, "background", 1),
        ({"background": 1}, "interactive", 5),
    ],
)
async def test_no_more_runs_than_the_caps_say_are_at_work(
    desk: Desk, caps: dict[str, int], lane: Lane, admitted: int
) -> None:
    small = await capped(desk, **caps)

    for _ in range(5):
        await small.accept(await small.conversation(), lane)
    await small.store.admission.admit()

    assert len(await active(small)) == admitted
    first = (await active(small))[0]
    await small.store.turns.cancel(desk.caller, first)
    await small.store.admission.admit()
    assert len(await active(small)) == min(admitted, 4)
    await small.store.close()


async def test_accounts_are_admitted_in_turn_however_much_one_of_them_asks(desk: Desk) -> None:
    closed, open_ = await capped(desk, everyone=0), await capped(desk, everyone=4)
    other = await desk.store.accounts.create("another")
    for _ in range(6):
        await closed.accept()
    late = [(await closed.accept(account=other)).run.id for _ in range(2)]

    admitted = [plan.run_id for plan in await open_.store.admission.admit()]

    assert len(admitted) == 4
    assert {*late} <= {*admitted}
    await closed.store.close()
    await open_.store.close()


async def test_those_whom_somebody_waits_for_come_first(desk: Desk) -> None:
    closed, open_ = await capped(desk, everyone=0), await capped(desk, everyone=2)
    for _ in range(3):
        await closed.accept(lane="background")
    waited_for = [(await closed.accept()).run.id for _ in range(2)]

    admitted = [plan.run_id for plan in await open_.store.admission.admit()]

    assert admitted == waited_for
    await closed.store.close()
    await open_.store.close()


async def test_the_oldest_of_an_account_come_first(desk: Desk) -> None:
    closed, open_ = await capped(desk, everyone=0), await capped(desk, everyone=3)
    accepted = [(await closed.accept(await desk.conversation())).run.id for _ in range(5)]

    admitted = [plan.run_id for plan in await open_.store.admission.admit()]

    assert admitted == accepted[:3]
    await closed.store.close()
    await open_.store.close()


async def test_several_workers_that_admit_at_once_admit_every_run_once(desk: Desk) -> None:
    closed = await capped(desk, everyone=0)
    accepted = [(await closed.accept(await desk.conversation())).run.id for _ in range(20)]
    accepted += [(await closed.accept()).run.id for _ in range(20)]

    rounds = await asyncio.gather(*(desk.store.admission.admit() for _ in range(5)))

    admitted = [plan.run_id for plans in rounds for plan in plans]
    assert sorted(admitted) == sorted(accepted)
    await closed.store.close()


async def test_a_waiting_run_behind_another_is_no_head_of_a_line(desk: Desk) -> None:
    closed = await capped(desk, everyone=0)
    conversation = await desk.conversation()
    first, second = [(await closed.accept(conversation)).run.id for _ in range(2)]

    admitted = [plan.run_id for plan in await desk.store.admission.admit()]

    assert admitted == [first]
    assert second not in await active(desk)
    await closed.store.close()


async def test_an_account_with_nothing_at_work_comes_before_one_that_holds_many_places(desk: Desk) -> None:
    small = await capped(desk, background=24)
    other = await desk.store.accounts.create("another")
    first, *_ = [(await small.accept(lane="background")).run.id for _ in range(10)]
    late = (await small.accept(lane="background", account=other)).run.id

    await small.store.turns.cancel(desk.caller, first)
    admitted = [plan.run_id for plan in await small.store.admission.admit()]

    assert admitted == [late]
    await small.store.close()


async def test_the_last_places_are_left_to_an_account_that_waits(desk: Desk) -> None:
    small = await capped(desk, background=1)
    other = await desk.store.accounts.create("another")
    conversation = await small.conversation()
    first = (await small.accept(conversation, "background")).run.id
    waiting = (await small.accept(lane="background", account=other)).run.id
    second = (await small.accept(conversation, "background")).run.id

    stopped = await small.store.turns.cancel(desk.caller, first)
    newcomer = (await small.accept(lane="background")).run

    # Neither the next of the conversation nor who comes just now takes the place.
    assert stopped.start is None
    assert newcomer.admitted_at is None
    assert [plan.run_id for plan in await small.store.admission.admit()] == [waiting]
    await small.store.turns.cancel(caller(other), waiting)
    assert [plan.run_id for plan in await small.store.admission.admit()] == [second]
    await small.store.close()


async def test_an_account_that_got_a_place_goes_to_the_end_of_the_line(desk: Desk) -> None:
    small = await capped(desk, background=1)
    others = [await desk.store.accounts.create(str(n)) for n in range(2)]
    for _ in range(10):
        await small.accept(lane="background")
    for account in others:
        await small.accept(lane="background", account=account)

    served = []
    for _ in range(5):
        (run,) = await desk.rows(
            "SELECT id, account_id FROM run WHERE admitted_at IS NOT NULL AND ended_at IS NULL"
        )
        await small.store.turns.cancel(caller(run["account_id"]), run["id"])
        await small.store.admission.admit()
        served.append(run["account_id"])

    assert served == [desk.account, desk.account, *others, desk.account]
    await small.store.close()


async def test_somebody_waited_for_takes_a_place_at_once_where_there_are_plenty(desk: Desk) -> None:
    other = await desk.store.accounts.create("another")
    busy = await desk.store.conversations.create(caller(other), key(), {})
    waiting = [(await desk.accept(busy, account=other)).run for _ in range(3)]

    conversation = await desk.conversation()
    runs = [(await desk.accept(conversation)).run for _ in range(2)]
    stopped = await desk.store.turns.cancel(desk.caller, runs[0].id)

    assert [run.admitted_at is None for run in waiting] == [False, True, True]
    assert runs[0].admitted_at is not None
    assert stopped.start is not None


async def test_few_of_those_nobody_waits_for_are_on_their_way_at_once(desk: Desk) -> None:
    runs = [(await desk.accept(lane="background")).run for _ in range(20)]

    assert len(await active(desk)) == COMING
    assert await desk.store.admission.admit() == []
    await desk.taken(runs[0].id)
    assert [plan.run_id for plan in await desk.store.admission.admit()] == [runs[COMING].id]
    assert (await desk.accept()).run.admitted_at is not None


async def test_fewer_of_them_are_on_their_way_while_somebody_waited_for_is(desk: Desk) -> None:
    waited_for = (await desk.accept()).run.id
    for _ in range(20):
        await desk.accept(lane="background")

    assert len(await active(desk)) == 1 + COMING // 4
    await desk.taken(waited_for)
    assert len(await desk.store.admission.admit()) == COMING - COMING // 4


async def test_one_that_never_begins_keeps_its_place_on_the_way_for_a_while_only(desk: Desk) -> None:
    for _ in range(COMING):
        await desk.accept(lane="background")
    waiting = (await desk.accept(lane="background")).run

    await desk.rows(
        "UPDATE run SET admitted_at = admitted_at - interval '10 seconds' WHERE admitted_at IS NOT NULL"
    )

    assert [plan.run_id for plan in await desk.store.admission.admit()] == [waiting.id]


async def test_an_account_that_waits_in_one_lane_takes_no_places_of_the_other(desk: Desk) -> None:
    small = await capped(desk, everyone=4, background=1)
    other = await desk.store.accounts.create("another")
    for _ in range(3):
        await small.accept(lane="background", account=other)

    assert (await small.accept()).run.admitted_at is not None
    await small.store.close()


async def test_a_round_costs_by_who_waits_and_not_by_how_many_runs_do(desk: Desk) -> None:
    made = "INSERT INTO channel (account_id, name) VALUES ($1, 'a channel') RETURNING id"
    (channel,) = await desk.rows(made, desk.account)
    accounts = [await desk.store.accounts.create(str(n)) for n in range(20)]

    costs = []
    for first, last in ((1, 100), (101, 1_000)):
        for account in accounts:
            await desk.rows(_CROWD, account, first, last, channel["id"])
        await desk.rows("ANALYZE run")
        costs.append(await cost(desk))

    assert costs[1] < 2 * costs[0]


async def cost(desk: Desk) -> int:
    """Pages of the database that a round looks at to find fifty who may begin."""
    async with desk.store.database.connection() as connection:
        query = load("admission")["waiting"]
        (told,) = await connection.fetch(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}", 50, *Caps())
    (plan,) = json.loads(told[0])
    assert plan["Plan"]["Actual Rows"] == 50
    return int(plan["Plan"]["Shared Hit Blocks"] + plan["Plan"]["Shared Read Blocks"])
