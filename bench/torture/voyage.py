"""One torture from beginning to end: sail, break things under load, come to rest, look what is left."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.machine import load
from bench.torture import evidence, remains, stuck
from bench.torture.clients import Client
from bench.torture.faults import DISK_FULL, FAULTS, Fault
from bench.torture.history import History
from bench.torture.invariants import INVARIANTS
from bench.torture.nemesis import MEASURED, Nemesis
from bench.torture.points import Effect
from bench.torture.report import Report, complaints
from bench.torture.sabotages import SABOTAGES
from bench.torture.scenarios import SCENARIOS
from bench.torture.ship import APIS, Ship
from bench.torture.stage import staged
from bench.torture.sweep import Sweep, chosen
from bench.torture.talk import Talk

CLIENTS = 6
WARM = 2.0
LAST_OPS = 160.0
"""Seconds that clients get to finish what they have begun: more than one operation may take."""
REST = 120.0
"""Seconds until everything must be over."""
SWEEP = 0.3
"""The share of the time for the failpoints."""
ASHORE = 45.0
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


class Voyage:
    def __init__(self, home: Path, plan: Plan) -> None:
        self.plan = plan
        self.report = Report(plan.seed, plan.sabotage)
        rigging = {"SABOTAGE": plan.sabotage} if plan.sabotage else {}
        self.ship = Ship(home, plan.seed, **rigging)
        self.history = History(home / "history.jsonl")
        self._chance = random.Random(plan.seed)

    async def run(self) -> Report:
        began = time.monotonic()
        try:
            await self.ship.sail()
            await self._sail_on()
        finally:
            await self.ship.sink()
            self.history.close()
            self.report.seconds = time.monotonic() - began
            self.report.load = load()
        return self.report

    async def _sail_on(self) -> None:
        fresh = remains.sizes(self.ship)
        if self.plan.sabotage and (sql := SABOTAGES[self.plan.sabotage].sql):
            await self.ship.tell_postgres(sql)
        await self._directed()
        if not self.report.broken and (self.plan.chaos or self.plan.points):
            await self._loaded()
        await self._check(fresh)
        self._measure_progress()

    async def _directed(self) -> None:
        for number, name in enumerate(self.plan.scenarios, 1):
            async with staged(self.ship, self.history, self.plan.seed, f"s{number}") as stage:
                await SCENARIOS[name](stage)
            self.report.scenarios.append(name)
            self.report.broken += complaints(name, stage.wrong)

    async def _loaded(self) -> None:
        """Clients at work while failpoints and faults come upon them."""
        over, seed = asyncio.Event(), self.plan.seed
        addresses = [self.ship.address(name) for name in APIS]
        async with Talk(addresses, self.ship.key, self._chance) as talk:
            clients = [Client(f"c{n}", talk, self.history, seed) for n in range(CLIENTS)]
            working = [asyncio.create_task(client.run(over)) for client in clients]
            await asyncio.sleep(WARM)
            await self._break(talk)
            over.set()
            _, waiting = await asyncio.wait(working, timeout=LAST_OPS)
            for client in waiting:
                client.cancel()
        if waiting:
            self.report.broken.append(f"{len(waiting)} clients wait for an answer after {LAST_OPS:.0f} s")

    async def _break(self, talk: Talk) -> None:
        plan, began = self.plan, time.monotonic()
        leaders = [Client(f"leader{n}", talk, self.history, plan.seed) for n in range(3)]
        sweep = Sweep(self.ship, leaders, self._chance)
        await sweep.run(plan.points, began + plan.seconds * (SWEEP if plan.chaos else 1))
        self.report.reached, self.report.missed = sweep.reached, sweep.missed
        if plan.chaos:
            watcher = Client("watcher", talk, self.history, plan.seed)
            nemesis = Nemesis(self.ship, watcher, talk, self._chance, _faults(plan), measured=_share(plan))
            self.report.faults = nemesis.suffered
            await nemesis.run(began + plan.seconds)
        await sweep.rest()

    async def _check(self, fresh: remains.Sizes) -> None:
        report, ship = self.report, self.ship
        self._note("comes to rest", await stuck.quiet(ship, self._rest))
        report.count(self.history.ops)
        raised = ship.hits.read_text().count(" raise ") if ship.hits.exists() else 0
        found = await evidence.gathered(ship, self.history, raised)
        report.runs = dict(Counter(run["state"] for run in found.runs.values()))
        for invariant in INVARIANTS:
            self._note(invariant.__name__.replace("_", " "), list(invariant(found)))
        if report.broken and self.plan.sabotage:
            return
        await remains.forgotten(ship)
        self._note("forgotten words are gone", await remains.of_words(ship, self.history))
        self._note("nothing has grown", await remains.of_growth(ship, fresh))

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
        if not plan.chaos:
            return
        runs, broken = sum(report.runs.values()), len(report.faults) + len(report.reached)
        least_runs, least_faults = plan.minutes * 65, plan.minutes * 20 / 3
        if runs < least_runs:
            report.short.append(f"{runs} runs; at least {least_runs:.0f} are needed")
        if broken < least_faults:
            report.short.append(f"{broken} faults; at least {least_faults:.0f} are needed")
        kinds = {fault.name for fault in FAULTS} - {suffered.name for suffered in report.faults}
        if kinds and plan.minutes > 5 and not plan.fault:
            report.short.append(f"never broken: {', '.join(sorted(kinds))}")


def _faults(plan: Plan) -> tuple[Fault, ...]:
    faults = (*FAULTS, DISK_FULL) if plan.disk else FAULTS
    return tuple(fault for fault in faults if plan.fault in ("", fault.name))


def _share(plan: Plan) -> float:
    """Of the faults that are measured."""
    return 1.0 if plan.fault else MEASURED


def planned(minutes: float, seed: int, sabotage: str, only: str, disk: bool) -> Plan:
    """What the words of a command line come to. Raises LookupError for a name that is not there."""
    chance = random.Random(seed)
    if sabotage:
        return Plan(minutes, seed, sabotage, (SABOTAGES[sabotage].scenario,), chaos=False)
    if only in SCENARIOS:
        return Plan(minutes, seed, scenarios=(only,), chaos=False)
    if only == "points":
        return Plan(minutes, seed, points=chosen(chance, third=None), chaos=False)
    if only in {"chaos", DISK_FULL.name, *(fault.name for fault in FAULTS)}:
        return Plan(minutes, seed, fault=only.removeprefix("chaos"), disk=disk)
    if only:
        matching = [point for point in chosen(chance, third=None) if point[0] == only]
        if not matching:
            raise LookupError(only)
        return Plan(minutes, seed, points=matching, chaos=False)
    long = minutes > 5
    scenarios = tuple(SCENARIOS) if long else ()
    points = chosen(chance, third=None if long else seed % 3)
    return Plan(minutes, seed, scenarios=scenarios, points=points, disk=disk)
