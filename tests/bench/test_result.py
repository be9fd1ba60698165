"""The result file and the page of the benchmark: strict, and never of two minds."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from bench import page
from bench.__main__ import MEASUREMENTS
from bench.bench import Amount
from bench.report import Row
from bench.result import RESULT, dumped, loaded, renewed
from tests.house import ROOT

SCHEMA = json.loads(RESULT.with_name("result.schema.json").read_text())
JUDGE = Draft202012Validator(SCHEMA)


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def committed() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(RESULT.read_text())
    return found


def test_the_result_satisfies_its_schema() -> None:
    assert [*JUDGE.iter_errors(committed())] == []


def test_the_page_is_made_from_the_result_byte_for_byte() -> None:
    assert page.renewed(page.PAGE.read_text(), RESULT.read_text()) == page.PAGE.read_text()


def test_the_result_is_of_a_whole_run() -> None:
    assert committed()["measured"] == [*MEASUREMENTS]
    assert committed()["amount"] == asdict(Amount())


def test_what_the_result_tells_beside_its_rounds_follows_from_them() -> None:
    assert dumped(loaded(RESULT.read_text())) == RESULT.read_text()


def test_what_is_measured_apart_brings_its_amounts_and_changes_no_others() -> None:
    report, later = loaded(RESULT.read_text()), loaded(RESULT.read_text())
    report.amount.pop("tasks", None)
    later.measured, later.amount = ["tasks"], {**later.amount, "tasks": 7, "rounds": 99}

    renewed(report, later, "then")

    assert (report.amount["tasks"], report.amount["rounds"]) == (7, asdict(Amount())["rounds"])
    assert (report.measured[-1], report.renewed["tasks"]) == ("tasks", "then")


def test_another_result_changes_only_what_stands_between_the_markers() -> None:
    report = loaded(RESULT.read_text())
    report.rows = [Row("nothing but this", None, most=1)]

    changed = page.renewed(page.PAGE.read_text(), dumped(report))

    for marker, side in ((page.BEGIN, 0), (page.END, 2)):
        assert changed.partition(marker)[side] == page.PAGE.read_text().partition(marker)[side]
    assert "| nothing but this |" in changed


@pytest.mark.parametrize("marker", [page.BEGIN, page.END])
def test_a_page_that_lost_a_marker_is_not_written(marker: str) -> None:
    with pytest.raises(ValueError, match="marker"):
        page.renewed(page.PAGE.read_text().replace(marker, ""), RESULT.read_text())


@pytest.mark.parametrize(
    "spoil",
    [
        lambda found: found.update(more=1),
        lambda found: found.pop("before"),
        lambda found: found.update(seconds="long"),
        lambda found: found.update(others=1.5),
        lambda found: found["before"].pop(),
        lambda found: found["measured"].append("something"),
        lambda found: found["rows"][0].update(unit="ms"),
        lambda found: found["rows"][0].update(met=1),
        lambda found: found["rows"][0]["ours"].pop("rounds"),
        lambda found: found["rows"][0]["ours"].update(rounds=[]),
        lambda found: found["machine"]["versions"].pop("Python"),
        lambda found: found["cpu"]["blocking"].pop("all"),
        lambda found: found["peak"].update(api=True),
    ],
)
def test_the_schema_refuses_whatever_it_does_not_know(spoil: Callable[[dict[str, Any]], None]) -> None:
    found = committed()
    spoil(found)

    assert not JUDGE.is_valid(found)


@pytest.mark.slow
def test_a_run_of_one_measurement_writes_its_result_where_it_is_told_and_nowhere_else(tmp_path: Path) -> None:
    before, file = (RESULT.read_text(), page.PAGE.read_text()), tmp_path / "result.json"
    command = [sys.executable, "-m", "bench", "--quick", "--only", "latency", "--json", str(file)]

    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=280)

    assert ran.returncode == 0, ran.stderr
    assert JUDGE.is_valid(json.loads(file.read_text()))
    assert json.loads(file.read_text())["measured"] == ["latency"]
    assert "added to the first token, p50, ms" in ran.stdout
    assert (RESULT.read_text(), page.PAGE.read_text()) == before
