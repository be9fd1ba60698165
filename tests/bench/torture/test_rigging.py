"""What the torture puts into the product still finds its places there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bench.torture.clients import EVENTS, MIX, Client
from bench.torture.faults import fill
from bench.torture.points import POINTS, find
from bench.torture.sabotages import SABOTAGES
from bench.torture.scenarios import SCENARIOS
from tests.house import ROOT


@pytest.mark.parametrize("name", POINTS)
def test_a_failpoint_is_at_a_place_that_exists(name: str) -> None:
    owner, function = find(POINTS[name].place)

    assert callable(getattr(owner, function))
    assert POINTS[name].by in ("deaf", "outage", "upkeep", "vanished") or hasattr(Client, POINTS[name].by)


def test_every_sabotage_still_finds_what_it_takes_out() -> None:
    every = "from bench.torture.sabotages import SABOTAGES\nfor one in SABOTAGES.values(): one.commit()"

    done = subprocess.run(
        [sys.executable, "-c", every], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr


def test_every_sabotage_names_a_scenario_and_every_scenario_catches_one() -> None:
    assert {sabotage.scenario for sabotage in SABOTAGES.values()} == set(SCENARIOS)


def test_the_clients_can_do_all_that_is_in_their_mix() -> None:
    assert all(callable(getattr(Client, name)) for name in {**MIX, **EVENTS})


def test_the_product_knows_nothing_of_failpoints_and_sabotage() -> None:
    rooms = ("api", "workflows", "activities", "store", "domain", "deploy")
    files = [file for room in rooms for file in (ROOT / room).rglob("*.py")]
    files += [ROOT / f"{name}.py" for name in ("worker", "starter", "sweeper", "settings")]

    assert [file for file in files if "FAILPOINT" in (text := file.read_text()) or "SABOTAGE" in text] == []


def test_a_disk_that_is_full_ends_the_filling() -> None:
    """A fault that raises leaves the disk full for all who come after."""
    fill(Path("/dev/full"))
