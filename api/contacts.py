"""Contacts."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import AfterValidator
from starlette.responses import JSONResponse, Response

from api.bodies import Id, Millis, Name, Named, Text
from api.call import Call
from api.lists import Query, listed
from api.wire import At, Object


def _moment(value: int) -> Any:
    return datetime.fromtimestamp(value / 1000, UTC)


Moment = Annotated[Millis, AfterValidator(_moment)]


class ContactBody(Named):
    fingerprint: Id | None = None
    email: Name | None = None
    phone: Name | None = None
    nick: Name | None = None
    preferences: Text | None = None
    verified_at: Moment | None = None


class ContactObject(Named):
    """A contact inside another call: found by its fingerprint, or made."""

    fingerprint: Id
    email: Name | None = None
    phone: Name | None = None
    nick: Name | None = None


class Ensure(ContactBody):
    fingerprint: Id


class ContactItem(Object):
    fingerprint: str
    email: str | None = None
    phone: str | None = None
    nick: str | None = None
    preferences: str | None = None
    verified_at: At | None = None


async def create(call: Call) -> Response:
    body = await call.body(ContactBody)
    return JSONResponse(
        {"id": await call.store.contacts.create(call.account_id, call.key(body), body.given())}
    )


async def ensure(call: Call) -> Response:
    body = await call.body(Ensure)
    return JSONResponse({"id": await call.store.contacts.ensure(call.account_id, body.given())})


async def fetch(call: Call) -> Response:
    contact = await call.store.contacts.fetch(call.account_id, call.id("contact"))
    return JSONResponse(ContactItem.model_validate(contact).shown())


async def list_(call: Call) -> Response:
    query = Query(call)
    return await listed(
        call, query, lambda page: call.store.contacts.list(call.account_id, page, query.meta), ContactItem
    )


async def update(call: Call) -> Response:
    contact_id, body = call.id("contact"), await call.body(ContactBody)
    given = body.given()
    if given.get("fingerprint", "") is None:
        given.pop("fingerprint")
    await call.store.contacts.update(call.account_id, contact_id, given)
    return JSONResponse({"id": contact_id})


async def delete(call: Call) -> Response:
    contact_id = call.id("contact")
    await call.no_body()
    await call.store.contacts.delete(call.account_id, contact_id)
    return JSONResponse({"id": contact_id})
