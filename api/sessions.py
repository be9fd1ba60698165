"""Sessions: tokens that a site's own server makes for the browsers of its visitors."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from api.bodies import WHOLE, Body, Meta
from api.call import Keyed
from api.conversations import Said
from api.given import GivenMessage, new_messages
from api.wire import At, Made
from domain.session import LONGEST, SHORTEST, USUAL, Opening


class CreateSession(Body):
    duration_in_seconds: Annotated[int, Field(ge=SHORTEST, le=LONGEST), WHOLE] = USUAL


class CreateSessionWithBot(CreateSession):
    messages: Annotated[tuple[GivenMessage, ...], Field(max_length=10_000, fail_fast=True)] = ()
    meta: Meta | None = None


class MadeSession(Made):
    token: str
    expires_at: At


class MadeSessionWithBot(MadeSession):
    conversation_id: str
    messages: tuple[Said, ...] | None = None


async def create(call: Keyed, body: CreateSession) -> MadeSession:
    """A token that opens this conversation, and nothing else, until it expires."""
    made = await call.store.sessions.create(
        call.caller, call.id("conversation"), call.key(body), body.duration_in_seconds
    )
    return MadeSession(id=made.id, token=call.desk.tokens.sign(made), expires_at=made.expires_at)


async def create_with_bot(call: Keyed, body: CreateSessionWithBot) -> MadeSessionWithBot:
    """A conversation with this bot, with its first messages, and a token that opens it."""
    messages = new_messages(body.messages)
    opening = Opening(
        bot_id=call.id("bot"), messages=messages, meta=body.meta, seconds=body.duration_in_seconds
    )
    made = await call.store.sessions.create_with_bot(call.caller, call.key(body), opening)
    return MadeSessionWithBot(
        id=made.id,
        conversation_id=made.conversation_id,
        token=call.desk.tokens.sign(made),
        expires_at=made.expires_at,
        messages=tuple(Said(type=message.type, text=message.text) for message in messages) or None,
    )
