"""Conversations."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import Field
from starlette.responses import Response

from api import aliases
from api.bodies import Ahead, Id, Model, Named, Text
from api.call import Call, Keyed
from api.completions import check_model
from api.contacts import ContactObject
from api.given import GivenMessage, new_messages
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Item, Made, Object
from domain.conversation import OnBusy
from store.conversations import ConversationFilter

_LATER = frozenset({"spaceId", "datasetId", "privacy", "moderation"})


class Update(Named):
    NOT_SERVED: ClassVar = _LATER

    bot_id: Id | None = None
    contact_id: Id | ContactObject | None = None
    task_id: Id | None = None
    """The task that it belongs to."""
    model: Model | None = None
    backstory: Text | None = None
    skillset_id: Id | None = None
    """Whose abilities its agent has, instead of those of its bot's."""
    on_busy: OnBusy | None = None
    expires_at: Ahead | None = None
    """When the server removes it, as conversation/delete does."""

    def given(self) -> dict[str, Any]:
        """As any body's, with a contact given as an object under `contact`."""
        given = super().given()
        if isinstance(self.contact_id, ContactObject):
            given["contact"] = self.contact_id.given()
            given["contact_id"] = None
        return given


class Create(Update):
    messages: Annotated[tuple[GivenMessage, ...], Field(max_length=10_000, fail_fast=True)] = ()


class Said(Item):
    type: str
    text: str


class MadeConversation(Made):
    messages: tuple[Said, ...] | None = None


class ConversationItem(Object):
    bot_id: str | None = None
    contact_id: str | None = None
    task_id: str | None = None
    model: str | None = None
    backstory: str | None = None
    skillset_id: str | None = None
    on_busy: str | None = None
    expires_at: At | None = None


class ConversationQuery(Query):
    KNOWN = MANY = frozenset({"botId", "contactId", "taskId"})


async def create(call: Keyed, body: Create) -> MadeConversation:
    check_model(body.model)
    messages = new_messages(body.messages)
    given = await aliases.in_body(call, body.given())
    conversation_id = await call.store.conversations.create(call.caller, call.key(body), given, messages)
    said = tuple(Said(type=message.type, text=message.text) for message in messages)
    return MadeConversation(id=conversation_id, messages=said or None)


async def fetch(call: Call) -> ConversationItem:
    conversation = await call.store.conversations.fetch(call.account_id, call.id("conversation"))
    return ConversationItem.model_validate(conversation)


async def list_(call: Call, query: ConversationQuery) -> Annotated[Response, Listed(ConversationItem)]:
    bots = await aliases.in_filter(call, "bot", query.some("botId"))
    narrow = ConversationFilter(
        bot_ids=bots, contact_ids=query.some("contactId"), task_ids=query.some("taskId")
    )
    return await _listed(call, query, narrow)


async def export(
    call: Call, query: ConversationQuery
) -> Annotated[Response, Listed(ConversationItem, csv=True)]:
    return await list_(call, query)


async def of_contact(call: Call, query: Query) -> Annotated[Response, Listed(ConversationItem)]:
    contact = await call.store.contacts.fetch(call.account_id, call.id("contact"))
    return await _listed(call, query, ConversationFilter(contact_ids=[contact.id]))


async def update(call: Call, body: Update) -> Made:
    conversation_id = call.id("conversation")
    check_model(body.model)
    given = await aliases.in_body(call, body.given())
    await call.store.conversations.update(call.caller, conversation_id, given)
    return Made(id=conversation_id)


async def delete(call: Call) -> Made:
    """Ends its runs, tells their readers, and removes what was said."""
    conversation_id = call.id("conversation")
    for plan in await call.store.conversations.delete(call.caller, conversation_id):
        call.desk.tell(plan, "deleted")
    return Made(id=conversation_id)


async def _listed(call: Call, query: Query, narrow: ConversationFilter) -> Response:
    return await listed(
        call,
        query,
        lambda page: call.store.conversations.list(call.account_id, page, query.meta, narrow),
        ConversationItem,
    )
