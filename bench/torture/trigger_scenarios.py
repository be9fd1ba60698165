"""Directed scenarios of triggers and deliveries."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from bench.torture.history import Op
from bench.torture.scenery import armed, keep_away, let_back, over
from bench.torture.ship import WORKERS
from bench.torture.signing import Source
from bench.torture.stage import Stage
from bench.torture.tasks import MAIL
from bench.torture.triggers import HEADER, OWN

COPIES = 50
SENT = 20.0
"""Seconds within which what was sent by a worker that died is sent by another."""
_PENDING = "SELECT id FROM delivery WHERE state = 'pending'"


async def one_event_many_times(stage: Stage) -> None:
    """Fifty copies of it at once, at every API."""
    source = await _connected(stage)
    op = stage.client.event(source)
    await asyncio.gather(*(stage.client.post(op) for _ in range(COPIES)))
    await _delivered(stage, runs=1)


async def events_of_one_key(stage: Stage) -> None:
    """Six events that go one after another."""
    source = await _connected(
        stage, verification={"preset": "standard-webhooks"}, orderingKey={"header": HEADER}
    )
    ops = list[Op]()
    for _ in range(6):
        ops.append(stage.client.event(source, "one"))
        await stage.client.post(ops[-1])
    await _delivered(stage, runs=len(ops))


async def results_to_deliver(stage: Stage) -> None:
    """Some, by webhook and by e-mail, to receivers that fail now and then."""
    source = await _connected(stage)
    ops = [stage.client.event(source) for _ in range(6)]
    await asyncio.gather(*(stage.client.post(op) for op in ops))
    await _delivered(stage, runs=len(ops))


async def killed_after_the_post(stage: Stage) -> None:
    """The only worker is killed when its receiver has taken a result, and nobody has noted it."""
    ship = stage.ship
    first, *others = WORKERS
    keep_away(ship, others)
    await armed(stage, first, "attempt.sent:1:kill")
    source = await _connected(stage)
    await stage.client.post(stage.client.event(source))
    await stage.must("a result is sent", ship.hits.exists, 20)
    let_back(ship, others)
    await _delivered(stage, runs=1)


Scenario = Callable[[Stage], Awaitable[None]]

TRIGGER_SCENARIOS: dict[str, Scenario] = {
    "one event many times": one_event_many_times,
    "events of one key": events_of_one_key,
    "results to deliver": results_to_deliver,
    "killed after the post": killed_after_the_post,
}


async def _connected(stage: Stage, **given: Any) -> Source:
    """A new trigger whose results go by webhook and by e-mail."""
    delivery = {"webhook": {"url": f"{stage.talk.sink}/scene"}, "email": {"to": [MAIL]}}
    return await stage.client.connect(
        {"verification": {"preset": "github"}, "delivery": delivery} | OWN | given
    )


async def _delivered(stage: Stage, runs: int) -> None:
    """Every run has an end, and nothing is on its way any more."""
    if not await over(stage, stage.runs_before + runs, SENT):
        stage.wrong.append(f"a run has no end after {SENT:.0f} s")
    for _ in range(int(SENT * 10)):
        if not await stage.ship.rows(_PENDING):
            return
        await asyncio.sleep(0.1)
    stage.wrong.append(f"a result is on its way after {SENT:.0f} s")
