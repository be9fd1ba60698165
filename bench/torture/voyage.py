"""One torture from beginning to end: sail, break things under load, come to rest, look what is left."""

from __future__ import annotations

import asyncio
import random
import time
import traceback
from argparse import Namespace
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.machine import load
from bench.torture import cargo, evidence, remains, stuck
from bench.torture.clients import Client
from bench.torture.evidence import Evidence
from bench.torture.faults import DISK_FULL, FAULTS, Fault
from bench.torture.follower import Follower, following
from bench.torture.history import History
from bench.torture.invariants import INVARIANTS
from bench.torture.nemesis import MEASURED, Nemesis
from bench.torture.points import POINTS, Effect
from bench.torture.report import Report, complaints
from bench.torture.sabotages import SABOTAGES
from bench.torture.scenarios import SCENARIOS
from bench.torture.ship import APIS, WORKERS, Ship
from bench.torture.stage import staged
from bench.torture.sweep import Sweep, chosen
from bench.torture.talk import Talk

CLIENTS, SOURCES = 6, 2
WARM = 2.0
LAST_OPS = 160.0
"""Seconds that clients get to finish what they have begun: more than one operation may take."""
SCENE = 120.0
"""Seconds that one scenario may take."""
REST = 120.0
"""Seconds until everything must be over."""
SWEEP = 0.3
"""The share of the time for the failpoints."""
TIMES = 60
"""How often in a minute a task is due at least: six are, every two or three seconds."""
EVENTS, RESULTS = 20, 20
"""In a minute: events of triggers that were taken, results that were delivered."""
ASHORE = 40.0
"""Seconds kept for boot, rest and check."""


@dataclass(frozen=True)
class Plan:
    """What is asked of a torture."""

    minutes: float
    seed: int
    sabotage: str = ""
    scenarios: Sequence[str] = ()
    points: Sequence[tuple[str, Effect]] = ()
    chaos: bool = True
    fault: str = ""
    """The only one, measured again and again."""
    disk: bool = False
    """Whether Postgres's data lies on a small file system of its own."""

    @property
    def seconds(self) -> float:
        return max(self.minutes * 60 - ASHORE, 5)

    @property
    def long(self) -> bool:
        """Whether there is time for everything."""
        return self.minutes > 5


