"""The comparison of schedules with the oracle: what it goes over, and that it notices."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from bench import schedules
from bench.schedules import Outcome, compare, look, windows


def test_an_expression_on_the_wall_is_compared_over_ten_years_and_a_wild_one_beside_changes() -> None:
    (begin, end), *others = windows("Europe/London", "30 2 * * *")
    assert (begin.year, end.year, others) == (2026, 2036, [])

    lengths = [end - begin for begin, end in windows("Europe/London", "30 * * * *")]
    assert lengths == [timedelta(days=31), *[timedelta(days=8)] * 20]


def test_all_zones_are_compared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "YEARS", range(2028, 2030))

    outcome = compare(("0 0 29 2 *",))

    assert outcome.names > 500
    assert outcome.windows == outcome.clocks == outcome.instants
    assert outcome.wrong == []
    assert "green" in outcome.text()


def test_a_difference_is_red() -> None:
    outcome = Outcome()

    # The oracle goes on where our schedules end.
    look(outcome, "UTC", "0 0 1 1 *", (datetime(2098, 6, 1, tzinfo=UTC), datetime(2102, 6, 1, tzinfo=UTC)))

    assert outcome.wrong == [
        "`0 0 1 1 *` in UTC between 2098-06-01 00:00:00+00:00 and 2102-06-01 00:00:00+00:00"
    ]
    assert "red" in outcome.text()
