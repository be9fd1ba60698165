"""Contacts."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import Response

from api.bodies import Id, Moment, Name, Named, Text
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Made, Object


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


class Upsert(Named):
    fingerprint: Id | None = None
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


async def create(call: Keyed, body: ContactBody) -> Made:
    return Made(id=await call.store.contacts.create(call.caller, call.key(body), body.given()))


async def ensure(call: Call, body: Ensure) -> Made:
    """The contact of a fingerprint, unchanged if it is there, else made as given."""
    return Made(id=await call.store.contacts.ensure(call.caller, body.given()))


async def upsert(call: Call, body: Upsert) -> Made:
    """Says who a conversation is held with; see `Contacts.upsert` for whose contact is made or changed."""
    return Made(id=await call.store.contacts.upsert(call.caller, call.id("conversation"), body.given()))


async def fetch(call: Call) -> ContactItem:
    return ContactItem.model_validate(await call.store.contacts.fetch(call.account_id, call.id("contact")))


async def list_(call: Call, query: Query) -> Annotated[Response, Listed(ContactItem)]:
    return await listed(
        call, query, lambda page: call.store.contacts.list(call.account_id, page, query.meta), ContactItem
    )


async def export(call: Call, query: Query) -> Annotated[Response, Listed(ContactItem, csv=True)]:
    return await list_(call, query)


async def update(call: Call, body: ContactBody) -> Made:
    contact_id, given = call.id("contact"), body.given()
    if given.get("fingerprint", "") is None:
        given.pop("fingerprint")
    await call.store.contacts.update(call.caller, contact_id, given)
    return Made(id=contact_id)


async def delete(call: Call) -> Made:
    contact_id = call.id("contact")
    await call.store.contacts.delete(call.caller, contact_id)
    return Made(id=contact_id)
