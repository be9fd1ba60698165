"""CI's share of the torture: three minutes of it, and one sabotage, both in turn from day to day."""

from __future__ import annotations

import datetime
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.torture.sabotages import SABOTAGES
from tests.house import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SEED = int(os.environ.get("TORTURE_SEED", datetime.datetime.now(datetime.UTC).date().toordinal()))
"""Another one every day; the report names it, and TORTURE_SEED repeats it."""
TODAY = sorted(SABOTAGES)[SEED % len(SABOTAGES)]


def torture(out: Path, *words: str) -> tuple[int, str]:
    """The exit status of the command, and its report."""
    told = [sys.executable, "-m", "bench.torture", "--seed", str(SEED), "--out", str(out), *words]
    done = subprocess.run(told, cwd=ROOT, capture_output=True, text=True, check=False)
    report = out / "report.md"
    return done.returncode, report.read_text() if report.exists() else done.stderr


def test_three_minutes_of_torture_break_no_promise(tmp_path: Path) -> None:
    status, report = torture(tmp_path, "--minutes", "3")

    assert status == 0, report


def test_the_scenario_that_catches_a_sabotage_is_green_without_it(tmp_path: Path) -> None:
    status, report = torture(tmp_path, "--only", SABOTAGES[TODAY].scenario)

    assert status == 0, report


def test_a_safety_that_is_taken_out_is_missed_at_once(tmp_path: Path) -> None:
    status, report = torture(tmp_path, "--sabotage", TODAY)

    assert status == 1, (TODAY, report)
    assert f"\n- {SABOTAGES[TODAY].seen_as}" in report
