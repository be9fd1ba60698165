"""Usage as the store counts it: by the clock of the database, from rows that stay."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from domain.completion import Usage
from domain.run import Answer
from domain.usage import SERIES_DAYS, Period, Used
from store import Store
from tests.house import minute_lasts
from tests.store.conftest import Desk, key


@pytest.fixture(autouse=True)
async def _in_one_hour() -> None:
    """No hour and no day ends in the middle of a test."""
    await minute_lasts()


async def answered(desk: Desk, tokens: int, conversation: str | None = None) -> str:
    """A run whose model used so many tokens."""
    run = (await desk.accept(conversation)).run.id
    taken = await desk.taken(run)
    usage = Usage(input_tokens=tokens - 1, output_tokens=1)
    await desk.store.steps.answer(taken.grip, Answer(text="x", reason="stop", usage=usage, model="m"), [])
    return run


async def moved(desk: Desk, run: str, moment: str) -> None:
    """As if the run had ended then; `moment` is SQL."""
    await desk.rows(f"UPDATE run SET ended_at = {moment} WHERE id = $1", run)  # noqa: S608 our own words


async def test_rows_of_conversations_that_are_gone_are_forgotten_when_long_summed_up(desk: Desk) -> None:
    kept, gone = [await desk.conversation() for _ in range(2)]
    due = "date_trunc('hour', now(), 'UTC') - interval '2 hours'"
    await desk.rows(f"UPDATE usage SET at = {due} - {SERIES_DAYS} * interval '24 hours'")  # noqa: S608
    await desk.rows(
        "INSERT INTO usage_hour"
        f" SELECT $1, {due} - {SERIES_DAYS} * interval '24 hours', 0, 2, 0"
        f" UNION ALL SELECT '', {due} - interval '1 hour', 0, 0, 0",
        desk.account,
    )
    await desk.store.conversations.delete(desk.caller, gone)
    before = await desk.store.usage.of_account(desk.account, Period())

    await desk.store.usage.fold()

    assert [row["conversation_id"] for row in await desk.rows("SELECT * FROM usage")] == [kept]
    assert await desk.store.usage.of_account(desk.account, Period()) == before
    assert before.conversations == 2


async def test_tokens_of_today_are_those_of_runs_that_ended_since_midnight_in_utc(desk: Desk) -> None:
    conversation = await desk.conversation()
    for tokens in (100, 20):
        await answered(desk, tokens, conversation)
    await answered(desk, 3)
    midnight, before = await answered(desk, 4_000), await answered(desk, 50_000)
    await moved(desk, midnight, "date_trunc('day', now(), 'UTC')")
    await moved(desk, before, "date_trunc('day', now(), 'UTC') - interval '1 microsecond'")
    await desk.admitted()

    assert await desk.store.usage.tokens_today(desk.account) == 4_123
    assert await desk.store.usage.tokens_today(await desk.store.accounts.create("other")) == 0


async def test_a_day_of_the_series_ends_at_midnight_in_utc_whatever_the_databases_time_zone(
    desk: Desk,
) -> None:
    runs = [await answered(desk, 10**n) for n in range(1, 4)]
    await moved(desk, runs[0], "date_trunc('day', now(), 'UTC') - interval '1 microsecond'")
    await moved(desk, runs[1], "date_trunc('day', now(), 'UTC') - 89 * interval '24 hours'")
    await moved(
        desk, runs[2], "date_trunc('day', now(), 'UTC') - 89 * interval '24 hours' - interval '1 second'"
    )
    (database,) = await desk.rows("SELECT current_database() AS name")
    await desk.rows(f"ALTER DATABASE {database['name']} SET timezone = 'Pacific/Auckland'")
    elsewhere = await Store.open(desk.store.database.url)
    series = await elsewhere.usage.series(desk.account)
    await elsewhere.close()

    assert len(series) == 90
    assert {day.day.astimezone(UTC).hour for day in series} == {0}
    assert {place: day.tokens for place, day in enumerate(series) if day.tokens} == {0: 100, 88: 10}


async def test_a_run_that_is_repeated_or_canceled_is_counted_once(desk: Desk) -> None:
    conversation = await desk.conversation()
    run = await answered(desk, 7, conversation)
    again = await desk.store.turns.cancel(desk.caller, run)
    await desk.store.turns.finish(run, "PLAN_LOST")

    used = await desk.store.usage.of_conversation(desk.account, conversation, Period())

    assert again.cancel is None
    assert (used.tokens, used.messages) == (7, 2)


async def test_a_run_that_was_interrupted_before_it_began_counts_the_message_it_left(desk: Desk) -> None:
    conversation = await desk.conversation()
    waiting = (await desk.accept(conversation)).run.id
    await desk.store.turns.finish(waiting, "PLAN_LOST")

    used = await desk.store.usage.of_conversation(desk.account, conversation, Period())

    (there,) = await desk.rows("SELECT count(*)::int AS count FROM message")
    assert used.messages == there["count"] == 1


async def test_what_a_conversation_used_is_counted_for_the_bot_it_had_then(desk: Desk) -> None:
    first, second = [await desk.store.bots.create(desk.caller, key(), {}) for _ in range(2)]
    conversation = await desk.store.conversations.create(desk.caller, key(), {"bot_id": first})
    await answered(desk, 5, conversation)
    await desk.store.conversations.update(desk.caller, conversation, {"bot_id": second})
    await answered(desk, 70, conversation)

    of_first = await desk.store.usage.of_bot(desk.account, first, Period())
    of_second = await desk.store.usage.of_bot(desk.account, second, Period())

    assert (of_first.tokens, of_first.conversations, of_first.messages) == (5, 1, 2)
    assert (of_second.tokens, of_second.conversations, of_second.messages) == (70, 0, 2)


async def test_an_open_period_is_all_there_is(desk: Desk) -> None:
    run = await answered(desk, 9)
    await moved(desk, run, "'2001-01-01'")

    whole = await desk.store.usage.of_account(desk.account, Period())
    since = await desk.store.usage.of_account(desk.account, Period(begin=datetime(2001, 1, 2, tzinfo=UTC)))

    assert (whole.tokens, since.tokens) == (9, 0)


async def test_usage_holds_ids_and_counts_and_no_word(desk: Desk) -> None:
    conversation = await desk.store.conversations.create(desk.caller, key(), {"name": "canary"})
    await answered(desk, 5, conversation)

    await desk.store.conversations.delete(desk.caller, conversation)

    assert [
        dict(row) for row in await desk.rows("SELECT * FROM usage WHERE usage::text ILIKE '%canary%'")
    ] == []
    (kept,) = await desk.rows("SELECT conversation_id, conversations, messages FROM usage")
    assert tuple(kept) == (conversation, 1, 0)


PERIODS = {
    "all": (None, None),
    "since the middle of an hour": ("-50.5", None),
    "since an hour": ("-50", None),
    "to the middle of an hour": (None, "-20.25"),
    "to an hour": (None, "-20"),
    "some hours": ("-60", "-10"),
    "between the middles of two hours": ("-60.3", "-10.7"),
    "within an hour": ("-30.6", "-30.4"),
    "from an hour into it": ("-30", "-29.5"),
    "nothing": ("-30.5", "-30.5"),
    "what is not over": ("-1.2", None),
    "what is to come": ("5", "10"),
}
"""From and to, in hours from the beginning of this hour."""


async def test_sums_are_the_same_once_hours_that_are_over_are_folded(desk: Desk) -> None:
    bots = [await desk.store.bots.create(desk.caller, key(), {}) for _ in range(2)]
    await _history(desk, bots)
    before = await _asked(desk, bots)

    await desk.store.usage.fold()
    folded = await _asked(desk, bots)
    await answered(desk, 1_000_000)
    await desk.store.usage.fold()
    since = await _asked(desk, bots)

    (hours,) = await desk.rows("SELECT count(*)::int AS folded FROM usage_hour WHERE subject = ''")
    assert hours["folded"] in (100, 101)
    assert folded == before
    assert len({repr(used) for used in before.values()}) > 20
    assert since["account", "all"].tokens == before["account", "all"].tokens + 1_000_000
    assert since["account", "some hours"] == before["account", "some hours"]


async def test_what_is_folded_is_not_counted_from_its_rows_again(desk: Desk) -> None:
    await _history(desk, [])
    used = await desk.store.usage.of_account(desk.account, Period())
    series = await desk.store.usage.series(desk.account)

    await desk.store.usage.fold()
    await desk.rows("DELETE FROM run WHERE ended_at < now() - interval '3 hours'")

    assert await desk.store.usage.of_account(desk.account, Period()) == used
    assert await desk.store.usage.series(desk.account) == series


async def test_of_those_who_fold_at_once_all_find_the_same(desk: Desk) -> None:
    await _history(desk, [])
    used = await desk.store.usage.of_account(desk.account, Period())

    await asyncio.gather(*(desk.store.usage.fold() for _ in range(4)))

    assert await desk.store.usage.of_account(desk.account, Period()) == used


async def test_an_hour_is_folded_when_nobody_can_add_to_it_any_more(desk: Desk) -> None:
    await desk.rows("UPDATE account SET created_at = now() - interval '10 hours'")

    await desk.store.usage.fold()

    (hours,) = await desk.rows("SELECT min(now() - hour) AS newest, count(*) AS folded FROM usage_hour")
    assert timedelta(minutes=65) < hours["newest"] < timedelta(minutes=126)
    assert hours["folded"] in (9, 10)


async def _history(desk: Desk, bots: list[str]) -> None:
    """Runs and messages of a hundred hours, some at the very beginning of one, some of another account."""
    await desk.rows("UPDATE account SET created_at = date_trunc('hour', now(), 'UTC') - interval '101 hours'")
    whose = (await desk.store.accounts.create("other"), desk.account, bots)
    shape = (await desk.accept()).run
    await desk.rows(_RUNS, *whose, shape.channel_id)
    await desk.rows(_ACTS, *whose)


_HISTORY = """
SELECT n, CASE WHEN n % 7 = 0 THEN $1 ELSE $2 END AS account,
       CASE WHEN n % 7 > 0 THEN ($3::text[])[n % 3 + 1] END AS bot,
       date_trunc('hour', now(), 'UTC')
       - (n % 101 + CASE n % 3 WHEN 0 THEN 0 ELSE 0.5 END) * interval '1 hour' AS at
