"""The arithmetic of the benchmark, and the table it ends in."""

from __future__ import annotations

import pytest

from bench.figures import Figure, figure, percentile, ratio
from bench.machine import Machine
from bench.report import Report, Row
from bench.table import text


def report(*rows: Row) -> Report:
    machine = Machine(2, "a processor", 8.0, "Linux", {"Python": "3"})
    return Report(machine, "2026-01-01 00:00 UTC", (0.1, 0.2, 0.3), ["latency"], {}, rows=list(rows))


def cells(row: Row) -> list[str]:
    """What the table says of one row."""
    line = next(line for line in text(report(row)).splitlines() if line.startswith(f"| {row.name}"))
    return [cell.strip() for cell in line.split("|")[1:-1]]


def test_a_figure_is_the_median_of_its_rounds_beside_the_least_and_the_most() -> None:
    found = figure([3.0, 1.0, 200.0])

    assert found is not None
    assert (found.median, found.low, found.high) == (3.0, 1.0, 200.0)


def test_a_measurement_without_rounds_is_no_figure() -> None:
    assert figure([]) is None


def test_rounds_are_compared_with_the_floor_of_the_same_round() -> None:
    assert ratio([10.0, 30.0], [20.0, 30.0]) == Figure((0.5, 1.0))


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.95, 95), (0.99, 99), (1, 100)])
def test_a_percentile_is_a_value_that_was_measured(share: float, value: float) -> None:
    assert percentile(range(100, 0, -1), share) == value


def test_the_table_shows_the_spread_of_ours_and_of_the_floor() -> None:
    row = Row("a row", figure([20.0, 22.0, 21.0]), floor=figure([24.0, 23.0]), least=1, note="why")

    assert cells(row) == ["a row", "21", "20…22", "-", "23.5", "23…24", "≥ 1", "yes", "why"]


@pytest.mark.parametrize(
    ("row", "met"),
    [
        (Row("an aim", figure([30.0, 34.0, 90.0]), most=35), "yes"),
        (Row("an aim", figure([30.0, 36.0, 90.0]), most=35), "**no**"),
        (Row("an aim", figure([0.99]), least=1), "**no**"),
        (Row("an aim", None, most=35), "**no**"),
        (Row("an aim", figure([1.0])), ""),
    ],
)
def test_an_aim_is_met_by_the_median_and_not_by_what_could_not_be_measured(row: Row, met: str) -> None:
    assert cells(row)[7] == met


def opening(others: float) -> str:
    found = report()
    found.after, found.seconds, found.others = (2.0, 1.0, 0.5), 12.0, others
    return text(found).splitlines()[0]


def test_the_first_line_tells_how_busy_the_machine_was_before_and_after() -> None:
    assert opening(others=0.04) == (
        "2026-01-01 00:00 UTC, 12 s; load average 0.10 0.20 0.30 before, 2.00 1.00 0.50 after; "
        "others used 4% of the machine meanwhile."
    )


def test_the_first_line_warns_when_others_have_been_measured_too() -> None:
    assert opening(others=0.39).endswith(
        "**others used 39% of the machine meanwhile: do not trust these figures**."
    )