class Voyage:
    def __init__(self, home: Path, plan: Plan) -> None:
        self.plan = plan
        self.report = Report(plan.seed, plan.sabotage)
        rigging = {"SABOTAGE": plan.sabotage} if plan.sabotage else {}
        self.ship = Ship(home, plan.seed, **rigging)
        self.history = History(home / "history.jsonl")

    def _chance(self, of: str) -> random.Random:
        """Each part's own, so that the timing of one does not change the choices of another."""
        return random.Random(f"{self.plan.seed}/{of}")

    async def run(self) -> Report:
        began = time.monotonic()
        try:
            await self.ship.sail()
            await cargo.load(self.ship, self.history)
            async with following(self.ship, self.history) as follower:
                await self._sail_on(follower)
        except Exception as trouble:
            self._broke_off(trouble)
        finally:
            await self.ship.sink()
            self.history.close()
            self.report.seconds = time.monotonic() - began
            self.report.load = load()
        return self.report

    def _broke_off(self, trouble: Exception) -> None:
        traceback.print_exc()
        self.report.broken.append(f"the torture itself broke off: {trouble!r}")

    async def _sail_on(self, follower: Follower) -> None:
        fresh = remains.sizes(self.ship)
        if self.plan.sabotage and (sql := SABOTAGES[self.plan.sabotage].sql):
            await self.ship.tell_postgres(sql)
        await self._directed()
        if not self.report.broken and (self.plan.chaos or self.plan.points):
            try:
                await self._loaded()
            except Exception as trouble:
                # What was done until then is looked at all the same.
                self._broke_off(trouble)
        await self._check(fresh, follower)
        self._measure_progress()

    async def _directed(self) -> None:
        for number, name in enumerate(self.plan.scenarios, 1):
            async with staged(self.ship, self.history, self.plan.seed, f"s{number}") as stage:
                try:
                    async with asyncio.timeout(SCENE):
                        await SCENARIOS[name](stage)
                except TimeoutError:
                    stage.wrong.append(f"it is not over after {SCENE:.0f} s")
            self.report.scenarios.append(name)
            self.report.broken += complaints(name, stage.wrong)

    async def _loaded(self) -> None:
        """Clients at work while failpoints and faults come upon them."""
        over, seed = asyncio.Event(), self.plan.seed
        addresses = [self.ship.address(name) for name in APIS]
        ship = self.ship
        async with Talk(addresses, ship.key, self._chance("talk"), ship.tools, ship.receiver) as talk:
            clients = [Client(f"c{n}", talk, self.history, seed) for n in range(CLIENTS)]
            owner = Client("owner", talk, self.history, seed)
            await owner.save_all()
            await owner.connect_all()
            work = [owner.change_now_and_then(over), *(client.run(over) for client in clients)]
            work += [Client(f"source{n}", talk, self.history, seed).post_all(over) for n in range(SOURCES)]
            working = [asyncio.create_task(one) for one in work]
            await asyncio.sleep(WARM)
            await self._break(talk)
            over.set()
            done, waiting = await asyncio.wait(working, timeout=LAST_OPS)
            for client in waiting:
                client.cancel()
            await owner.pause_all()
            await owner.calm()
        if waiting:
            self.report.broken.append(f"{len(waiting)} clients wait for an answer after {LAST_OPS:.0f} s")
        for client in done:
            client.result()

    async def _break(self, talk: Talk) -> None:
        plan, report, began = self.plan, self.report, time.monotonic()
        leaders = [Client(f"leader{n}", talk, self.history, plan.seed) for n in range(4)]
        sweep = Sweep(self.ship, leaders, self._chance("sweep"))
        await sweep.run(plan.points, began + plan.seconds * (SWEEP if plan.chaos else 1))
        report.reached, report.missed, report.untried = sweep.reached, sweep.missed, sweep.untried
        if plan.chaos:
            watcher = Client("watcher", talk, self.history, plan.seed)
            chance = self._chance("nemesis")
            nemesis = Nemesis(self.ship, watcher, talk, chance, _faults(plan), measured=_share(plan))
            report.faults = nemesis.suffered
            await nemesis.run(began + plan.seconds)
            await nemesis.rest(LAST_OPS)
            report.notes += nemesis.failed
        await sweep.rest(LAST_OPS)

    async def _check(self, fresh: remains.Sizes, follower: Follower) -> None:
        report, ship = self.report, self.ship
        began = time.monotonic()
        self._note("comes to rest", await stuck.quiet(ship, self._rest))
        report.notes.append(f"it came to rest in {time.monotonic() - began:.0f} s.")
        await remains.expired(ship)
        await follower.finish()
        report.count(self.history.ops)
        struck = ship.reached()
        raised = [line for line in struck if " raise " in line and POINTS[line.split()[0]].part == "api"]
        found = await evidence.gathered(ship, self.history, len(raised))
        report.runs = dict(Counter(run["state"] for run in found.runs.values()))
        report.due, report.posted, report.sent = _due(found), _posted(found), _sent(found)
        for invariant in INVARIANTS:
            self._note(invariant.__name__.replace("_", " "), list(invariant(found)))
        self._note("no words are outside of Postgres", await remains.outside(ship))
        if report.broken and self.plan.sabotage:
            return
        self._note("nobody ends by himself", self._deaths(len(struck)))
        await remains.forgotten(ship)
        self._note("forgotten words are gone", await remains.of_words(ship, self.history))
        self._note("nothing has grown", await remains.of_growth(ship, fresh))

    def _deaths(self, struck: int) -> list[str]:
        """Processes of ours that nobody ended: no more than failpoints may have."""
        ours = [name for name in self.ship.deaths if name in (*WORKERS, *APIS, "tools")]
        return [f"{name} ended" for name in ours[struck:]]

    @property
    def _rest(self) -> float:
        """Seconds until all must be over; what is broken already need not be waited for."""
        if self.report.broken:
            return 1
        return 15 if self.plan.sabotage else REST

    def _note(self, name: str, wrong: list[str]) -> None:
        self.report.held[name] = len(wrong)
        self.report.broken += complaints(name, wrong)

    def _measure_progress(self) -> None:
        """A torture in which little was done or broken proves little."""
        report, plan = self.report, self.plan
        if not plan.chaos or plan.fault:
            return
        done, broken = self._done(), len(report.faults) + len(report.reached)
        rates = (100, 250 / 30) if plan.long else (200 / 3, 20 / 3)
        due = sum(report.due.values()) - report.due.get("healed", 0)
        for what, count, least in (
            ("runs", done, rates[0]),
            ("faults", broken, rates[1]),
            ("times that a task was due", due, TIMES),
            ("events", report.posted.get("event", 0), EVENTS),
            ("results delivered", report.sent.get("delivered", 0), RESULTS),
        ):
            if count < least * plan.minutes:
                report.short.append(f"{count} {what}; at least {least * plan.minutes:.0f} are needed")
        kinds = {fault.name for fault in _faults(plan)} - {suffered.name for suffered in report.faults}
        if plan.long:
            report.short += [f"never broken: {kind}" for kind in sorted(kinds)]
            reached = {point.split(":")[0] for point in report.reached}
            report.short += [f"failpoint never reached: {name}" for name in sorted({*POINTS} - reached)]

    def _done(self) -> int:
        """Runs whose callers were told how they ended."""
        return len({op.run for op in self.history.ops if op.outcome == "ok" and op.run})


