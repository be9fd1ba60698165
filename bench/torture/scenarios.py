"""Directed scenarios: each does exactly what one safety is there for."""

from __future__ import annotations

import asyncio
import itertools
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from functools import partial
from typing import Any

from bench.torture import faults
from bench.torture.equipment import ONCE
from bench.torture.evidence import plans
from bench.torture.history import Op
from bench.torture.scenery import armed, end_in_time, gone, keep_away, let_back, over, shown
from bench.torture.ship import WORKERS
from bench.torture.stage import Stage
from bench.torture.tasks import OWN
from bench.torture.trigger_scenarios import TRIGGER_SCENARIOS
from bench.torture.waiting import until

LONG: Any = {"pace": 100, "length": 100}
QUICK: Any = {"pace": 0, "length": 20}
"""As words.Manner has it."""
_PARKED = "SELECT id FROM run WHERE parked_at IS NOT NULL"
_TOLD = "SELECT id FROM task WHERE id = $1 AND untold_at IS NULL"
_RAN = "SELECT key FROM occurrence WHERE task_id = $1 AND state = 'ran'"


async def frozen_worker(stage: Stage) -> None:
    """The only worker is frozen in mid-stream; it wakes up while another one speaks in its place."""
    ship = stage.ship
    first, *others = WORKERS
    keep_away(ship, others)
    op = stage.client.op("stream", await stage.place(), **LONG)
    listening = stage.begin(op)
    await stage.heard(op, 8)
    ship.send(first, signal.SIGSTOP)
    let_back(ship, others)
    await stage.must("another attempt speaks", lambda: _attempts(op) > 1, 40)
    ship.send(first, signal.SIGCONT)
    await listening


async def same_key(stage: Stage) -> None:
    """One call many times at once, under one key."""
    place = await stage.place()
    sent, asked = (stage.client.op(kind, place, **QUICK) for kind in ("send", "complete"))
    for op, how in ((sent, "send"), (asked, "complete")):
        op.keyed = True
        await asyncio.gather(*(stage.client.ask_turn(op, how) for _ in range(10)))


async def killed_after_the_answer(stage: Stage) -> None:
    """The API is killed the moment it has acknowledged a message."""
    for _ in range(3):
        place = await stage.place()
        ops = [stage.one.op("send", place, **QUICK) for _ in range(20)]
        for op in ops:
            op.keyed = False
        tasks = [asyncio.create_task(stage.one.ask_turn(op, "send")) for op in ops]
        await stage.must("a message is acknowledged", partial(_any_ok, ops), 10)
        stage.ship.strike("api")
        await asyncio.gather(*tasks)
        await stage.ship.ready("api")


async def nobody_listens(stage: Stage) -> None:
    """After every connection to Postgres was lost, streams flow again: not in steps of a second."""
    await faults.cut_every_connection(stage.ship, stage.ship.chance)
    await asyncio.sleep(2)
    ops = [stage.client.op("stateless", pace=40, length=100) for _ in range(3)]
    await asyncio.gather(*(stage.begin(op) for op in ops))
    steps = [_steps(stage.talk.times[op.id]) for op in ops]
    if min(steps) >= 3:
        stage.wrong.append(f"streams stood still for most of a second {steps} times")


async def late_start(stage: Stage) -> None:
    """A worker is frozen before it starts a plan, and wakes up when another one has done so long ago."""
    ship = stage.ship
    first, *others = WORKERS
    keep_away(ship, others)
    await armed(stage, first, "start.before:1:stop")
    asking = stage.begin(stage.client.op("stateless", **QUICK))
    await stage.must("the worker is frozen", ship.hits.exists, 20)
    let_back(ship, others)
    if not await over(stage, stage.runs_before + 1, 30):
        stage.wrong.append("nobody else started the plan")
    ship.send(first, signal.SIGCONT)
    await asking
    for _ in range(20):
        executions, _open = await plans(ship)
        if max(executions.values()) > 1:
            return
        await asyncio.sleep(0.2)


async def while_temporal_is_dead(stage: Stage) -> None:
    ship = stage.ship
    ship.hold("temporal", 4)
    ship.strike("temporal")
    asking = [asyncio.create_task(stage.client.stateless()) for _ in range(6)]
    await end_in_time(stage, runs=6)
    await gone(*asking)


async def quick_answers(stage: Stage) -> None:
    """Answers that are over before their first words are logged."""
    place = await stage.place()
    ops = [stage.client.op("stream", place, **QUICK) for _ in range(4)]
    ops += [stage.client.op("stateless", **QUICK) for _ in range(4)]
    await asyncio.gather(*(stage.begin(op) for op in ops))


async def failing_model(stage: Stage) -> None:
    """A model that never answers fails its run in the end."""
    op = stage.client.op("stateless", trouble="status=500")
    op.keyed = True
    asking = asyncio.create_task(stage.client.stateless_asked(op))
    await end_in_time(stage, runs=1)
    await gone(asking)


async def line_of_turns(stage: Stage) -> None:
    """Six turns of one conversation at once."""
    place = await stage.place()
    ops = [stage.client.op("complete", place, pace=20, length=20) for _ in range(6)]
    await asyncio.gather(*(stage.client.ask_turn(op, "complete") for op in ops))


async def stopped_with_the_lock(stage: Stage) -> None:
    """An API is stopped inside the transaction that has locked a conversation."""
    place = await stage.place()
    await armed(stage, "api", "accept.in_transaction:1:stop")
    stopped, other = (client.op("complete", place, **QUICK) for client in (stage.one, stage.other))
    # Without a key the other one would take its first refusal for an end.
    stopped.keyed = other.keyed = True
    asking = asyncio.create_task(stage.one.ask_turn(stopped, "complete"))
    await stage.must("the API is frozen", stage.ship.hits.exists, 10)
    calling = asyncio.create_task(stage.other.ask_turn(other, "complete"))
    if not await until(calling.done, 15):
        stage.wrong.append(f"{place} could not be used for 15 s: a stopped process holds it")
    stage.ship.send("api", signal.SIGCONT)
    await asyncio.gather(asking, calling)


