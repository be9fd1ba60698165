"""Hearing a task across its runs: each line once, wherever a listener breaks off, however many there are."""

from __future__ import annotations

import random

import pytest

from domain.events import Event
from domain.heard import Heard
from store.feed import PAGE
from store.task_feed import AHEAD, Line, Look
from tests.executions import begun, done, failed, finish, new_execution, tell
from tests.store.conftest import Desk
from tests.tasks import new_task


class Listener:
    """Somebody who hears a task, and goes on after the last line that they have."""

    def __init__(self, desk: Desk, task: str, heard: Heard) -> None:
        self.desk = desk
        self.task = task
        self.heard = heard
        self.lines: list[Line] = []

    async def look(self, most: int | None = None) -> Look:
        """Hears what there is; with `most`, breaks off after so many lines."""
        look = await self.desk.store.task_feed.after(self.task, self.heard)
        assert look is not None
        taken = look.lines[:most]
        self.lines += taken
        whole = len(taken) == len(look.lines)
        place = look.heard if whole else taken[-1].heard if taken else self.heard
        self.heard = Heard.read(str(place))
        return look

    async def rest(self) -> None:
        while True:
            look = await self.look()
            if not look.lines and not look.more:
                return

    @property
    def told(self) -> list[Event]:
        return [Event(line.type, line.data) for line in self.lines]


async def listener(desk: Desk, task: str, newest: int = 0) -> Listener:
    return Listener(desk, task, await desk.store.task_feed.begin(desk.account, task, newest))


@pytest.mark.parametrize("seed", range(6))
async def test_each_line_is_heard_once_in_the_order_of_its_run_wherever_a_listener_breaks_off(
    desk: Desk, seed: int
) -> None:
    chance = random.Random(seed)
    task = await new_task(desk.store, desk.account)
    hears = await listener(desk, task)
    told: dict[str, list[Event]] = {}
    running: list[str] = []
    for n in range(80):
        act = chance.random()
        if act < 0.2 or not running:
            run = await new_execution(desk.store, task, chance.choice(("queued", "running")))
            told[run] = []
            running.append(run)
        elif act < 0.7:
            run = chance.choice(running)
            told[run] += [begun(run, n), done(run, n)]
            await tell(desk.store, run, *told[run][-2:])
        elif act < 0.85:
            run = running.pop(chance.randrange(len(running)))
            last = [failed(run)] if chance.random() < 0.5 else []
            told[run] += last
            await finish(desk.store, run, "failed" if last else "canceled", *last)
        else:
            await hears.look(chance.randrange(4))
    await hears.rest()

    assert {run: [event for event in hears.told if run in event.data] for run in told} == told
    assert len(hears.told) == sum(map(len, told.values()))


async def test_a_listener_hears_more_than_a_page_without_a_gap(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    hears = await listener(desk, task)
    runs = [await new_execution(desk.store, task, "running") for _ in range(3)]
    for run in runs:
        await tell(desk.store, run, *(begun(run, n) for n in range(PAGE // 2)))
    await finish(desk.store, runs[0])

    first = await hears.look()
    await hears.rest()

    assert (len(first.lines), first.more) == (PAGE, True)
    assert [event for run in runs for event in hears.told if run in event.data] == [
        begun(run, n) for run in runs for n in range(PAGE // 2)
    ]


async def test_lines_of_many_megabytes_come_in_pages(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    hears = await listener(desk, task)
    long = [Event("operationBegin", f'{{"n":{n},"text":"{"x" * 300_000}"}}') for n in range(3)]
    await new_execution(desk.store, task, told=long)

    pages = [len((await hears.look()).lines) for _ in range(4)]

    assert pages == [1, 1, 1, 0]
    assert hears.told == long


async def test_a_listener_goes_past_more_silent_runs_than_one_look_takes(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    hears = await listener(desk, task)
    for _ in range(AHEAD + 20):
        await new_execution(desk.store, task)
    await new_execution(desk.store, task, told=[begun("run_last")])

    looks = [await hears.look() for _ in range(2)]

    assert [(len(look.lines), look.more) for look in looks] == [(0, True), (1, False)]
    assert hears.told == [begun("run_last")]


async def test_its_place_is_short_when_nothing_goes_on(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    hears = await listener(desk, task)
    for n in range(40):
        await new_execution(desk.store, task, told=[begun(f"run_{n}"), done(f"run_{n}")])
    await hears.rest()

    assert len(hears.lines) == 80
    assert max(len(line.heard.parts) for line in hears.lines) == 1
    assert hears.heard.parts == {}


async def test_a_run_that_waits_behind_others_is_heard_when_it_begins(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    waits = await new_execution(desk.store, task, "queued")
    hears = await listener(desk, task)
    for n in range(3):
        await new_execution(desk.store, task, told=[begun(f"run_{n}")])
        await hears.look()
    await tell(desk.store, waits, begun(waits))
    await finish(desk.store, waits)
    await hears.rest()

    assert hears.told == [*(begun(f"run_{n}") for n in range(3)), begun(waits)]


@pytest.mark.parametrize("newest", [0, 1, 2, 3, 5, 1_000])
async def test_it_begins_with_the_newest_and_misses_nothing_of_what_goes_on(desk: Desk, newest: int) -> None:
    task = await new_task(desk.store, desk.account)
    old = await new_execution(desk.store, task, "running", told=[begun("run_old", 1), done("run_old", 1)])
    await new_execution(desk.store, task)
    await new_execution(desk.store, task, told=[begun("run_new", 1), done("run_new", 1)])
    past = [begun("run_old", 1), done("run_old", 1), begun("run_new", 1), done("run_new", 1)]

    hears = await listener(desk, task, newest)
    await tell(desk.store, old, begun("run_old", 2))
    await hears.rest()

    assert hears.told == [*past[max(len(past) - newest, 0) :], begun("run_old", 2)]


async def test_nothing_but_operations_and_failures_is_heard(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    hears = await listener(desk, task)
    run = await new_execution(desk.store, task, "running")
    other = [Event(kind, "{}") for kind in ("message", "usage", "token", "abort", "result", "completeBegin")]
    await tell(desk.store, run, *other, begun(run), *other)
    await finish(desk.store, run, "failed", failed(run))
    await hears.rest()

    assert hears.told == [begun(run), failed(run)]


async def test_there_is_nothing_to_hear_of_a_task_that_is_gone(desk: Desk) -> None:
    task = await new_task(desk.store, desk.account)
    await new_execution(desk.store, task, told=[begun("run_gone")])
    await desk.rows("DELETE FROM task WHERE id = $1", task)

    assert await desk.store.task_feed.after(task, Heard()) is None
