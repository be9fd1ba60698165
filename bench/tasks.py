"""Saved tasks: how fast they are made and listed, and how late those begin that are due in one second."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence

import asyncpg

from bench.bench import Bench
from bench.callers import BadAnswer, said
from bench.figures import Figure, figure, millis, percentile
from bench.report import Row

CALLERS = 16
SELDOM = "monthly"
"""When the many are due: four in a quarter of an hour, so that they are there and do not work."""
DUE = 50
SOON = 10.0
"""Seconds ahead that these are due: by then they are made, and Temporal is told and at rest."""
AGAIN = 3_600_000
"""Milliseconds until they are due once more; by then they are gone."""
LATE = 60.0
"""Seconds that all of them may take to begin, once due."""
TOLD = 60.0
"""Seconds from the first of the many on: what Temporal is not told by then is not waited for."""
GONE = 30.0
"""Seconds in which they are removed again; what there is no time for goes with the house."""
LOOK = 0.25
PAGE = 100
TEXT = said(5)
_UNTOLD = "SELECT count(*) FROM task WHERE untold_at IS NOT NULL"


async def measure(bench: Bench) -> None:
    """First the few, for Temporal is busy with the many for longer than they are made."""
    amount, made = bench.amount, list[str]()
    late = [await _due(bench) for _ in range(amount.repeats)]
    began = time.perf_counter()
    try:
        rates = [await _make(bench, made, amount.tasks // amount.rounds) for _ in range(amount.rounds)]
        pages = [await _list(bench, len(made)) for _ in range(amount.repeats)]
        told = await _told(bench, len(made), began)
    finally:
        await _remove(bench, made)
    _report_late(bench, late)
    _report(bench, len(made), pages, (figure(rates), figure([told])))


def _report_late(bench: Bench, late: Sequence[Sequence[float]]) -> None:
    for share, what in ((0.5, "p50"), (0.95, "p95"), (1.0, "the last")):
        name = f"{DUE} tasks due in one second: from due to begun, {what}, ms"
        bench.report.rows.append(Row(name, _at(late, share)))


def _report(
    bench: Bench,
    count: int,
    pages: Sequence[Sequence[float]],
    rates: tuple[Figure | None, Figure | None],
) -> None:
    rows, meanwhile, (made, told) = bench.report.rows, "while Temporal is told", rates
    rows.append(Row(f"{count:,} tasks: made a second", made, note=f"{CALLERS} callers, {meanwhile}"))
    for share in (0.5, 0.95):
        name = f"{count:,} tasks: a page of {PAGE}, p{share * 100:.0f}, ms"
        rows.append(Row(name, _at(pages, share), note=f"one after another, {meanwhile}"))
    rows.append(Row(f"{count:,} tasks: told to Temporal a second", told, note=f"in the first {TOLD:.0f} s"))


def _at(rounds: Sequence[Sequence[float]], share: float) -> Figure | None:
    return figure([millis(percentile(one, share)) for one in rounds])


async def _make(bench: Bench, made: list[str], count: int) -> float:
    """Tasks a second."""
    began = time.perf_counter()

    async def one(number: int) -> None:
        given = {"name": f"task {number}", "description": TEXT, "schedule": SELDOM}
        made.append(await bench.ours.task(given))

    await _together(range(count), one)
    return count / (time.perf_counter() - began)


async def _told(bench: Bench, count: int, began: float) -> float:
    """Schedules a second, from the first task that was made on."""
    connection, left = await asyncpg.connect(bench.house.database_url), 0
    try:
        while left := await connection.fetchval(_UNTOLD):
            if time.perf_counter() - began > TOLD:
                break
            await asyncio.sleep(LOOK)
    finally:
        await connection.close()
    told: int = count - left
    return told / (time.perf_counter() - began)


async def _list(bench: Bench, count: int) -> list[float]:
    """Seconds for each page of all tasks."""
    took, cursor, seen = list[float](), "", 0
    while True:
        began = time.perf_counter()
        items, cursor = await bench.ours.tasks(PAGE, cursor)
        if not items:
            break
        took.append(time.perf_counter() - began)
        seen += len(items)
    if seen < count:
        raise BadAnswer(f"{seen} tasks are listed, and {count} were made")
    return took


async def _due(bench: Bench) -> list[float]:
    """Seconds from the moment they were due until each had begun."""
    due, made = math.ceil(time.time() + SOON), list[str]()
    given = {"description": TEXT, "every": AGAIN, "startAt": due * 1000}

    async def one(number: int) -> None:
        made.append(await bench.ours.task({"name": f"due {number}", **given}))

    await _together(range(DUE), one)
    if time.time() > due - 1:
        raise BadAnswer(f"{DUE} tasks were not made within {SOON:.0f} s")
    await asyncio.sleep(due - time.time())
    begun = dict[str, float]()

    async def look(task: str) -> None:
        if (at := await bench.ours.begun(task)) is not None:
            begun[task] = at - due

    async with asyncio.timeout(LATE):
        while waiting := [task for task in made if task not in begun]:
            await asyncio.sleep(LOOK)
            await _together(waiting, look)
    await _remove(bench, made)
    return list(begun.values())


async def _remove(bench: Bench, made: Sequence[str]) -> None:
    ends = time.monotonic() + GONE

    async def one(task: str) -> None:
        if time.monotonic() < ends:
            await bench.ours.remove_task(task)

    await _together(made, one)


async def _together(some: Iterable[object], work: Callable[..., Awaitable[None]]) -> None:
    """All of them, by so many callers, each of whom asks again when answered."""
    line: Iterator[object] = iter(some)

    async def caller() -> None:
        for one in line:
            await work(one)

    await asyncio.gather(*(caller() for _ in range(CALLERS)))
