"""A cron expression: what its fields say, and where it is wrong."""

from __future__ import annotations

from datetime import date
from itertools import islice

import pytest

from domain.cron import Cron, daily, read
from domain.errors import BadRequest


def days(text: str, begin: date, count: int, step: int = 1) -> list[str]:
    return [str(day) for day in islice(read(text).dates(begin, step), count)]


def test_the_fields_are_minute_hour_day_of_month_month_and_day_of_week() -> None:
    assert read("1 2 3 4 5") == Cron(
        minutes=(1,), hours=(2,), days=(3,), months=(4,), weekdays=(5,), both=False, wild=False
    )


@pytest.mark.parametrize(
    ("field", "minutes"),
    [
        ("7", (7,)),
        ("1-4", (1, 2, 3, 4)),
        ("3,1,3", (1, 3)),
        ("*/20", (0, 20, 40)),
        ("10-30/10", (10, 20, 30)),
        ("5-5/10", (5,)),
        ("50/5", (50, 55)),
        ("0-2,58-59", (0, 1, 2, 58, 59)),
        ("*/90", (0,)),
        ("007", (7,)),
    ],
)
def test_a_field_is_a_list_of_numbers_ranges_and_steps(field: str, minutes: tuple[int, ...]) -> None:
    assert read(f"{field} * * * *").minutes == minutes


def test_months_and_weekdays_have_names_however_they_are_written() -> None:
    cron = read("0 7 * jan,MAR-May,12 Mon-fri")

    assert (cron.months, cron.weekdays) == ((1, 3, 4, 5, 12), (1, 2, 3, 4, 5))


@pytest.mark.parametrize("field", ["0", "7", "sun", "SUN", "0,7"])
def test_sunday_is_0_and_7(field: str) -> None:
    assert read(f"0 0 * * {field}").weekdays == (0,)


def test_a_range_of_weekdays_can_end_with_sunday() -> None:
    assert read("0 0 * * 5-7").weekdays == (0, 5, 6)


def test_a_day_matches_by_its_date_or_its_weekday() -> None:
    assert days("0 12 1,15 * 1", date(2027, 3, 1), 6) == [
        "2027-03-01",
        "2027-03-08",
        "2027-03-15",
        "2027-03-22",
        "2027-03-29",
        "2027-04-01",
    ]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("0 0 * * 1", ["2027-03-01", "2027-03-08"]),
        ("0 0 10 * *", ["2027-03-10", "2027-04-10"]),
        # Steps begin with a star too, as in Debian's cron.
        ("0 0 */2 * 1", ["2027-03-01", "2027-03-15"]),
        ("0 0 1-7 * */7", ["2027-03-07", "2027-04-04"]),
    ],
)
def test_a_day_matches_by_both_where_one_begins_with_a_star(text: str, found: list[str]) -> None:
    assert days(text, date(2027, 3, 1), 2) == found


def test_rare_days_are_found_in_both_directions() -> None:
    assert days("0 0 29 2 *", date(2027, 1, 1), 3) == ["2028-02-29", "2032-02-29", "2036-02-29"]
    assert days("0 0 31 1,2 *", date(2027, 1, 30), 2, -1) == ["2026-01-31", "2025-01-31"]
    # A 29 February that is a Sunday, across a century that has none.
    assert days("0 0 29 2 */7", date(2060, 3, 1), 1) == ["2088-02-29"]


@pytest.mark.parametrize(
    ("text", "wild"), [("0 * * * *", True), ("0 */2 * * *", True), ("* 0-23 * * *", False)]
)
def test_an_hour_is_wild_if_it_begins_with_a_star(text: str, wild: bool) -> None:
    assert read(text).wild is wild


def test_every_day_at_a_time_is_an_expression_too() -> None:
    assert daily(7, 5) == read("5 7 * * *")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("* * * * *", 60),
        ("0 0 * * *", 86_400),
        ("0 1,23 * * *", 7_200),
        ("0,50 * * * *", 600),
        ("7 7 1 1 *", 86_400),
    ],
)
def test_how_close_two_runs_can_be_is_told(text: str, seconds: int) -> None:
    assert read(text).closest == seconds


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("60 * * * *", 'field 1 (minute): "60" is no number from 0 to 59.'),
        ("* 24 * * *", 'field 2 (hour): "24" is no number from 0 to 23.'),
        ("* * 0 * *", 'field 3 (day of month): "0" is no number from 1 to 31.'),
        ("* * * 13 *", 'field 4 (month): "13" is no number from 1 to 12, or jan to dec.'),
        ("* * * * 8", 'field 5 (day of week): "8" is no number from 0 to 7, or sun to sat.'),
        ("* * * * monday", 'field 5 (day of week): "monday"'),
        ("mon * * * *", 'field 1 (minute): "mon"'),
        ("-1 * * * *", 'field 1 (minute): ""'),
        ("1- * * * *", 'field 1 (minute): ""'),
        ("1,,2 * * * *", 'field 1 (minute): ""'),
        ("1-2-3 * * * *", 'field 1 (minute): "2-3"'),
        ("*-5 * * * *", 'field 1 (minute): "*"'),
        ("1.5 * * * *", 'field 1 (minute): "1.5"'),
        ("\u0661 * * * *", 'field 1 (minute): "\u0661"'),
        ("99999999999 * * * *", 'field 1 (minute): "99999999999"'),
        ("*/0 * * * *", 'field 1 (minute): "0" is no step'),
        ("*/ * * * *", 'field 1 (minute): "" is no step'),
        ("*/2/3 * * * *", 'field 1 (minute): "2/3" is no step'),
        ("* 9-5 * * *", 'field 2 (hour): "9-5" ends before it begins'),
        ("* * * * fri-mon", 'field 5 (day of week): "fri-mon" ends before it begins'),
        ("* * L * *", 'field 3 (day of month): "l"'),
        ("* * ? * *", 'field 3 (day of month): "?"'),
        ("* * * * 1#2", 'field 5 (day of week): "1#2"'),
        ("* * * *", "has 5 fields, this has 4"),
        ("0 * * * * *", "has 5 fields, this has 6"),
        ("0 0 30 2 *", "would never run: field 3 (day of month) begins at 30, which no month of field 4 has"),
        ("0 0 31 2,4,6,9,11 *", "would never run"),
        ("0 0 31 4 */2", "would never run"),
    ],
)
def test_what_is_wrong_is_refused_with_the_place(text: str, where: str) -> None:
    with pytest.raises(BadRequest) as refused:
        read(text)

    assert where in refused.value.message


def test_a_day_that_no_month_has_is_no_matter_beside_a_weekday() -> None:
    assert days("0 0 30 2 1", date(2027, 2, 1), 2) == ["2027-02-01", "2027-02-08"]
