"""Attempts at where a target was: they say nothing of where it is now."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from domain.attempt import FAILURES, Came
from domain.destination import Change, Destination
from store import Caps, Keyring, Store
from store.database import Connection
from store.targets import Owner
from tests.deliveries import change, row_of
from tests.store.conftest import Desk
from tests.store.post import FAILED, PACE, TAKEN, Post
from tests.tasks import new_task

OLD, NEW = "https://old.example/hook", "https://new.example/hook"
GONE = Came(code="HTTP_410", status=410, gone=True)


@pytest.fixture
async def post(url: str) -> AsyncIterator[Post]:
    store = await Store.open(url, Caps(), keyring=Keyring((b"k" * 32,)))
    yield Post(Desk(store, await store.accounts.create("an account")))
    await store.close()


class Owned:
    """A task's target."""

    def __init__(self, post: Post, task: str) -> None:
        self._post = post
        self._task = task

    @classmethod
    async def made(cls, post: Post, said: Destination) -> Owned:
        owned = cls(post, await new_task(post.store, post.desk.account))
        await owned.becomes(said)
        return owned

    async def becomes(self, *said: Destination | None) -> None:
        """One after another."""
        for one in said:
            kind = "webhook" if one is None else one.kind
            await self._set({kind: one})

    @property
    async def id(self) -> str:
        (row,) = await self._post.desk.rows("SELECT id FROM target WHERE task_id = $1", self._task)
        return str(row["id"])

    async def _set(self, said: Change) -> None:
        async def work(connection: Connection) -> None:
            owner = Owner("task", self._task)
            await self._post.store.targets.set(connection, self._post.desk.caller, owner, said)

        await self._post.store.database.transact(work)


def at(url: str) -> Destination:
    return Destination(kind="webhook", url=url)


def to(*addresses: str) -> Destination:
    return Destination(kind="email", to=addresses)


@pytest.mark.parametrize("said", [(at(NEW),), (None, at(NEW))], ids=["updated", "removed and set again"])
async def test_a_410_of_where_a_target_was_does_not_disable_it(
    post: Post, said: tuple[Destination | None, ...]
) -> None:
    owned = await Owned.made(post, at(OLD))
    first, second = [await post.delivery(await owned.id) for _ in range(2)]
    taken = await post.take(first)
    await owned.becomes(*said)

    noted = await post.note(taken, GONE)

    assert (noted.state, noted.code) == ("pending", "HTTP_410")
    assert (await row_of(post.store, "target", await owned.id))["disabled_at"] is None
    for delivery in (first, second):
        await post.due(delivery)
        taken = await post.take(delivery)
        assert post.store.sending.webhook(taken).url == NEW
        assert (await post.note(taken, TAKEN)).state == "delivered"


async def test_five_failures_of_where_a_target_was_do_not_pause_it(post: Post) -> None:
    owned = await Owned.made(post, at(OLD))
    taken = [await post.take(await post.delivery(await owned.id)) for _ in range(FAILURES)]
    await owned.becomes(at(NEW))

    for one in taken:
        assert (await post.note(one, FAILED)).state == "pending"

    row = await row_of(post.store, "target", await owned.id)
    assert (row["failures"], row["open_until"]) == (0, None)


async def test_a_success_of_where_a_target_was_does_not_tell_that_it_works(post: Post) -> None:
    owned = await Owned.made(post, at(OLD))
    delivery = await post.delivery(await owned.id)
    taken = await post.take(delivery)
    await owned.becomes(at(NEW))
    await change(post.store, "target", await owned.id, failures="3")

    assert (await post.note(taken, TAKEN)).state == "delivered"

    assert (await row_of(post.store, "target", await owned.id))["failures"] == 3


@pytest.mark.parametrize(
    "came", [FAILED, Came(code="HTTP_503", status=503, after=86_400)], ids=["failed", "asked for a day"]
)
async def test_the_last_failure_of_where_a_target_was_is_tried_at_once_where_it_is(
    post: Post, came: Came
) -> None:
    owned = await Owned.made(post, at(OLD))
    delivery = await post.delivery(await owned.id, attempts=len(PACE.schedule) - 1)
    taken = await post.take(delivery)
    await owned.becomes(at(NEW))

    noted = await post.note(taken, came)

    assert (noted.state, noted.seconds) == ("pending", 0)
    assert post.store.sending.webhook(await post.take(delivery)).url == NEW


async def test_a_letter_refused_for_whom_a_target_named_goes_to_whom_it_names_now(post: Post) -> None:
    owned = await Owned.made(post, to("a@example.com"))
    delivery = await post.delivery(await owned.id)
    taken = await post.take(delivery)
    await owned.becomes(to("b@example.com"))

    noted = await post.note(taken, Came(code="SMTP_550", status=550, final=True))

    assert noted.state == "pending"
    await post.due(delivery)
    assert post.store.sending.letter(await post.take(delivery)).to == ("b@example.com",)


async def test_a_410_of_where_a_target_is_disables_it_whatever_else_was_changed(post: Post) -> None:
    owned = await Owned.made(post, at(OLD))
    taken = await post.take(await post.delivery(await owned.id))
    await owned.becomes(Destination(kind="webhook", url=OLD, events=("failed",)))

    noted = await post.note(taken, GONE)

    assert (noted.state, noted.code) == ("dead", "TARGET_GONE")
    assert (await row_of(post.store, "target", await owned.id))["disabled_code"] == "TARGET_GONE"
