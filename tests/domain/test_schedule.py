"""A schedule: what its owner may say, and what is understood."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.cron import Cron, read
from domain.errors import BadRequest
from domain.occurrences import following
from domain.schedule import PERIODS, WORDS, Every, Monthly, Once, Schedule, Timing, check_jitter, parse

DAY = 86_400


def told(schedule: str | None = None, zone: str | None = None, **timing: object) -> Schedule:
    return parse(Timing.model_validate({"schedule": schedule, "timezone": zone} | timing), "task_1")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # as many parts as it takes


def refusal(schedule: str | None = None, shortest: int = 60_000, **timing: object) -> str:
    with pytest.raises(BadRequest) as refused:
        parse(Timing.model_validate({"schedule": schedule} | timing), "task_1", shortest)
    return refused.value.message


@pytest.mark.parametrize("nothing", [None, "", "  ", "never"])
def test_never_an_empty_text_and_none_at_all_are_no_schedule(nothing: str | None) -> None:
    assert told(nothing) == Schedule()


def test_the_words_are_these() -> None:
    assert WORDS == (
        "never",
        "quarterhourly",
        "halfhourly",
        "hourly",
        "twicedaily",
        "daily",
        "twiceweekly",
        "weekly",
        "twicemonthly",
        "monthly",
    )


@pytest.mark.parametrize("word", PERIODS)
def test_a_word_is_a_place_in_its_period(word: str) -> None:
    rule = told(word).rule

    assert isinstance(rule, Every)
    assert rule.period == PERIODS[word]
    assert 0 <= rule.phase < rule.period


def test_monthly_is_a_place_in_the_first_28_days_of_each_month_and_twicemonthly_in_each_14_of_them() -> None:
    once, twice = told("monthly").rule, told("twicemonthly").rule

    assert isinstance(once, Monthly)
    assert isinstance(twice, Monthly)
    assert 0 <= once.slots[0] < 28 * DAY
    assert 0 <= twice.slots[0] < 14 * DAY
    assert twice.slots == (twice.slots[0], twice.slots[0] + 14 * DAY)


def test_tasks_have_places_of_their_own_and_keep_them() -> None:
    def phase(seed: str) -> int:
        rule = parse(Timing(schedule="hourly"), seed).rule
        assert isinstance(rule, Every)
        return rule.phase

    phases = [phase(f"task_{number}") for number in range(10_000)]

    assert phases == [phase(f"task_{number}") for number in range(10_000)]
    assert phase("task_1") == 2_717
    assert max(phases.count(second) for second in {*phases}) < 20


@pytest.mark.parametrize("text", ["7:05", "07:05", " 07:05 "])
def test_a_time_of_day_is_every_day_on_the_zones_clocks(text: str) -> None:
    assert told(text, "Europe/London") == Schedule(rule=read("5 7 * * *"), zone="Europe/London")


def test_five_fields_are_cron() -> None:
    assert told("0 7 * * 1-5", "Asia/Tokyo") == Schedule(rule=read("0 7 * * 1-5"), zone="Asia/Tokyo")


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2027-01-31", at(2027, 1, 31)),
        ("2027-01-31T09:30", at(2027, 1, 31, 9, 30)),
        ("2027-01-31 09:30:15", at(2027, 1, 31, 9, 30, 15)),
        ("2027-01-31T09:30:15.999Z", at(2027, 1, 31, 9, 30, 15)),
        ("2027-01-31t09:30:15z", at(2027, 1, 31, 9, 30, 15)),
        ("2027-01-31T09:30:15+02:00", at(2027, 1, 31, 7, 30, 15)),
        ("2027-01-31T09:30:15-0530", at(2027, 1, 31, 15, 0, 15)),
        ("Sun, 31 Jan 2027 09:30:15 +0200", at(2027, 1, 31, 7, 30, 15)),
        ("Sun, 31 Jan 2027 09:30:15 GMT", at(2027, 1, 31, 9, 30, 15)),
        ("31 Jan 2027 09:30 EST", at(2027, 1, 31, 14, 30)),
        ("31 Jan 2027 09:30 UT", at(2027, 1, 31, 9, 30)),
        ("31 Jan 2027 09:30 Z", at(2027, 1, 31, 9, 30)),
        ("31 Jan 2027 09:30 -0000", at(2027, 1, 31, 9, 30)),
        ("31 Jan 2027", at(2027, 1, 31)),
        ("1999-12-31", at(1999, 12, 31)),
        ("2028-02-29", at(2028, 2, 29)),
    ],
)
def test_a_date_is_once(text: str, instant: datetime) -> None:
    rule = told(text).rule

    assert rule == Once(at=instant, key=f"{instant:%Y-%m-%dT%H:%M:%SZ}")


def test_a_date_without_an_offset_is_on_the_zones_clocks() -> None:
    assert told("2027-01-31T09:30", "America/New_York").rule == Once(
        at=at(2027, 1, 31, 14, 30), key="2027-01-31T09:30:00[America/New_York]"
    )
    assert told("2027-01-31T09:30Z", "America/New_York").rule == Once(
        at=at(2027, 1, 31, 9, 30), key="2027-01-31T09:30:00Z"
    )


def test_a_date_that_the_clocks_leave_out_is_the_first_instant_after_and_one_that_comes_twice_the_first() -> (
    None
):
    left_out = told("2027-03-14T02:30", "America/New_York").rule
    twice = told("2027-11-07T01:30", "America/New_York").rule

    assert left_out == Once(at=at(2027, 3, 14, 7), key="2027-03-14T02:30:00[America/New_York]")
    assert twice == Once(at=at(2027, 11, 7, 5, 30), key="2027-11-07T01:30:00[America/New_York]")


@pytest.mark.parametrize(
    "text",
    [
        "Daily",
        "dailyy",
        "@daily",
        "2027-02-29",
        "2027-13-01",
        "2027-1-1",
        "20270101",
        "2027-01-01T24:00",
        "0001-01-01T00:00+14:00",
        "Ⅷ",
        "\0",
        "1:2",
        "07:05:00",
    ],
)
def test_what_is_none_of_these_is_refused_with_what_there_is(text: str) -> None:
    assert refusal(text).startswith("schedule: send one of never, quarterhourly,")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("24:00", "schedule: a time of day is 00:00 to 23:59."),
        ("12:60", "schedule: a time of day is 00:00 to 23:59."),
        ("2100-01-01", "schedule: a date is in 2099 at the latest."),
        ("31 Jan 2027 25:00", "schedule: a cron expression has 5 fields, this has 4."),
        ("0 0 30 2 *", "schedule: this would never run: field 3 (day of month) begins at 30"),
        ("0 0 * * 8", "schedule: field 5 (day of week): "),
        ("* " * 101, "schedule: longer than 200 characters."),
    ],
)
def test_what_cannot_be_is_refused_with_the_reason(text: str, sentence: str) -> None:
    assert refusal(text).startswith(sentence)


@pytest.mark.parametrize(
    "zone", ["Mars/X", "europe/london", "localtime", "Factory", "../UTC", "+02:00", "\0", "UTC "]
)
def test_a_zone_is_an_iana_name_to_the_letter(zone: str) -> None:
    assert refusal("daily", timezone=zone) == "timezone: send an IANA name like Europe/London."


@pytest.mark.parametrize("zone", [None, "", "UTC"])
def test_the_zone_is_utc_unless_one_is_named(zone: str | None) -> None:
    assert told("07:00", zone).zone == "UTC"


def test_every_is_a_period_in_milliseconds_with_a_place_of_its_own() -> None:
    rule = told(every=90_000).rule

    assert isinstance(rule, Every)
    assert rule.period == 90
    assert 0 <= rule.phase < 90


def test_every_counts_from_where_it_starts() -> None:
    start = datetime(2027, 1, 31, 9, tzinfo=timezone(timedelta(hours=2)))

    schedule = told(every=6 * 3_600_000, start_at=start)

    assert schedule.rule == Every(period=6 * 3_600, phase=3_600)
    assert schedule.start_at == start


@pytest.mark.parametrize("every", [0, -60_000, 60_500, 367 * DAY * 1_000, 10**18])
def test_every_is_whole_seconds_up_to_a_year(every: int) -> None:
    assert refusal(every=every) == "every: send whole seconds, in milliseconds, 31622400000 at most."


def test_nothing_runs_more_often_than_the_shortest_period() -> None:
    assert refusal(every=59_000) == "every: two runs are 60000 ms apart at least."
    assert refusal("*/5 * * * *", shortest=600_000) == "schedule: two runs are 600000 ms apart at least."
    assert refusal("quarterhourly", shortest=3_600_000) == "schedule: two runs are 3600000 ms apart at least."
    assert parse(Timing(every=2_000), "task_1", shortest=1_000).rule is not None


def test_a_schedule_and_a_period_are_one_too_many() -> None:
    assert refusal("daily", every=60_000) == "every: there is a schedule too; send one of the two."
    assert refusal("never", every=60_000) == "every: there is a schedule too; send one of the two."
    assert told("", every=60_000).rule is not None


def test_an_end_before_the_start_is_refused() -> None:
    assert refusal("daily", start_at=at(2027, 1, 2), end_at=at(2027, 1, 1)) == "endAt: lies before startAt."


@pytest.mark.parametrize("year", [1970, 1999, 2100, 9998])
def test_start_and_end_lie_in_the_years_that_a_schedule_knows(year: int) -> None:
    assert refusal("daily", start_at=at(year, 1, 2)) == "startAt: lies outside of the years 2000 to 2099."
    assert refusal("daily", end_at=at(year, 1, 2)) == "endAt: lies outside of the years 2000 to 2099."


PIECES = st.sampled_from(
    [
        "*",
        "/",
        "-",
        ",",
        " ",
        ":",
        "0",
        "7",
        "31",
        "60",
        "mon",
        "JAN",
        "2027-01-31",
        "T",
        "Z",
        "+00:00",
        "24",
        "\ud800",
    ]
)


@given(st.one_of(st.text(max_size=30), st.lists(PIECES, max_size=14).map("".join)))
def test_whatever_is_said_is_a_schedule_or_a_sentence(text: str) -> None:
    sentence, schedule = "schedule: none.", Schedule()
    try:
        schedule = told(text, "Europe/London")
    except BadRequest as refused:
        sentence = refused.message

    assert sentence.startswith("schedule: ")
    assert sentence.endswith(".")
    assert not isinstance(schedule.rule, Cron) or following(schedule, at(2020, 1, 1), 1)


@pytest.mark.parametrize(
    ("said", "most"),
    [
        ({"every": 60_000}, 60_000),
        ({"schedule": "* * * * *"}, 60_000),
        ({"schedule": "0,10 * * * *"}, 600_000),
        ({"schedule": "quarterhourly"}, 900_000),
        ({"schedule": "07:30"}, 86_400_000),
    ],
)
def test_a_run_may_be_put_off_until_the_next_is_due_and_no_longer(said: dict[str, Any], most: int) -> None:
    schedule = told(**said)

    check_jitter(schedule, most)
    with pytest.raises(BadRequest, match=f"jitter: two runs may be {most} ms apart"):
        check_jitter(schedule, most + 1)


@pytest.mark.parametrize("text", [None, "never", "monthly", "twicemonthly", "2027-01-31"])
def test_what_is_due_rarely_or_once_may_be_put_off_as_long_as_there_is(text: str | None) -> None:
    check_jitter(told(text), 3_600_000)
