"""Ratings: votes on bots, conversations and messages, and their lists."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field, computed_field
from starlette.responses import Response

from api import aliases
from api.bodies import Body, Text
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Item, Made
from domain.rating import BEST, WORST, Vote
from store.ratings import RatingFilter


class Upvote(Body):
    value: Annotated[float, Field(gt=0, le=BEST)] | None = BEST
    reason: Text | None = None

    @property
    def vote(self) -> Vote:
        return Vote(value=self.value or BEST, reason=self.reason)


class Downvote(Body):
    value: Annotated[float, Field(ge=WORST, lt=0)] | None = WORST
    reason: Text | None = None

    @property
    def vote(self) -> Vote:
        return Vote(value=self.value or WORST, reason=self.reason)


class RatingItem(Item):
    id: str
    conversation_id: str | None = None
    message_id: str | None = None
    bot_id: str | None = None
    contact_id: str | None = None
    value: float
    reason: str | None = None
    created_at: At

    @computed_field
    def updated_at(self) -> int:
        """A rating does not change."""
        return self.created_at

    def shown(self) -> dict[str, Any]:
        shown = super().shown()
        return shown | ({"value": int(self.value)} if self.value.is_integer() else {})


class ContactRatingQuery(Query):
    META = False


class RatingQuery(ContactRatingQuery):
    KNOWN = frozenset({"conversationId", "messageId", "botId", "contactId"})


async def upvote_conversation(call: Keyed, body: Upvote) -> Made:
    return await _rate_conversation(call, body)


async def downvote_conversation(call: Keyed, body: Downvote) -> Made:
    return await _rate_conversation(call, body)


async def upvote_message(call: Keyed, body: Upvote) -> Made:
    return await _rate_message(call, body)


async def downvote_message(call: Keyed, body: Downvote) -> Made:
    return await _rate_message(call, body)


async def upvote_bot(call: Keyed, body: Upvote) -> Made:
    return await _rate_bot(call, body)


async def downvote_bot(call: Keyed, body: Downvote) -> Made:
    return await _rate_bot(call, body)


async def list_(call: Call, query: RatingQuery) -> Annotated[Response, Listed(RatingItem)]:
    narrow = RatingFilter(
        conversation_ids=query.some("conversationId"),
        message_ids=query.some("messageId"),
        bot_ids=await aliases.in_filter(call, "bot", query.some("botId")),
        contact_ids=query.some("contactId"),
    )
    return await _listed(call, query, narrow)


async def of_contact(call: Call, query: ContactRatingQuery) -> Annotated[Response, Listed(RatingItem)]:
    contact = await call.store.contacts.fetch(call.account_id, call.id("contact"))
    return await _listed(call, query, RatingFilter(contact_ids=[contact.id]))


async def _listed(call: Call, query: Query, narrow: RatingFilter) -> Response:
    return await listed(
        call, query, lambda page: call.store.ratings.list(call.account_id, page, narrow), RatingItem
    )


async def _rate_conversation(call: Keyed, body: Upvote | Downvote) -> Made:
    conversation_id = call.id("conversation")
    await call.store.ratings.of_conversation(call.caller, call.key(body), conversation_id, body.vote)
    return Made(id=conversation_id)


async def _rate_message(call: Keyed, body: Upvote | Downvote) -> Made:
    place = (call.id("conversation"), call.id("message"))
    await call.store.ratings.of_message(call.caller, call.key(body), place, body.vote)
    return Made(id=place[1])


async def _rate_bot(call: Keyed, body: Upvote | Downvote) -> Made:
    bot_id = call.id("bot")
    await call.store.ratings.of_bot(call.caller, call.key(body), bot_id, body.vote)
    return Made(id=bot_id)
