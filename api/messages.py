"""The messages of a conversation."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from starlette.responses import Response

from api.bodies import Named, Text
from api.call import Call, Keyed
from api.given import GivenMessage, new_messages
from api.lists import Query, listed
from api.signature import Listed
from api.wire import Made, Object
from domain.activity import problem
from domain.conversation import MessageType
from domain.errors import BadRequest, NotAuthorized


class Create(GivenMessage):
    NOT_SERVED: ClassVar = frozenset({"entities"})


class Update(Named):
    NOT_SERVED: ClassVar = frozenset({"entities"})

    # Only what is given is changed, so these are never used; null is refused.
    type: MessageType = "user"
    text: Text = ""


class MessageItem(Object):
    type: str
    text: str
    run_id: str | None = None


class MadeMessage(Made):
    entities: tuple[dict[str, Any], ...] = ()


async def create(call: Keyed, body: Create) -> MadeMessage:
    (message,) = new_messages((body,))
    if call.caller.session_id is not None and message.type != "user":
        # Others instruct the model, or speak in its name.
        raise NotAuthorized("type: a session's token speaks for a user; it creates messages of type user.")
    conversation_id = call.id("conversation")
    message_id = await call.store.messages.create(call.caller, conversation_id, call.key(body), message)
    return MadeMessage(id=message_id)


async def fetch(call: Call) -> MessageItem:
    message = await call.store.messages.fetch(call.account_id, call.id("conversation"), call.id("message"))
    return MessageItem.model_validate(message)


async def list_(call: Call, query: Query) -> Annotated[Response, Listed(MessageItem)]:
    conversation_id = call.id("conversation")
    return await listed(
        call,
        query,
        lambda page: call.store.messages.list(call.account_id, conversation_id, page, query.meta),
        MessageItem,
    )


async def update(call: Call, body: Update) -> Made:
    conversation_id, message_id = call.id("conversation"), call.id("message")
    given = body.given()
    await _check_activity(call, (conversation_id, message_id), given)
    await call.store.messages.update(call.caller, (conversation_id, message_id), given)
    return Made(id=message_id)


async def _check_activity(call: Call, place: tuple[str, str], given: dict[str, Any]) -> None:
    """Raises BadRequest for a change after which an activity message would be none."""
    if not given.keys() & {"type", "meta"}:
        return
    message = await call.store.messages.fetch(call.account_id, *place)
    meta = given.get("meta", {})
    # Null clears it; anything else is merged with what is there.
    meta = None if meta is None else message.meta | meta
    wrong = problem(meta) if given.get("type", message.type) == "activity" else None
    if wrong is not None:
        raise BadRequest(f"meta: {wrong}")


async def delete(call: Call) -> Made:
    conversation_id, message_id = call.id("conversation"), call.id("message")
    await call.store.messages.delete(call.caller, conversation_id, message_id)
    return Made(id=message_id)
