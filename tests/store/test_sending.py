"""Attempts to deliver: taken under a fence, at a target that has a place for them, and noted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from domain.attempt import FAILURES, SLOTS, Came
from domain.errors import Stale
from domain.plans import Errand
from domain.webhook import key_of
from store import Caps, Keyring, Store
from tests.deliveries import change, row_of
from tests.store.conftest import Desk, key
from tests.store.post import FAILED, LATER, PACE, TAKEN, Post


@pytest.fixture
async def post(url: str) -> AsyncIterator[Post]:
    store = await Store.open(url, Caps(), keyring=Keyring((b"k" * 32,)))
    yield Post(Desk(store, await store.accounts.create("an account")))
    await store.close()


async def test_what_is_taken_is_delivered_once_and_kept_with_its_answer(post: Post) -> None:
    delivery = await post.delivery(await post.target())

    taken = await post.take(delivery)
    noted = await post.note(taken, TAKEN)

    assert noted.state == "delivered"
    assert await post.state(delivery) == ("delivered", None)
    assert await post.attempts(delivery) == [
        {"number": 1, "ended": True, "status": 200, "error_code": None, "body": "thanks"}
    ]
    assert (await post.turn(delivery)).over


async def test_a_webhook_is_sent_with_its_own_headers_and_signed_by_its_secret(post: Post) -> None:
    target = await post.target(headers=(("X-Mine", "1"),))
    delivery = await post.delivery(target)

    webhook = post.store.sending.webhook(await post.take(delivery))

    assert webhook.delivery_id == delivery
    assert webhook.headers == (("X-Mine", "1"),)
    assert [len(key_of(secret)) for secret in webhook.secrets] == [32]
    assert webhook.body == (await row_of(post.store, "delivery", delivery))["body"]


async def test_an_email_says_what_its_agent_said_and_names_its_run(post: Post) -> None:
    delivery = await post.delivery(await post.target(to=("a@example.com",), subject="Tonight"))

    letter = post.store.sending.letter(await post.take(delivery))

    assert (letter.to, letter.only, letter.subject) == (("a@example.com",), None, "Tonight")
    assert letter.text == "**done**\n\nRun `run_1`: succeeded, success.\n"


async def test_an_attempt_that_fails_is_followed_by_the_next_of_the_schedule(post: Post) -> None:
    delivery = await post.delivery(await post.target())

    noted = await post.fail(delivery)

    assert (noted.state, noted.code) == ("pending", "HTTP_503")
    assert 8 <= noted.seconds <= 12
    turn = await post.turn(delivery)
    assert turn.taken is None
    assert 0 < turn.seconds <= 12
    await post.due(delivery)
    assert (await post.take(delivery)).hold.number == 2


async def test_what_asks_to_be_left_alone_for_longer_than_the_schedule_is(post: Post) -> None:
    delivery = await post.delivery(await post.target())

    noted = await post.fail(delivery, FAILED.model_copy(update={"after": 3_600}))

    assert noted.seconds == 3_600


async def test_what_runs_out_of_attempts_is_a_dead_letter(post: Post) -> None:
    delivery = await post.delivery(await post.target())

    noted = await post.fail(delivery, times=3)

    assert (noted.state, noted.code) == ("dead", "EXHAUSTED")
    assert await post.state(delivery) == ("dead", "EXHAUSTED")
    assert (await post.turn(delivery)).over
    assert len(await post.attempts(delivery)) == 3


@pytest.mark.parametrize(
    ("came", "tries", "code"),
    [
        (Came(code="ABORTED", status=400, final=True), 1, "ABORTED"),
        (Came(code="SMTP_550", status=550, final=True), 1, "SMTP_550"),
        (Came(code="BLOCKED"), 3, "BLOCKED"),
        (Came(code="TLS_FAILED"), 3, "TLS_FAILED"),
    ],
)
async def test_what_is_final_is_a_dead_letter_sooner(post: Post, came: Came, tries: int, code: str) -> None:
    delivery = await post.delivery(await post.target())

    noted = await post.fail(delivery, came, times=tries)

    assert (noted.state, noted.code) == ("dead", code)


async def test_a_target_that_is_gone_is_disabled_and_takes_nothing_more(post: Post) -> None:
    target = await post.target()
    first, second = await post.delivery(target), await post.delivery(target)

    await post.fail(first, Came(code="HTTP_410", status=410, gone=True))
    turn = await post.turn(second)

    assert await post.state(first) == ("dead", "TARGET_GONE")
    assert (turn.over, turn.gave_up) == (True, "webhook")
    assert await post.state(second) == ("dead", "TARGET_DISABLED")
    assert (await row_of(post.store, "target", target))["disabled_code"] == "TARGET_GONE"


async def test_what_was_going_to_a_target_that_was_removed_is_a_dead_letter(post: Post) -> None:
    target = await post.target()
    delivery = await post.delivery(target)
    await change(post.store, "target", target, removed_at="now()")

    assert (await post.turn(delivery)).over
    assert await post.state(delivery) == ("dead", "TARGET_REMOVED")


async def test_a_newer_attempt_takes_over_and_the_one_before_it_notes_nothing(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    frozen = await post.take(delivery)

    newer = await post.take(delivery)
    with pytest.raises(Stale):
        await post.note(frozen, FAILED)
    await post.note(newer, TAKEN)
    with pytest.raises(Stale):
        await post.note(frozen, FAILED)

    assert await post.state(delivery) == ("delivered", None)
    assert [(row["number"], row["error_code"]) for row in await post.attempts(delivery)] == [
        (1, "OUTCOME_UNKNOWN"),
        (2, None),
    ]


async def test_an_older_attempt_than_the_one_under_way_is_not_taken(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    await post.take(delivery, fence=5)

    with pytest.raises(Stale):
        await post.turn(delivery, fence=4)
    with pytest.raises(Stale):
        await post.turn(delivery, fence=5, holder="another")


async def test_a_commit_that_is_repeated_takes_and_notes_once(post: Post) -> None:
    delivery = await post.delivery(await post.target())

    taken = await post.take(delivery, fence=5)
    again = await post.take(delivery, fence=5)
    first, second = await post.note(taken, FAILED), await post.note(again, FAILED)

    assert taken.hold == again.hold
    assert first.state == second.state == "pending"
    assert 8 <= second.seconds <= 12
    assert len(await post.attempts(delivery)) == 1
    assert (await row_of(post.store, "delivery", delivery))["attempts"] == 1


async def test_what_kills_its_workers_is_given_up_in_the_end(post: Post) -> None:
    delivery = await post.delivery(await post.target())

    for _ in range(PACE.most):
        await post.take(delivery)

    assert (await post.turn(delivery)).over
    assert await post.state(delivery) == ("dead", "EXHAUSTED")


async def test_an_email_that_may_have_been_sent_waits_ten_minutes(post: Post) -> None:
    delivery = await post.delivery(await post.target(to=("a@example.com",)))
    await post.take(delivery)

    turn = await post.turn(delivery)

    assert turn.taken is None
    assert 590 <= turn.seconds <= 600
    await post.desk.rows("UPDATE delivery_attempt SET begun_at = begun_at - interval '10 minutes'")
    await post.due(delivery)
    assert (await post.take(delivery)).hold.number == 2


async def test_a_letter_that_some_got_is_sent_to_the_others_only(post: Post) -> None:
    delivery = await post.delivery(await post.target(to=("a@example.com", "b@example.com")))
    partly = Came(taken=True, code="SMTP_450", status=250, owed=("b@example.com",))

    noted = await post.fail(delivery, partly)
    await post.due(delivery)
    taken = await post.take(delivery)

    assert (noted.state, noted.code) == ("pending", "SMTP_450")
    assert post.store.sending.letter(taken).only == ("b@example.com",)
    assert (await post.note(taken, TAKEN)).state == "delivered"


async def test_a_letter_that_some_refused_for_good_is_delivered_with_their_code(post: Post) -> None:
    delivery = await post.delivery(await post.target(to=("a@example.com", "b@example.com")))

    noted = await post.fail(delivery, Came(taken=True, code="SMTP_550", status=250))

    assert (noted.state, noted.code) == ("delivered", "SMTP_550")
    assert await post.state(delivery) == ("delivered", "SMTP_550")


@pytest.mark.parametrize(("code", "kept"), [("SMTP_550", "SMTP_550"), ("SMTP_450", None), ("SMTP_530", None)])
async def test_who_was_refused_for_good_is_told_also_when_others_got_the_letter_later(
    post: Post, code: str, kept: str | None
) -> None:
    delivery = await post.delivery(await post.target(to=("a@example.com", "b@example.com", "c@example.com")))

    await post.fail(delivery, Came(taken=True, code=code, status=250, owed=("c@example.com",)))
    await post.fail(delivery, Came(code="SMTP_451", status=451))
    await post.due(delivery)
    await post.note(await post.take(delivery), Came(taken=True, status=250))

    assert await post.state(delivery) == ("delivered", kept)


async def test_a_letter_that_all_got_when_it_was_sent_anew_has_no_code(post: Post) -> None:
    delivery = await post.delivery(await post.target(to=("a@example.com", "b@example.com")))
    await post.fail(delivery, Came(taken=True, code="SMTP_550", status=250))

    await post.store.deliveries.redeliver(post.desk.caller, key(), delivery)
    turn = await post.turn(delivery, round=2)
    assert turn.taken is not None
    await post.note(turn.taken, Came(taken=True, status=250))

    assert await post.state(delivery) == ("delivered", None)


async def test_a_letter_goes_to_nobody_whom_its_target_names_no_more(post: Post) -> None:
    target = await post.target(to=("a@example.com", "b@example.com", "c@example.com"))
    delivery = await post.delivery(target)
    await post.fail(
        delivery, Came(taken=True, code="SMTP_450", status=250, owed=("b@example.com", "c@example.com"))
    )

    await change(post.store, "target", target, recipients="ARRAY['a@example.com', 'c@example.com']")
    await post.due(delivery)

    assert post.store.sending.letter(await post.take(delivery)).only == ("c@example.com",)


@pytest.mark.parametrize(("code", "kept"), [("SMTP_450", None), ("SMTP_550", "SMTP_550")])
async def test_a_letter_that_is_owed_to_nobody_any_more_is_delivered_and_not_sent_again(
    post: Post, code: str, kept: str | None
) -> None:
    target = await post.target(to=("a@example.com", "b@example.com", "c@example.com"))
    delivery = await post.delivery(target)
    await post.fail(delivery, Came(taken=True, code=code, status=250, owed=("b@example.com",)))

    await change(post.store, "target", target, recipients="ARRAY['a@example.com', 'd@example.com']")
    await post.due(delivery)
    turn = await post.turn(delivery)

    assert (turn.taken, turn.over, turn.gave_up) == (None, True, None)
    assert await post.state(delivery) == ("delivered", kept)
    row = await row_of(post.store, "delivery", delivery)
    assert (row["attempts"], row["owed"], row["look_at"], row["waits"]) == (1, None, None, False)
    assert row["ended_at"] is not None
    assert len(await post.attempts(delivery)) == 1


async def test_a_dead_letter_sent_again_goes_to_whom_its_target_names_in_place_of_who_was_owed_it(
    post: Post,
) -> None:
    target = await post.target(to=("a@example.com", "b@example.com"))
    delivery, other = await post.delivery(target), await post.delivery(target)
    for each in (delivery, other):
        await post.note(await post.take(each), Came(taken=True, code="SMTP_450", owed=("b@example.com",)))
        await change(post.store, "delivery", each, state="'dead'", look_at="NULL", ended_at="now()")

    await post.store.deliveries.redeliver(post.desk.caller, key(), other)
    await change(post.store, "target", target, recipients="ARRAY['a@example.com', 'b2@example.com']")
    await post.store.deliveries.redeliver(post.desk.caller, key(), delivery)

    assert (await row_of(post.store, "delivery", other))["owed"] == ["b@example.com"]
    taken = (await post.turn(delivery, round=2)).taken
    assert taken is not None
    assert post.store.sending.letter(taken).only is None


# Places at a target.


async def test_eight_attempts_at_once_are_made_at_one_target_and_others_flow(post: Post) -> None:
    slow, quick = await post.target("https://slow.example/"), await post.target("https://quick.example/")
    for _ in range(SLOTS):
        await post.take(await post.delivery(slow))
    ninth = await post.delivery(slow)

    turn = await post.turn(ninth)

    assert turn.taken is None
    assert 1 <= turn.seconds <= 2.5
    assert (await row_of(post.store, "delivery", ninth))["waits"]
    await post.take(await post.delivery(quick))


async def test_no_more_than_eight_begin_however_many_come_at_once(post: Post) -> None:
    target = await post.target()
    deliveries = [await post.delivery(target) for _ in range(3 * SLOTS)]

    turns = await asyncio.gather(*(post.turn(delivery, fence=1) for delivery in deliveries))

    assert sum(turn.taken is not None for turn in turns) == SLOTS


async def test_the_end_of_an_attempt_gives_its_place_to_the_oldest_that_waits(post: Post) -> None:
    target = await post.target()
    taken = [await post.take(await post.delivery(target)) for _ in range(SLOTS)]
    waiting = [await post.delivery(target) for _ in range(3)]
    for delivery in reversed(waiting):
        await post.turn(delivery)

    noted = await post.note(taken[0], TAKEN)

    assert [one.errand.delivery_id for one in noted.next] == waiting[:1]
    await post.take(waiting[0])
    assert [one.errand.delivery_id for one in (await post.note(taken[1], FAILED)).next] == waiting[1:2]


async def test_an_attempt_that_nobody_has_heard_of_for_minutes_takes_up_no_place(post: Post) -> None:
    target = await post.target()
    for _ in range(SLOTS):
        await post.take(await post.delivery(target))
    await post.desk.rows("UPDATE delivery_attempt SET begun_at = begun_at - interval '3 minutes'")

    await post.take(await post.delivery(target))


async def test_a_target_that_fails_five_times_is_left_alone_then_asked_by_one(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    deliveries = [await post.delivery(target) for _ in range(FAILURES + 2)]
    for delivery in deliveries[:FAILURES]:
        await post.fail(delivery)

    waits = await post.turn(deliveries[FAILURES])

    assert waits.taken is None
    assert 60 <= waits.seconds <= 63
    await post.take(await post.delivery(other))

    await change(post.store, "target", target, open_until=LATER)
    await post.due(*deliveries[FAILURES:])
    probe = await post.take(deliveries[FAILURES])
    second = await post.turn(deliveries[FAILURES + 1])
    assert second.taken is None
    assert 1 <= second.seconds <= 3

    # It fails: it is left alone for longer. The next one arrives: all may come again.
    await post.note(probe, FAILED)
    row = await row_of(post.store, "target", target)
    assert row["failures"] == FAILURES + 1
    assert 890 < (row["open_until"] - row["updated_at"]).total_seconds() < 905
    await change(post.store, "target", target, open_until=LATER)
    await post.due(*deliveries)
    noted = await post.note(await post.take(deliveries[FAILURES + 1]), TAKEN)
    assert [one.errand.delivery_id for one in noted.next] == []
    for delivery in deliveries[: FAILURES + 1]:
        await post.take(delivery)


async def test_failures_of_attempts_that_began_before_a_pause_do_not_prolong_it(post: Post) -> None:
    target = await post.target()
    taken = [await post.take(await post.delivery(target)) for _ in range(SLOTS)]

    for one in taken:
        await post.note(one, FAILED)

    row = await row_of(post.store, "target", target)
    assert row["failures"] == FAILURES
    assert (row["open_until"] - row["updated_at"]).total_seconds() < 70


async def test_a_secret_that_no_key_opens_is_not_its_targets_failure(post: Post) -> None:
    target = await post.target()
    delivery = await post.delivery(target)

    noted = await post.fail(delivery, Came(code="SECRET_UNUSABLE", ours=True))

    assert noted.state == "pending"
    assert (await row_of(post.store, "target", target))["failures"] == 0


async def test_what_waited_for_a_target_until_its_time_was_up_is_a_dead_letter(post: Post) -> None:
    target = await post.target()
    delivery = await post.delivery(target)
    await change(post.store, "delivery", delivery, round_at="now() - interval '1 day'")
    await change(post.store, "target", target, failures="7", open_until="now() + interval '1 hour'")

    assert (await post.turn(delivery)).over
    assert await post.state(delivery) == ("dead", "EXHAUSTED")


async def test_what_is_late_since_all_was_down_here_is_tried(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    await change(post.store, "delivery", delivery, round_at="now() - interval '30 days'")

    assert (await post.note(await post.take(delivery), FAILED)).state == "pending"


# What becomes of it meanwhile.


async def test_a_delivery_that_was_deleted_in_mid_attempt_is_over(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    taken = await post.take(delivery)
    await post.store.deliveries.delete(post.desk.caller, delivery)

    assert (await post.note(taken, TAKEN)).state is None
    assert (await post.turn(delivery)).over


async def test_what_was_given_up_in_mid_attempt_stays_so_and_keeps_no_words(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    taken = await post.take(delivery)
    kind = await post.store.sending.lost(_errand(post, delivery))

    noted = await post.note(taken, TAKEN)

    assert (kind, noted.state) == ("webhook", None)
    assert await post.state(delivery) == ("dead", "PLAN_LOST")
    assert [(row["status"], row["body"]) for row in await post.attempts(delivery)] == [(200, None)]


async def test_a_plan_of_an_earlier_round_does_nothing(post: Post) -> None:
    delivery = await post.delivery(await post.target(), round=2)

    assert (await post.turn(delivery, round=1)).over
    assert await post.store.sending.lost(_errand(post, delivery)) is None
    assert (await post.turn(delivery, round=2)).taken is not None


# Whoever looks after them.


async def test_each_is_claimed_by_one_worker_and_looked_after_again_later(post: Post) -> None:
    target = await post.target()
    made = {await post.delivery(target) for _ in range(SLOTS)}

    claims = await asyncio.gather(*(post.due_ones() for _ in range(4)))

    claimed = [one.errand.delivery_id for claim in claims for one in claim]
    assert sorted(claimed) == sorted(made)
    assert all(one.fresh and one.due for claim in claims for one in claim)
    assert not await post.due_ones()


async def test_a_crowd_for_one_target_is_not_started_at_once_but_as_its_places_are_free(post: Post) -> None:
    target, other = await post.target(), await post.target("https://other.example/")
    crowd = [await post.delivery(target) for _ in range(2 * SLOTS)]
    apart = await post.delivery(other)

    started = [one.errand.delivery_id for one in await post.due_ones()]
    taken = [await post.take(delivery) for delivery in crowd[:SLOTS]]
    noted = await post.note(taken[0], TAKEN)

    assert sorted(started) == sorted([*crowd[:SLOTS], apart])
    assert not await post.due_ones()
    assert [(one.errand.delivery_id, one.fresh) for one in noted.next] == [(crowd[SLOTS], True)]


async def test_nothing_is_started_for_a_target_that_is_left_alone_but_for_an_hour(post: Post) -> None:
    target = await post.target()
    young, old = await post.delivery(target), await post.delivery(target)
    await change(post.store, "target", target, failures="5", open_until="now() + interval '2 hours'")
    await change(post.store, "delivery", old, round_at="now() - interval '61 minutes'")

    assert [one.errand.delivery_id for one in await post.due_ones()] == [old]

    await change(post.store, "target", target, open_until=LATER)
    await change(post.store, "delivery", young, look_at=LATER)
    assert [one.errand.delivery_id for one in await post.due_ones()] == [young]


async def test_one_that_nobody_could_start_is_fresh_again_in_a_second(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    (first,) = await post.due_ones()
    await post.store.sending.soon([delivery])
    assert not await post.due_ones()

    await change(post.store, "delivery", delivery, look_at=LATER)

    assert await post.due_ones() == [first]


async def test_one_that_is_under_way_is_asked_after_only_when_it_is_silent(post: Post) -> None:
    delivery = await post.delivery(await post.target())
    await post.due_ones()
    await post.fail(delivery)
    row = await row_of(post.store, "delivery", delivery)
    assert 25 < (row["look_at"] - row["next_at"]).total_seconds() < 35

    await change(post.store, "delivery", delivery, look_at=LATER)
    (found,) = await post.due_ones()

    assert (found.fresh, found.due) == (False, False)


async def test_those_that_have_not_arrived_are_counted(post: Post) -> None:
    target = await post.target()
    for _ in range(3):
        await post.delivery(target)
    await post.fail(await post.delivery(target), Came(code="ABORTED", final=True))
    await post.fail(await post.delivery(target), TAKEN)

    assert await post.store.sending.counted() == {"pending": 3, "dead": 1}


def _errand(post: Post, delivery: str) -> Errand:
    return Errand(delivery_id=delivery, account_id=post.desk.account, round=1)