async def killed_in_mid_stream(stage: Stage) -> None:
    op = stage.client.op("stream", await stage.place(), pace=100, length=60)
    listening = stage.begin(op)
    await stage.heard(op, 12)
    for name in WORKERS:
        stage.ship.strike(name)
    await listening


async def deleted_in_mid_stream(stage: Stage) -> None:
    await asyncio.gather(*(stage.client.deleted() for _ in range(3)))


async def more_than_may_wait(stage: Stage) -> None:
    """Several turns are refused, and none of them leaves anything."""
    if all(op.outcome == "ok" for op in await stage.client.pressed()):
        stage.wrong.append("nobody was refused")


async def token_of_a_deleted_conversation(stage: Stage) -> None:
    for _ in range(2):
        await stage.client.outlived()


async def stateless_and_answered(stage: Stage) -> None:
    for _ in range(3):
        await stage.client.stateless()
        await stage.client.stateless_streamed()


async def killed_in_a_call(stage: Stage) -> None:
    """Every worker is killed when a tool has done what may be done once only, and has not said so yet."""
    calling = asyncio.create_task(stage.client.call_once("pay", "slow=3000"))
    await _at_work(stage, ONCE, 20)
    for name in WORKERS:
        stage.ship.strike(name)
    await calling


async def two_on_one_channel(stage: Stage) -> None:
    """Agents that wait for the same publishes; each of these is for one of them."""
    for _ in range(2):
        await stage.client.answered_together()


async def published_and_killed(stage: Stage) -> None:
    """The API is killed when a publish is there and nobody has told the plan that waits for it."""
    await armed(stage, "api", "publish.committed:1:kill")
    op = stage.one.asking()
    listening = asyncio.create_task(stage.one.begin(op))
    await shown(stage, "a run is parked", _PARKED, 20)
    telling = asyncio.create_task(stage.one.say(op.channel or "", keyed=True))
    await end_in_time(stage, runs=1)
    # The API is only just back.
    await gone(listening, telling, seconds=2 if stage.wrong else 30)


async def killed_after_a_decision(stage: Stage) -> None:
    """The only worker is killed when it is decided what becomes of a time, and its plan does not know."""
    ship = stage.ship
    first, *others = WORKERS
    keep_away(ship, others)
    await armed(stage, first, "fire.committed:1:kill")
    task = await stage.client.save({"every": 2_000, "overlap": "allow_all", **OWN})
    await stage.must("a time is decided", ship.hits.exists, 20)
    let_back(ship, others)
    await stage.client.pause(task)
    if not await over(stage, stage.runs_before + 1, 10):
        stage.wrong.append("a run has no end after 10 s")


async def schedule_that_vanished(stage: Stage) -> None:
    """Temporal loses a schedule before it is due; a round of upkeep finds what nobody has fired."""
    at = datetime.fromtimestamp(int(time.time()) + 5, UTC)
    task = await stage.client.save({"schedule": f"{at:%Y-%m-%dT%H:%M:%SZ}", "overlap": "skip"})
    await shown(stage, "Temporal is told", _TOLD, 4, task.made)
    await stage.ship.lose_schedule(task.made or "")
    await asyncio.sleep(max(at.timestamp() + 1 - time.time(), 0))
    await stage.ship.tidy()
    await shown(stage, "the time has its run", _RAN, 12, task.made)
    if not stage.wrong:
        await over(stage, stage.runs_before + 1, 15)


Scenario = Callable[[Stage], Awaitable[None]]

SCENARIOS: dict[str, Scenario] = {
    "a frozen worker wakes up": frozen_worker,
    "the same key many times": same_key,
    "killed after the answer": killed_after_the_answer,
    "nobody listens": nobody_listens,
    "a late start": late_start,
    "accepted while Temporal is dead": while_temporal_is_dead,
    "quick answers": quick_answers,
    "a model that never answers": failing_model,
    "a line of turns": line_of_turns,
    "stopped with the lock": stopped_with_the_lock,
    "killed in mid-stream": killed_in_mid_stream,
    "deleted in mid-stream": deleted_in_mid_stream,
    "more turns than may wait": more_than_may_wait,
    "the token of a deleted conversation": token_of_a_deleted_conversation,
    "stateless and answered": stateless_and_answered,
    "killed in a call": killed_in_a_call,
    "two agents on one channel": two_on_one_channel,
    "published and killed": published_and_killed,
    "killed after a decision": killed_after_a_decision,
    "a schedule that vanished": schedule_that_vanished,
    **TRIGGER_SCENARIOS,
}


def _attempts(op: Op) -> int:
    """How often its model was heard to begin, the last time with some words."""
    events = [kind for heard in op.heard for _, kind, _ in heard]
    begun = events.count("completeBegin")
    return begun if events[-3:] == ["token"] * 3 else min(begun, 1)


def _any_ok(ops: list[Op]) -> bool:
    return any(op.outcome == "ok" for op in ops)


def _steps(times: list[float]) -> int:
    """How often a stream stood still for most of a second."""
    return sum(after - before > 0.7 for before, after in itertools.pairwise(times))


async def _at_work(stage: Stage, tool: str, seconds: float) -> None:
    """Returns once a tool whose name ends so has done something."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if any(name.endswith(tool) for name in await stage.ship.tool_calls()):
            return
        await asyncio.sleep(0.05)
    stage.wrong.append(f"no tool was called within {seconds:.0f} s")
