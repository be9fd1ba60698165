"""Crowds of deliveries for one target: they hold up no other's, and cost little."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from domain import attempt
from domain.attempt import SLOTS
from store import Caps, Keyring, Store
from store.queries import load
from store.sending import BATCH
from tests.deliveries import change
from tests.store.conftest import Desk
from tests.store.post import Post

CROWD = 5_000
MANY = 600
"""More targets than one claim goes through."""
_CROWD = """
INSERT INTO delivery (id, account_id, target_id, type, body, look_at, looks, waits)
SELECT 'dlv_' || $2 || n, $1, $2, 'ping', 'x', clock_timestamp() + $5 * interval '1 second', $6, $7
FROM generate_series($3::int, $4::int) AS n
"""
_SPREAD = """
INSERT INTO target (id, account_id, said, kind, recipients, events)
SELECT 'tgt_' || to_char(n, 'FM0000'), $1, n::text::bytea, 'email', '{a@example.com}', '{completed}'
FROM generate_series(1, $2::int) AS n
"""
DUE, LATER = -60.0, 3_600.0


@pytest.fixture
async def post(url: str) -> AsyncIterator[Post]:
    store = await Store.open(url, Caps(), keyring=Keyring((b"k" * 32,)))
    yield Post(Desk(store, await store.accounts.create("an account")))
    await store.close()


async def crowd(
    post: Post,
    target: str,
    numbers: tuple[int, int] = (1, CROWD),
    look: float = DUE,
    **columns: object,
) -> None:
    """Deliveries of one target, with a look so many seconds from now."""
    looks, waits = columns.get("looks", 0), columns.get("waits", False)
    await post.desk.rows(_CROWD, post.desk.account, target, *numbers, look, looks, waits)


async def close(post: Post, target: str) -> None:
    await change(post.store, "target", target, failures="5", open_until="now() + interval '2 hours'")


async def claimed(post: Post) -> list[str]:
    return [one.errand.delivery_id for one in await post.due_ones()]


async def claims_until(post: Post, delivery: str) -> int:
    for number in range(1, 1 + CROWD // BATCH):
        if delivery in await claimed(post):
            return number
    raise AssertionError(f"{delivery} was not claimed")


async def test_a_crowd_of_a_target_that_is_left_alone_holds_up_no_other(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    await close(post, target)
    await crowd(post, target)
    apart = await post.delivery(other)

    assert await claimed(post) == [apart]


async def test_a_crowd_of_a_target_whose_places_are_taken_holds_up_no_other(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    for _ in range(SLOTS):
        await post.take(await post.delivery(target))
    await crowd(post, target)
    apart = await post.delivery(other)

    assert await claimed(post) == [apart]


async def test_a_crowd_that_was_started_already_holds_up_no_other(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    await crowd(post, target, looks=3)
    apart = await post.delivery(other)

    assert await claims_until(post, apart) == 1


async def test_beside_a_crowd_nothing_is_claimed_twice_and_all_of_it_in_the_end(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    await crowd(post, target, (1, 300), looks=3)
    await crowd(post, other, (1, 60), looks=3)

    found: list[str] = []
    more = True
    while more:
        due, more = await post.store.sending.due()
        assert len(due) <= 2 * BATCH
        found += [one.errand.delivery_id for one in due]

    assert len(found) == len(set(found)) == 360


async def test_beside_a_crowd_each_is_claimed_by_one_worker(post: Post) -> None:
    await post.desk.rows(_SPREAD, post.desk.account, 4)
    for number in range(1, 5):
        await crowd(post, f"tgt_{number:04}", (1, 300), looks=3)

    async def worker() -> list[str]:
        return [one for _ in range(12) for one in await claimed(post)]

    found = [one for claims in await asyncio.gather(*(worker() for _ in range(4))) for one in claims]

    assert len(found) == len(set(found)) == 1_200


async def test_of_very_many_targets_beside_a_crowd_each_has_its_turn_in_a_few_claims(post: Post) -> None:
    target = await post.target()
    await post.desk.rows(_SPREAD, post.desk.account, MANY)
    await crowd(post, target)
    for number in range(1, MANY):
        await crowd(post, f"tgt_{number:04}", (1, 1), LATER)
    last = await post.delivery(f"tgt_{MANY:04}")

    assert await claims_until(post, last) == 2


async def test_of_very_many_targets_with_something_due_each_has_its_turn(post: Post) -> None:
    target = await post.target()
    await post.desk.rows(_SPREAD, post.desk.account, BATCH)
    await crowd(post, target, looks=3)
    for number in range(1, BATCH + 1):
        await crowd(post, f"tgt_{number:04}", (1, 2 * SLOTS), looks=3)
    last = await post.delivery(f"tgt_{BATCH:04}")
    await post.desk.rows(
        "UPDATE delivery SET look_at = clock_timestamp() - interval '1 second' WHERE id = $1", last
    )

    # Of six or seven targets eight each.
    assert await claims_until(post, last) <= 2 * (1 + BATCH * SLOTS // BATCH)


@pytest.mark.parametrize(("look", "pages"), [(LATER, 10), (DUE, 1_000)])
async def test_what_a_claim_costs_does_not_go_by_how_many_wait(post: Post, look: float, pages: int) -> None:
    target = await post.target()
    await close(post, target)

    costs = []
    for first, last in ((1, 1_000), (1_001, 20_000)):
        await crowd(post, target, (first, last), look)
        await post.desk.rows("ANALYZE delivery")
        costs.append(await cost(post))

    assert costs[1] < costs[0] + pages, costs


async def cost(post: Post) -> int:
    """Pages of the database that a claim looks at."""
    given = (BATCH, attempt.LEFT_SECONDS, SLOTS, attempt.FAILURES, "", 500)
    query = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {load('sending')['due']}"
    async with post.store.database.connection() as connection:
        (told,) = await connection.fetch(query, *given)
    plan = json.loads(told[0])[0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def test_targets_with_more_waiting_than_are_counted_are_not_looked_at_more_often(post: Post) -> None:
    target = await post.target()
    for _ in range(SLOTS):
        await post.take(await post.delivery(target))
    await crowd(post, target, (1, 10_000), LATER, waits=True)
    await crowd(post, target, (10_001, 10_100))
    started = await post.delivery(target)

    seconds = [(await post.turn(started)).seconds]
    for _ in range(19):
        await post.due(started)
        seconds.append((await post.turn(started)).seconds)
    await post.due_ones()
    (found,) = await post.desk.rows(
        "SELECT extract(epoch FROM max(look_at) - now())::float8 AS last FROM delivery WHERE looks = 0"
    )

    # If no more than 10,000 were waiting, each would come within 2,502 s.
    assert max(seconds) > 2_600
    assert found["last"] > 3_700