FROM generate_series(1, 500) AS n
"""
_RUNS = f"""
INSERT INTO run (id, account_id, bot_id, kind, lane, state, channel_id, workflow_id, fingerprint, keyed,
                 begun_at, ended_at, input_tokens, output_tokens, messages)
SELECT 'r' || n, account, bot, 'completion', 'interactive', 'succeeded', $4, 'w', '', false,
       at, at, n, n * 1000, n % 3 FROM ({_HISTORY}) AS history
"""  # noqa: S608 our own words
_ACTS = f"""
INSERT INTO usage (account_id, bot_id, conversation_id, conversations, messages, at)
SELECT account, bot, 'c', n % 2, n, at FROM ({_HISTORY}) AS history
"""  # noqa: S608 our own words


async def _asked(desk: Desk, bots: list[str]) -> dict[tuple[str, str], Used]:
    """What everybody used in every period."""
    (row,) = await desk.rows("SELECT date_trunc('hour', now(), 'UTC') AS hour")
    found = {}
    for name, (begin, end) in PERIODS.items():
        moments = [
            None if text is None else row["hour"] + timedelta(hours=float(text)) for text in (begin, end)
        ]
        period = Period(begin=moments[0], end=moments[1])
        found["account", name] = await desk.store.usage.of_account(desk.account, period)
        for bot in bots:
            found[bot, name] = await desk.store.usage.of_bot(desk.account, bot, period)
    for day in await desk.store.usage.series(desk.account):
        found["series", str(day.day)] = Used(
            tokens=day.tokens, conversations=day.conversations, messages=day.messages
        )
    tokens = await desk.store.usage.tokens_today(desk.account)
    return found | {("today", ""): Used(tokens=tokens, conversations=0, messages=0)}
