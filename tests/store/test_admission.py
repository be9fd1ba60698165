"""Admission: who may begin, under the caps and in turn."""

from __future__ import annotations

import asyncio

import pytest

from domain.run import Lane
from store import Caps, Store
from tests.store.conftest import Desk


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
