"""Targets of calls: who shares one, how long one is kept, and what many of them cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain import ids
from domain.accept import Work
from domain.destination import Destination, Said
from store import Caps, Keyring, Store
from store.database import Connection
from store.queries import load
from tests.deliveries import URL, change, new_delivery, new_target, row_of
from tests.store.conftest import HELLO, Desk, key
from tests.tasks import new_task

AGED = {"seen_at": "now() - interval '402 days'"}
DAY_OLD = {"seen_at": "now() - interval '25 hours'"}


@pytest.fixture
async def sealing(url: str) -> AsyncIterator[Desk]:
    """A desk that has a key for secrets."""
    store = await Store.open(url, Caps(), keyring=Keyring((b"k" * 32,)))
    yield Desk(store, await store.accounts.create("an account"))
    await store.close()


def said(url: str = URL) -> Said:
    destination = Destination(kind="webhook", url=url)
    return Said(mark=destination.text.encode(), destination=destination)


async def run_for(desk: Desk, url: str = URL) -> str:
    """A run whose result goes there."""
    work = Work(
        run_id=ids.run(),
        caller=desk.caller,
        lane="background",
        key=key(),
        asked=HELLO,
        channel=ids.channel(),
        destinations=(said(url),),
    )
    return (await desk.store.accept.run(work)).run.id


async def targets(desk: Desk) -> list[str]:
    return [row["id"] for row in await desk.rows("SELECT id FROM target ORDER BY id")]


async def named_again(desk: Desk, url: str = URL) -> str:
    """The target, of another run that is over without a delivery."""
    run = await run_for(desk, url)
    await desk.rows("UPDATE run SET state = 'succeeded', ended_at = now() WHERE id = $1", run)
    (target,) = await desk.store.targets.of_run(desk.account, run)
    return target.id


async def test_what_no_delivery_and_no_open_run_needs_goes_400_days_after_it_was_named(sealing: Desk) -> None:
    store = sealing.store
    await run_for(sealing, f"{URL}/open")
    over = await run_for(sealing, f"{URL}/over")
    await sealing.rows("UPDATE run SET state = 'canceled', ended_at = now() WHERE id = $1", over)
    sent = await new_target(store, sealing.account, f"{URL}/sent")
    await new_delivery(store, sent)
    idle, young = [await new_target(store, sealing.account, f"{URL}/{name}") for name in ("idle", "young")]
    (of_open, of_over, *_) = made = await targets(sealing)
    for target in {*made} - {young}:
        await change(store, "target", target, **AGED)

    await store.upkeep.forget_targets()
    left = await targets(sealing)
    await store.upkeep.forget_targets()

    assert {*left} == {of_open, sent, young} == {*await targets(sealing)}
    assert not {of_over, idle} & {*left}
    # What is needed is not looked at again soon.
    aged = "SELECT id FROM target WHERE seen_at < now() - interval '1 hour'"
    assert await sealing.rows(aged) == []


async def test_a_webhook_keeps_its_secret_for_400_days_after_a_call_that_nothing_was_sent_for(
    sealing: Desk,
) -> None:
    store, first = sealing.store, await named_again(sealing)
    before = await store.targets.fetch(sealing.account, first)

    for days in (2, 399):
        await change(store, "target", first, seen_at=f"now() - interval '{days} days'")
        await store.upkeep.forget_targets()
        assert await targets(sealing) == [first]

        assert await named_again(sealing) == first

        # It is kept from now on.
        row = await row_of(store, "target", first)
        assert row["seen_at"] > row["created_at"]
    assert (await store.targets.fetch(sealing.account, first)).secret == before.secret


async def test_that_a_target_was_named_is_written_once_a_day(sealing: Desk) -> None:
    first = await named_again(sealing)
    (before,) = await sealing.rows("SELECT xmin::text, seen_at FROM target")

    assert await named_again(sealing) == first

    assert await sealing.rows("SELECT xmin::text, seen_at FROM target") == [before]


async def test_that_a_target_was_named_waits_for_nobody_who_holds_it(sealing: Desk) -> None:
    first = await named_again(sealing)
    await change(sealing.store, "target", first, **DAY_OLD)

    async def work(connection: Connection) -> str:
        await connection.fetch("SELECT FROM target FOR NO KEY UPDATE")
        return await asyncio.wait_for(named_again(sealing), 10)

    assert await sealing.store.database.transact(work) == first


async def test_an_email_that_no_delivery_and_no_open_run_needs_goes_after_a_day(sealing: Desk) -> None:
    store = sealing.store
    old, young, sent = [
        await new_target(store, sealing.account, to=(f"{name}@example.com",))
        for name in ("old", "young", "sent")
    ]
    await new_delivery(store, sent)
    for target in (old, sent):
        await change(store, "target", target, **DAY_OLD)

    await store.upkeep.forget_targets()

    assert {*await targets(sealing)} == {young, sent}


async def test_a_target_that_is_named_while_it_goes_is_kept_or_made_anew(sealing: Desk) -> None:
    for _ in range(10):
        target = await new_target(sealing.store, sealing.account)
        await change(sealing.store, "target", target, **AGED)

        run, _ = await asyncio.gather(run_for(sealing), sealing.store.upkeep.forget_targets())

        (named,) = await sealing.store.targets.of_run(sealing.account, run)
        assert named.url == URL
        await sealing.rows("UPDATE run SET state = 'canceled', ended_at = now() WHERE id = $1", run)


async def test_a_result_finds_its_targets_among_very_many(sealing: Desk) -> None:
    await new_target(sealing.store, sealing.account)
    more = """
    INSERT INTO target (id, account_id, said, kind, url, events, secret, secret_key)
    SELECT 'tgt_' || n, account_id, sha256(n::text::bytea), kind, url || n, events, secret, secret_key
    FROM target, generate_series(1, 20000) AS n
    """
    await sealing.rows(more)
    await sealing.rows("ANALYZE target")
    run = await run_for(sealing)

    task = await new_task(sealing.store, sealing.account)
    queries = {
        ("results", "targets"): (run, "completed"),
        ("targets", "held"): (task, None),
        ("targets", "of_tasks"): (sealing.account, [task]),
        ("targets", "of_triggers"): (sealing.account, [ids.trigger()]),
        ("targets", "neighbour"): (sealing.account, f"{URL}77"),
        ("targets", "said"): (sealing.account, b"nobody"),
        ("upkeep", "old_targets"): ("webhook", 400, 500),
    }

    async def plans(connection: Connection) -> list[str]:
        return [
            "\n".join(row[0] for row in await connection.fetch(f"EXPLAIN {load(noun)[name]}", *given))
            for (noun, name), given in queries.items()
        ]

    for told in await sealing.store.database.transact(plans):
        assert "Seq Scan on target" not in told, told
        assert "target_list" not in told, told


async def test_a_neighbour_is_found_by_its_url(sealing: Desk) -> None:
    made = [await new_target(sealing.store, sealing.account, f"{URL}{n}") for n in range(3)]
    twin = Said(mark=b"another", destination=Destination(kind="webhook", url=f"{URL}1", events=("failed",)))

    async def work(connection: Connection) -> tuple[str, ...]:
        return await sealing.store.targets.of_call(connection, sealing.account, [twin, said(f"{URL}2")])

    ours, theirs = await sealing.store.database.transact(work)
    shown = [await sealing.store.targets.fetch(sealing.account, one) for one in (*made, ours, theirs)]

    assert shown[3].secret == shown[1].secret != shown[2].secret
    assert ours not in made
    assert shown[4].secret == shown[2].secret
