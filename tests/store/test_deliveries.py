"""Deliveries as their owners see them: listed, sent again, removed; and when they go by themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain import ids
from domain.attempt import Came
from domain.delivery import Again
from domain.errors import Conflict, NotFound
from domain.paging import Page
from store import Caps, Keyring, Store
from store.deliveries import MOST, DeliveryFilter
from tests.deliveries import change, row_of
from tests.store.conftest import Desk, caller, key
from tests.store.post import TAKEN, Post

ABORTED = Came(code="ABORTED", status=400, final=True)


@pytest.fixture
async def post(url: str) -> AsyncIterator[Post]:
    store = await Store.open(url, Caps(), keyring=Keyring((b"k" * 32,)))
    yield Post(Desk(store, await store.accounts.create("an account")))
    await store.close()


async def test_a_list_is_narrowed_and_paged(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    made = [await post.delivery(target, task_id="task_1") for _ in range(3)]
    elsewhere = await post.delivery(other)
    await post.fail(made[0], ABORTED)

    async def found(take: int = 10, cursor: str | None = None, **narrow: object) -> list[str]:
        page = Page(take=take, cursor=cursor)
        wanted = DeliveryFilter.model_validate(narrow)
        return [one.id for one in await post.store.deliveries.list(post.desk.account, page, wanted)]

    assert await found() == [elsewhere, *reversed(made)]
    assert await found(2, elsewhere) == [made[2], made[1]]
    assert await found(states=["dead"]) == made[:1]
    assert await found(target_ids=[other]) == [elsewhere]
    assert await found(task_ids=["task_1"], states=["pending"]) == [made[2], made[1]]
    assert await found(types=["test.ping"]) == []


async def test_a_delivery_is_shown_with_its_attempts_newest_first(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    await post.fail(delivery)
    await post.fail(delivery, TAKEN)

    kept = await post.store.deliveries.fetch(post.desk.account, delivery)

    assert (kept.delivery.state, kept.delivery.kind, kept.delivery.attempts) == ("delivered", "webhook", 2)
    assert [(one.number, one.status, one.error_code) for one in kept.attempts] == [
        (2, 200, None),
        (1, 503, "HTTP_503"),
    ]
    assert kept.attempts[0].headers == {"server": "test"}
    with pytest.raises(NotFound):
        await post.store.deliveries.fetch("acct_other", delivery)


async def test_a_dead_letter_is_sent_again_under_its_id_in_a_new_round(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    before = (await post.store.deliveries.fetch(post.desk.account, delivery)).body
    await post.due_ones()
    await post.fail(delivery, times=3)

    await post.store.deliveries.redeliver(post.desk.caller, key("again"), delivery)
    await post.store.deliveries.redeliver(post.desk.caller, key("again"), delivery)

    (due,) = await post.due_ones()
    assert (due.errand.delivery_id, due.errand.round, due.fresh) == (delivery, 2, True)
    assert due.errand.workflow_id == ids.delivery_workflow(delivery, 2)
    turn = await post.turn(delivery, round=2)
    assert turn.taken is not None
    assert post.store.sending.webhook(turn.taken).body == before
    assert (await post.note(turn.taken, TAKEN)).state == "delivered"


async def test_one_on_its_way_is_tried_now_even_at_a_target_that_is_left_alone(post: Post) -> None:
    target = await post.target()
    delivery = await post.delivery(target)
    await post.due_ones()
    await post.fail(delivery)
    await change(post.store, "target", target, failures="9", open_until="now() + interval '1 hour'")

    await post.store.deliveries.redeliver(post.desk.caller, key(), delivery)

    (due,) = await post.due_ones()
    assert (due.errand.round, due.fresh, due.due) == (1, False, True)
    assert (await post.turn(delivery)).taken is not None


async def test_what_cannot_be_sent_is_not_sent_again(post: Post) -> None:
    target = await post.target()
    empty, other = await post.delivery(target), await post.delivery(target)
    for delivery in (empty, other):
        await post.fail(delivery, ABORTED)
    await change(post.store, "delivery", empty, body="NULL")
    with pytest.raises(Conflict):
        await post.store.deliveries.redeliver(post.desk.caller, key(), empty)

    for gone in ({"disabled_at": "now()", "disabled_code": "'TARGET_GONE'"}, {"removed_at": "now()"}):
        await change(post.store, "target", target, **gone)
        with pytest.raises(Conflict):
            await post.store.deliveries.redeliver(post.desk.caller, key(), other)
        assert await _again(post) == Again(count=0, more=False)
    with pytest.raises(NotFound):
        await post.store.deliveries.redeliver(caller("acct_other"), key(), other)


async def test_many_dead_letters_are_sent_again_by_one_call_the_oldest_first(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    dead = {"state": "dead", "look_at": None, "error_code": "EXHAUSTED"}
    now = await post.store.database.fetchval("SELECT clock_timestamp()")
    made = [await post.delivery(target, **dead, ended_at=now) for _ in range(3)]
    elsewhere = await post.delivery(other, **dead, ended_at=now)
    on_its_way = await post.delivery(target)

    assert await _again(post, target_ids=[target]) == Again(count=3, more=False)

    assert await _again(post, target_ids=[target]) == Again(count=0, more=False)
    assert {(await row_of(post.store, "delivery", one))["round"] for one in made} == {2}
    assert await post.state(elsewhere) == ("dead", "EXHAUSTED")
    assert (await row_of(post.store, "delivery", on_its_way))["round"] == 1


async def test_a_call_that_sends_many_again_is_repeated_by_its_key_only(post: Post) -> None:
    target = await post.target()
    await post.desk.rows(
        "INSERT INTO delivery (id, account_id, target_id, type, body, state, ended_at)"
        " SELECT 'dlv_' || lpad(n::text, 26, '0'), $1, $2, 'test.ping', '{}', 'dead', now()"
        " FROM generate_series(1, $3) AS n",
        post.desk.account,
        target,
        MOST + 1,
    )
    again = key("many")

    first = await post.store.deliveries.redeliver_dead(post.desk.caller, again, DeliveryFilter())
    repeated = await post.store.deliveries.redeliver_dead(post.desk.caller, again, DeliveryFilter())

    assert first == repeated == Again(count=MOST, more=True)
    assert await _again(post) == Again(count=1, more=False)


async def test_a_ping_goes_to_its_target_and_is_made_once_by_its_key(post: Post) -> None:
    target = await post.target()

    first = await post.store.deliveries.ping(post.desk.caller, key("ping"), target)
    assert await post.store.deliveries.ping(post.desk.caller, key("ping"), target) == first

    (due,) = await post.due_ones()
    assert due.errand.delivery_id == first
    assert (await row_of(post.store, "delivery", first))["type"] == "test.ping"
    assert b'"targetId": "' + target.encode() in (await row_of(post.store, "delivery", first))["body"]
    await change(post.store, "target", target, disabled_at="now()", disabled_code="'TARGET_GONE'")
    with pytest.raises(Conflict):
        await post.store.deliveries.ping(post.desk.caller, key(), target)
    with pytest.raises(NotFound):
        await post.store.deliveries.ping(caller("acct_other"), key(), target)


async def test_what_has_arrived_is_kept_thirty_days_and_a_dead_letter_for_good(post: Post) -> None:
    target = await post.target()
    arrived, recent, dead, waits = [await post.delivery(target) for _ in range(4)]
    for delivery in (arrived, recent):
        await post.fail(delivery, TAKEN)
    await post.fail(dead, ABORTED)
    for delivery in (arrived, dead):
        await change(post.store, "delivery", delivery, ended_at="now() - interval '31 days'")

    await post.store.upkeep.tidy(365, 30)

    page = await post.store.deliveries.list(post.desk.account, Page(), DeliveryFilter())
    assert {one.id for one in page} == {recent, dead, waits}


async def test_of_a_run_without_a_conversation_what_has_arrived_keeps_no_words(post: Post) -> None:
    target = await post.target()
    run = (await post.desk.accept()).run
    arrived, late = [await post.delivery(target, run_id=run.id) for _ in range(2)]
    await post.fail(arrived, TAKEN)
    await post.desk.rows(
        "UPDATE channel SET open = false, closed_at = now() - interval '25 hours' WHERE run_id = $1", run.id
    )

    await post.store.upkeep.tidy(365)

    assert (await row_of(post.store, "delivery", arrived))["body"] is None
    assert (await row_of(post.store, "delivery", late))["body"] is not None
    await post.fail(late, TAKEN)
    assert (await row_of(post.store, "delivery", late))["body"] is None
    # Their receiver may have said the words again.
    for delivery in (arrived, late):
        assert [(one["status"], one["body"]) for one in await post.attempts(delivery)] == [(200, None)]


async def _again(post: Post, **narrow: object) -> Again:
    wanted = DeliveryFilter.model_validate(narrow)
    return await post.store.deliveries.redeliver_dead(post.desk.caller, key(), wanted)