def _due(found: Evidence) -> dict[str, int]:
    """What became of the times that tasks were due."""
    rows = [row for of_task in found.ledger.values() for row in of_task.values()]
    became = Counter(row["state"] for row in rows)
    return dict(became) | {"healed": sum(row["healed"] for row in rows)}


def _posted(found: Evidence) -> dict[str, int]:
    """What set triggers off, by its source; and how often an answer named what was there already."""
    sources = Counter(row["source"] for row in found.received if row["run_id"] is not None)
    again = sum(bool(answer.get("duplicate")) for op in found.ops for answer in op.told)
    return dict(sources) | {"copies": again}


def _sent(found: Evidence) -> dict[str, int]:
    """What became of deliveries, and in how many attempts."""
    states = Counter(row["state"] for row in found.deliveries.values())
    return dict(states) | {"attempts": len(found.attempts)}


def _faults(plan: Plan) -> tuple[Fault, ...]:
    faults = (*FAULTS, DISK_FULL) if plan.disk else FAULTS
    return tuple(fault for fault in faults if plan.fault in ("", fault.name))


def _share(plan: Plan) -> float:
    """Of the faults that are measured."""
    return 1.0 if plan.fault else MEASURED


def planned(asked: Namespace, small_disk: bool) -> Plan:
    """What the words of a command line come to. Raises LookupError for a name that is not there."""
    chance, only = random.Random(asked.seed), asked.only
    plan = Plan(asked.minutes, asked.seed, disk=small_disk)
    if asked.sabotage:
        scenario = SABOTAGES[asked.sabotage].scenario
        return replace(plan, sabotage=asked.sabotage, scenarios=(scenario,), chaos=False, disk=False)
    if only in SCENARIOS:
        return replace(plan, scenarios=(only,), chaos=False, disk=False)
    if only in ("chaos", DISK_FULL.name, *(fault.name for fault in FAULTS)):
        return replace(plan, fault=only.removeprefix("chaos"))
    every = chosen(chance, third=None)
    if only:
        points = [point for point in every if only in ("points", point[0])]
        if not points:
            raise LookupError(only)
        return replace(plan, points=points, chaos=False, disk=False)
    if plan.long:
        return replace(plan, scenarios=tuple(SCENARIOS), points=every)
    return replace(plan, points=chosen(chance, third=asked.seed % 3))
