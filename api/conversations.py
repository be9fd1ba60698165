"""Conversations."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from starlette.responses import JSONResponse, Response

from api.bodies import Id, Named, Text
from api.call import Call
from api.completions import GivenMessage, check_model, new_messages
from api.contacts import ContactObject
from api.lists import Query, listed
from api.wire import Object
from domain.conversation import OnBusy

_LATER = frozenset({"taskId", "spaceId", "datasetId", "skillsetId", "privacy", "moderation", "expiresAt"})


class Update(Named):
    NOT_SERVED: ClassVar = _LATER

    bot_id: Id | None = None
    contact_id: Id | ContactObject | None = None
    model: Text | None = None
    backstory: Text | None = None
    on_busy: OnBusy | None = None

    def given(self) -> dict[str, Any]:
        """As any body's, with a contact given as an object under `contact`."""
        given = super().given()
        if isinstance(self.contact_id, ContactObject):
            given["contact"] = self.contact_id.given()
            given["contact_id"] = None
        return given


class Create(Update):
    messages: Annotated[tuple[GivenMessage, ...], Field(max_length=10_000)] = ()


class ConversationItem(Object):
    bot_id: str | None = None
    contact_id: str | None = None
    model: str | None = None
    backstory: str | None = None
    on_busy: str | None = None


async def create(call: Call) -> Response:
    body = await call.body(Create)
    check_model(body.model)
    messages = new_messages(body.messages)
    conversation_id = await call.store.conversations.create(
        call.account_id, call.key(body), body.given(), messages
    )
    told: dict[str, Any] = {"id": conversation_id}
    if messages:
        told["messages"] = [{"type": message.type, "text": message.text} for message in messages]
    return JSONResponse(told)


async def fetch(call: Call) -> Response:
    conversation = await call.store.conversations.fetch(call.account_id, call.id("conversation"))
    return JSONResponse(ConversationItem.model_validate(conversation).shown())


async def list_(call: Call) -> Response:
    query = Query(call, known=frozenset({"botId", "contactId"}), later=frozenset({"taskId"}))
    of = (query.some("botId"), query.some("contactId"))
    return await listed(
        call,
        query,
        lambda page: call.store.conversations.list(call.account_id, page, query.meta, of),
        ConversationItem,
    )


async def update(call: Call) -> Response:
    conversation_id, body = call.id("conversation"), await call.body(Update)
    check_model(body.model)
    await call.store.conversations.update(call.account_id, conversation_id, body.given())
    return JSONResponse({"id": conversation_id})


async def delete(call: Call) -> Response:
    """Ends its runs, tells their readers, and removes what was said."""
    conversation_id = call.id("conversation")
    await call.no_body()
    for plan in await call.store.conversations.delete(call.account_id, conversation_id):
        call.desk.tell(plan)
    return JSONResponse({"id": conversation_id})
