"""Secrets: a value goes in and never comes out."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, PlainSerializer, SecretStr, WithJsonSchema
from starlette.responses import Response

from api.aliases import Aliased
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import Made, Object
from domain.errors import NotServed, SecretUnusable
from domain.secret import LONGEST, SecretType

_SERVED: tuple[SecretType, ...] = get_args(SecretType)

# As JSON it is plain, so that a call's fingerprint tells two values apart.
Value = Annotated[
    SecretStr,
    Field(min_length=1, max_length=LONGEST),
    PlainSerializer(SecretStr.get_secret_value, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": LONGEST, "writeOnly": True}),
]


class SecretBody(Aliased):
    NOT_SERVED: ClassVar = frozenset({"blueprintId", "config", "visibility"})

    kind: Literal["shared", "personal"] = "shared"
    type: Literal["plain", "basic", "bearer", "jwt", "oauth", "template", "reference"] = "plain"
    value: Value | None = None
    """Never shown again: a token, a key, or `user:password` of a basic one. Null clears it."""

    def given(self) -> dict[str, Any]:
        """As any body's. Raises NotServed for what this server has no use for."""
        given = super().given()
        if given.pop("kind", "shared") != "shared":
            raise NotServed("kind: each contact's own are not served yet; send `shared`, or leave it out.")
        if self.type not in _SERVED:
            raise NotServed(f"type: {self.type} is not served yet; {', '.join(_SERVED)} are.")
        return given


class SecretItem(Object):
    alias: str | None = None
    kind: Literal["shared"] = "shared"
    type: SecretType


class Verified(Made):
    status: Literal["authenticated", "unauthenticated"]
    """Whether it has a value, and this server has the key to it."""


async def create(call: Keyed, body: SecretBody) -> Made:
    given = body.given()
    return Made(id=await call.store.secrets.create(call.caller, call.key(body), given))


async def fetch(call: Call) -> SecretItem:
    return SecretItem.model_validate(await call.store.secrets.fetch(call.account_id, call.id("secret")))


async def list_(call: Call, query: Query) -> Annotated[Response, Listed(SecretItem)]:
    return await listed(
        call, query, lambda page: call.store.secrets.list(call.account_id, page, query.meta), SecretItem
    )


async def update(call: Call, body: SecretBody) -> Made:
    secret_id = call.id("secret")
    await call.store.secrets.update(call.caller, secret_id, body.given())
    return Made(id=secret_id)


async def delete(call: Call) -> Made:
    """What refers to it stays, and fails at its next use."""
    secret_id = call.id("secret")
    await call.store.secrets.delete(call.caller, secret_id)
    return Made(id=secret_id)


async def verify(call: Call) -> Verified:
    """Whether an ability can use it now. Nothing is sent anywhere."""
    secret_id = call.id("secret")
    try:
        await call.store.secrets.reveal(call.account_id, secret_id)
    except SecretUnusable:
        return Verified(id=secret_id, status="unauthenticated")
    return Verified(id=secret_id, status="authenticated")
