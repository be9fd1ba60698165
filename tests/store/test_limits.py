"""What an account may use up: a day's tokens and the places to wait in, counted from the rows."""

from __future__ import annotations

import pytest

from domain.account import Caller
from domain.errors import LimitsReached
from domain.run import Run
from store import Caps, Quotas, Store
from store.limits import Limits
from tests.house import minute_lasts
from tests.store.conftest import Desk


async def limited(desk: Desk, quotas: Quotas, caps: Caps | None = None) -> Desk:
    """The desk again, in a process with quotas."""
    return Desk(await Store.open(desk.store.database.url, caps, quotas), desk.account)


async def used(desk: Desk, tokens: int, account: str | None = None, ended: str = "now()") -> None:
    """A run that ended having used so many tokens."""
    run = (await desk.accept(account=account)).run
    await desk.store.turns.cancel(Caller(account_id=run.account_id, key_id="key_tests"), run.id)
    await desk.rows(
        f"UPDATE run SET input_tokens = 1, output_tokens = $2, ended_at = {ended} WHERE id = $1",  # noqa: S608 our own words
        run.id,
        tokens - 1,
    )


async def test_what_ended_today_in_utc_is_what_a_day_has_used(desk: Desk) -> None:
    await minute_lasts()
    small = await limited(desk, Quotas(tokens_per_day=100))
    other = await desk.store.accounts.create("another")
    midnight = "date_trunc('day', now(), 'UTC')"
    await used(desk, 70)
    await used(desk, 29, ended=midnight)
    await used(desk, 1_000, ended=f"{midnight} - interval '1 microsecond'")
    await used(desk, 1_000, account=other)
    await small.accept()
    await used(desk, 1)
    await small.store.close()

    small = await limited(desk, Quotas(tokens_per_day=100))
    before = await desk.rows("SELECT count(*) FROM run")
    with pytest.raises(LimitsReached) as refusal:
        await small.accept()

    assert "used 100 tokens today" in refusal.value.message
    assert 0 < (refusal.value.retry_after or 0) <= 86_400
    assert await desk.rows("SELECT count(*) FROM run") == before
    with pytest.raises(LimitsReached):
        await small.accept(account=other)
    await small.store.close()


async def test_a_day_is_counted_once_in_a_while_and_not_for_every_run(desk: Desk) -> None:
    small = await limited(desk, Quotas(tokens_per_day=100))
    await small.accept()
    await used(desk, 100)

    await small.accept()

    await small.store.close()


async def test_runs_that_wait_are_counted_and_those_at_work_are_not(desk: Desk) -> None:
    quotas = Quotas(waiting_of_account=3, waiting_of_conversation=2)
    small = await limited(desk, quotas, Caps(everyone=1))
    conversation = await desk.conversation()
    for _ in range(3):
        await small.accept(conversation)

    with pytest.raises(LimitsReached, match="2 runs of the conversation"):
        await small.accept(conversation)
    await small.accept()
    with pytest.raises(LimitsReached, match="3 runs of the account"):
        await small.accept(lane="background")

    assert len(await desk.rows("SELECT FROM run")) == 4
    other = await desk.store.accounts.create("another")
    await small.accept(account=other)
    await small.store.close()


async def test_a_process_that_counts_anew_counts_to_the_limit_and_no_further(desk: Desk) -> None:
    small = await limited(desk, Quotas(), Caps(everyone=0))
    runs: list[Run] = [(await small.accept()).run for _ in range(20)]

    async with desk.store.database.connection() as connection:
        await Limits(Quotas(waiting_of_account=20), desk.store.usage).check_line(connection, runs[-1])
        with pytest.raises(LimitsReached):
            await Limits(Quotas(waiting_of_account=19), desk.store.usage).check_line(connection, runs[-1])
        await Limits(Quotas(waiting_of_account=0), desk.store.usage).check_line(connection, runs[-1])

    await small.store.close()
