"""Cron as cronsim has it: 300 drawn zones, expressions and days, mostly beside a change of the clocks."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim

from domain import zones
from domain.cron import read
from domain.occurrences import between, find
from domain.schedule import Timing, parse
from tests import oracle

SEED, CASES = 20270314, 300
YEARS = range(2025, 2036)
ALL_ZONES = sorted(available_timezones() - zones.NOT_ZONES)


@cache
def drawn() -> list[tuple[str, str, datetime]]:
    """Zone, expression and the middle of four days."""
    chance = random.Random(SEED)
    cases: list[tuple[str, str, datetime]] = []
    while len(cases) < CASES:
        zone = chance.choice(ALL_ZONES)
        changes = [change.at for year in YEARS for change in zones.changes(zone, year)]
        some = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(minutes=chance.randrange(10 * 365 * 24 * 60))
        # Most zones never change their clocks: few of those will do.
        if changes or chance.random() < 0.1:
            cases.append((zone, chance.choice(oracle.EXPRESSIONS), chance.choice(changes or [some])))
    return cases


def test_what_is_due_is_what_cronsim_says() -> None:
    wrong = []
    for zone, text, middle in drawn():
        after, until = middle - timedelta(days=2), middle + timedelta(days=2)
        found = [one.at for one in between(parse(Timing(schedule=text, timezone=zone), "x"), after, until)]

        if found != sorted(found) or sorted({*found}) != oracle.due(text, zone, after, until):
            wrong.append((zone, text, middle))

    assert wrong == []


def test_each_wall_that_an_expression_names_is_one_occurrence() -> None:
    wrong = []
    for zone, text, middle in drawn():
        if read(text).wild:
            continue
        tz = ZoneInfo(zone)
        after, until = (zones.shown(middle + days, tz) for days in (-timedelta(days=2), timedelta(days=2)))
        schedule = parse(Timing(schedule=text, timezone=zone), "x")
        found = [*between(schedule, zones.first(after, tz), zones.first(until, tz))]
        walls = []
        for wall in CronSim(text, after):
            if wall > until:
                break
            walls.append(f"{wall:%Y-%m-%dT%H:%M:%S}")

        if [one.key[:19] for one in found] != walls or any(find(schedule, one.key) != one for one in found):
            wrong.append((zone, text, middle))

    assert wrong == []
