"""Ratings: votes on bots, conversations and messages, kept for as long as what was rated."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from domain import ids
from tests.api.test_audit import told
from tests.tenant import Tenant

RATED = ["bot", "conversation", "message"]
LEFT = {
    "bot": "SELECT FROM rating WHERE bot_id = $1 AND conversation_id IS NULL",
    "conversation": "SELECT FROM rating WHERE conversation_id = $1",
    "message": "SELECT FROM rating WHERE message_id = $1",
}
"""Ratings that went with what they rated."""


async def made(tenant: Tenant) -> dict[str, str]:
    """A bot and a contact, their conversation and a message of it."""
    bot = (await tenant.api.ok("/v1/bot/create"))["id"]
    contact = (await tenant.api.ok("/v1/contact/create"))["id"]
    conversation = await tenant.api.conversation(botId=bot, contactId=contact)
    message = (await tenant.api.ok(f"/v1/conversation/{conversation}/send", {"text": "x"}))["id"]
    return {"bot": bot, "contact": contact, "conversation": conversation, "message": message}


def path(of: str, names: dict[str, str]) -> str:
    if of == "message":
        return f"/v1/conversation/{names['conversation']}/message/{names['message']}"
    return f"/v1/{of}/{names[of]}"


async def listed(tenant: Tenant, query: str = "") -> list[dict[str, Any]]:
    return list((await tenant.api.get(f"/v1/rating/list?{query}")).body["items"])


@pytest.mark.parametrize(("vote", "worth"), [("upvote", 100), ("downvote", -100)])
@pytest.mark.parametrize("of", RATED)
async def test_a_vote_is_worth_all_or_nothing_unless_it_says_otherwise(
    tenant: Tenant, of: str, vote: str, worth: int
) -> None:
    names = await made(tenant)
    less = {"value": worth / 8, "reason": "because"}

    for body in ({}, {"value": None, "reason": None}, less):
        assert await tenant.api.ok(f"{path(of, names)}/{vote}", body) == {"id": names[of]}

    ratings = await listed(tenant, "order=asc")
    assert [rating["value"] for rating in ratings] == [worth, worth, worth / 8]
    assert [rating.get("reason") for rating in ratings] == [None, None, "because"]


@pytest.mark.parametrize("of", RATED)
async def test_a_rating_tells_what_was_rated_and_with_whom(tenant: Tenant, of: str) -> None:
    names = await made(tenant)

    await tenant.api.ok(f"{path(of, names)}/upvote", {"value": 7})

    (rating,) = await listed(tenant)
    about = {
        "bot": ("botId",),
        "conversation": ("botId", "contactId", "conversationId"),
        "message": ("botId", "contactId", "conversationId", "messageId"),
    }[of]
    expected = {name: names[name.removesuffix("Id")] for name in about}
    assert rating == expected | {
        "id": rating["id"],
        "value": 7,
        "createdAt": rating["createdAt"],
        "updatedAt": rating["createdAt"],
    }
    assert rating["id"].startswith("rate_")


@pytest.mark.parametrize("value", [0, -1, 100.1, 1e300, "100", True, [100], {}])
async def test_an_upvote_is_more_than_0_and_at_most_100(tenant: Tenant, value: Any) -> None:
    names = await made(tenant)

    for of in RATED:
        status, up, _ = await tenant.api.post(f"{path(of, names)}/upvote", {"value": value})
        assert (status, up["code"]) == (400, "BAD_REQUEST")
        assert "value" in up["message"]
        against = -value if isinstance(value, int | float) and value is not True else value
        status, down, _ = await tenant.api.post(f"{path(of, names)}/downvote", {"value": against})
        assert (status, down["code"]) == (400, "BAD_REQUEST")
    assert await listed(tenant) == []


async def test_the_ratings_of_a_contact_are_those_of_its_conversations(tenant: Tenant) -> None:
    names, others = await made(tenant), await made(tenant)
    for of in RATED:
        await tenant.api.ok(f"{path(of, names)}/upvote")
        await tenant.api.ok(f"{path(of, others)}/downvote")
    url = f"/v1/contact/{names['contact']}/rating/list"

    page = (await tenant.api.get(f"{url}?take=1")).body
    rest = (await tenant.api.get(f"{url}?cursor={page['cursor']}")).body
    last = (await tenant.api.get(f"{url}?cursor={rest['cursor']}")).body

    assert [rating.get("messageId") for rating in page["items"] + rest["items"]] == [names["message"], None]
    assert {rating["contactId"] for rating in page["items"] + rest["items"]} == {names["contact"]}
    assert last == {"items": [], "cursor": ""}


async def test_ratings_are_listed_by_what_they_are_about(tenant: Tenant) -> None:
    names, others = await made(tenant), await made(tenant)
    for of in RATED:
        await tenant.api.ok(f"{path(of, names)}/upvote")
        await tenant.api.ok(f"{path(of, others)}/upvote")

    counts = {
        of: [
            len(await listed(tenant, f"{of}Id={names[of]}")),
            len(await listed(tenant, f"{of}Id={names[of]},%20{others[of]}")),
        ]
        for of in (*RATED, "contact")
    }
    unknown = await tenant.api.get("/v1/rating/list?meta.a=b")

    assert counts == {"bot": [3, 6], "conversation": [2, 4], "message": [1, 2], "contact": [2, 4]}
    assert unknown.status == 400


async def test_a_rating_keeps_the_bot_and_the_contact_it_was_given_with(tenant: Tenant) -> None:
    names = await made(tenant)
    await tenant.api.ok(f"{path('conversation', names)}/upvote")

    await tenant.api.ok(f"{path('conversation', names)}/update", {"botId": None, "contactId": None})
    await tenant.api.ok(f"{path('conversation', names)}/upvote")

    second, first = await listed(tenant)
    assert (first["botId"], first["contactId"]) == (names["bot"], names["contact"])
    assert not {"botId", "contactId"} & {*second}


async def test_a_rating_goes_with_what_was_rated(tenant: Tenant) -> None:
    names = await made(tenant)

    async def voted() -> None:
        for of in RATED:
            await tenant.api.ok(f"{path(of, names)}/upvote", {"reason": "canary"})

    await voted()
    await tenant.api.ok(f"{path('message', names)}/delete")
    assert len(await listed(tenant)) == 2
    await tenant.api.ok(f"{path('conversation', names)}/delete")
    assert len(await listed(tenant)) == 1
    await tenant.api.ok(f"{path('bot', names)}/delete")
    assert (await tenant.belongings())["rating"] == 0


async def test_a_conversations_ratings_stay_when_its_bot_and_its_contact_go(tenant: Tenant) -> None:
    names = await made(tenant)
    for of in RATED:
        await tenant.api.ok(f"{path(of, names)}/upvote")
    before = await listed(tenant, f"conversationId={names['conversation']}")

    await tenant.api.ok(f"{path('bot', names)}/delete")
    await tenant.api.ok(f"/v1/contact/{names['contact']}/delete")

    assert [rating.get("messageId") for rating in before] == [names["message"], None]
    assert await listed(tenant) == before


async def test_a_vote_repeated_under_its_key_counts_once_and_without_a_key_every_time(tenant: Tenant) -> None:
    names = await made(tenant)

    for of in RATED:
        for _ in range(2):
            answer = await tenant.api.ok(f"{path(of, names)}/upvote", {}, **{"Idempotency-Key": "k"})
            assert answer == {"id": names[of]}
        status, other, _ = await tenant.api.post(
            f"{path(of, names)}/upvote", {"value": 1}, **{"Idempotency-Key": "k"}
        )
        assert (status, other["code"]) == (409, "CONFLICT")
    once = len(await listed(tenant))
    for _ in range(2):
        await tenant.api.ok(f"{path('bot', names)}/upvote")

    assert once == len(RATED)
    assert len(await listed(tenant)) == once + 2


async def test_a_vote_is_told_in_the_audit_log_without_its_reason(tenant: Tenant) -> None:
    names = await made(tenant)

    await tenant.api.ok(f"{path('message', names)}/downvote", {"reason": "canary"})

    (rating,) = await listed(tenant)
    (entry,) = await tenant.acts("rating.create")
    about = ("conversationId", "messageId", "botId", "contactId")
    assert told(entry)[1] == {name: rating[name] for name in about} | {"ratingId": rating["id"]}
    assert "canary" not in str(entry)
    found = (await tenant.api.get(f"/v1/event/log/list?ratingId={rating['id']}")).body["items"]
    assert found == [entry]


async def test_what_is_not_there_cannot_be_rated(tenant: Tenant) -> None:
    names = await made(tenant)
    nobody = {"bot": ids.bot(), "conversation": ids.conversation(), "message": ids.message()}

    for of in RATED:
        status, body, _ = await tenant.api.post(f"{path(of, names | {of: nobody[of]})}/upvote")
        assert (status, body["code"]) == (404, "NOT_FOUND")
    assert await listed(tenant) == []


@pytest.mark.parametrize("of", [*RATED, "contact"])
async def test_votes_that_meet_the_end_of_what_they_rate_go_with_it_or_are_refused(
    tenant: Tenant, of: str
) -> None:
    for _ in range(5):
        names = await made(tenant)
        urls = [f"{path(rated, names)}/upvote" for rated in RATED for _ in range(3)]
        gone = f"/v1/contact/{names['contact']}" if of == "contact" else path(of, names)

        answers = await asyncio.gather(
            *(tenant.api.post(url) for url in urls[:5]),
            tenant.api.post(f"{gone}/delete"),
            *(tenant.api.post(url) for url in urls[5:]),
        )

        assert {answer.status for answer in answers} <= {200, 404}
        assert answers[5].status == 200
        if of in LEFT:
            assert await tenant.house.rows(LEFT[of], names[of]) == []


async def test_a_clone_is_another_bot_of_the_same_name_and_configuration(tenant: Tenant) -> None:
    full = {"name": "n", "description": "d", "meta": {"a": 1}, "model": "gpt-5", "backstory": "b"}
    bot = (await tenant.api.ok("/v1/bot/create", full))["id"]
    await tenant.api.ok(f"/v1/bot/{bot}/upvote")

    clone = (await tenant.api.ok(f"/v1/bot/{bot}/clone", {}, **{"Idempotency-Key": "k"}))["id"]
    again = (await tenant.api.ok(f"/v1/bot/{bot}/clone", {}, **{"Idempotency-Key": "k"}))["id"]
    await tenant.api.ok(f"/v1/bot/{bot}/update", {"name": "changed"})

    found = (await tenant.api.get(f"/v1/bot/{clone}/fetch")).body
    assert again == clone != bot
    assert {name: found[name] for name in full} == full
    assert await listed(tenant, f"botId={clone}") == []
    assert [told(entry)[1] for entry in await tenant.acts("bot.create")] == [{"botId": bot}, {"botId": clone}]
