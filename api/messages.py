"""The messages of a conversation."""

from __future__ import annotations

from typing import ClassVar

from starlette.responses import JSONResponse, Response

from api.bodies import Named, Text
from api.call import Call
from api.completions import GivenMessage, new_messages
from api.lists import Query, listed
from api.wire import Object
from domain.conversation import MessageType
from domain.errors import BadRequest, NotServed


class Create(GivenMessage):
    NOT_SERVED: ClassVar = frozenset({"entities"})


class Update(Named):
    NOT_SERVED: ClassVar = frozenset({"entities"})

    type: MessageType | None = None
    text: Text | None = None


class MessageItem(Object):
    type: str
    text: str
    run_id: str | None = None


async def create(call: Call) -> Response:
    conversation_id, body = call.id("conversation"), await call.body(Create)
    (message,) = new_messages((body,))
    message_id = await call.store.messages.create(call.account_id, conversation_id, call.key(body), message)
    return JSONResponse({"id": message_id, "entities": []})


async def fetch(call: Call) -> Response:
    message = await call.store.messages.fetch(call.account_id, call.id("conversation"), call.id("message"))
    return JSONResponse(MessageItem.model_validate(message).shown())


async def list_(call: Call) -> Response:
    conversation_id, query = call.id("conversation"), Query(call)
    if query.meta:
        raise NotServed("meta: this server does not filter messages by meta yet; leave it out.")
    return await listed(
        call,
        query,
        lambda page: call.store.messages.list(call.account_id, conversation_id, page),
        MessageItem,
    )


async def update(call: Call) -> Response:
    conversation_id, message_id = call.id("conversation"), call.id("message")
    given = (await call.body(Update)).given()
    for required in ("type", "text"):
        if given.get(required, "") is None:
            raise BadRequest(f"{required}: may not be null")
    if given.get("type") == "activity":
        raise NotServed("type: activity messages come with functions, not served yet.")
    await call.store.messages.update(call.account_id, conversation_id, message_id, given)
    return JSONResponse({"id": message_id})


async def delete(call: Call) -> Response:
    conversation_id, message_id = call.id("conversation"), call.id("message")
    await call.no_body()
    await call.store.messages.delete(call.account_id, conversation_id, message_id)
    return JSONResponse({"id": message_id})
