"""The abilities of a skillset."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Self

from pydantic import Field, StringConstraints, model_validator
from starlette.responses import Response

from api import aliases
from api.bodies import Body, Id, Meta
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import Made, Object
from domain import instructions

NAME_LIMIT = 100
DESCRIPTION_LIMIT = 10_000
_EXAMPLE = "```fetch\nGET https://api.example.com/weather?city={city: string}\n```"

AbilityName = Annotated[
    str,
    StringConstraints(max_length=NAME_LIMIT, strip_whitespace=True, min_length=1),
    Field(json_schema_extra={"pattern": r"\S"}),
]
Description = Annotated[
    str,
    StringConstraints(max_length=DESCRIPTION_LIMIT, strip_whitespace=True, min_length=1),
    Field(json_schema_extra={"pattern": r"\S"}),
]
"""What a model is told of it."""
Instruction = Annotated[str, StringConstraints(max_length=instructions.LONGEST), Field(examples=[_EXAMPLE])]
"""One fenced block; `domain.instructions.parse` says what is wrong with one."""


class Create(Body):
    NOT_SERVED: ClassVar = frozenset(
        {
            *("blueprintId", "fileId", "botId", "spaceId"),
            *("linkedFileId", "linkedBotId", "linkedSpaceId"),
        }
    )

    name: AbilityName
    description: Description
    meta: Meta | None = None
    instruction: Instruction
    secret_id: Id | None = None
    linked_secret_id: Id | None = None
    """The same as `secretId`, by the name that newer clients have for it; send one of them."""

    @model_validator(mode="after")
    def _names_it_once(self) -> Self:
        if {"secret_id", "linked_secret_id"} <= self.model_fields_set:
            raise ValueError("secretId and linkedSecretId are two names of one field; send one of them")
        return self

    def given(self) -> dict[str, Any]:
        """As any body's, with its secret under `secret_id`, however it was named."""
        given = super().given()
        if "linked_secret_id" in given:
            given["secret_id"] = given.pop("linked_secret_id")
        return given


class Update(Create):
    # Only what is given is changed, so these are never used; null is refused.
    name: AbilityName = Field(default_factory=str)
    description: Description = Field(default_factory=str)
    instruction: Instruction = Field(default_factory=str)


class AbilityItem(Object):
    name: str
    description: str
    instruction: str
    secret_id: str | None = None
    """Its secret may be gone; then its calls fail."""
    linked_secret_id: Annotated[str | None, Field(validation_alias="secret_id")] = None
    """The same as `secretId`."""


async def create(call: Keyed, body: Create) -> Made:
    """Another tool for whoever has the skillset."""
    instructions.parse(body.instruction)
    given = await aliases.in_body(call, body.given())
    skillset_id = call.id("skillset")
    return Made(id=await call.store.abilities.create(call.caller, skillset_id, call.key(body), given))


async def fetch(call: Call) -> AbilityItem:
    place = (call.id("skillset"), call.id("ability"))
    return AbilityItem.model_validate(await call.store.abilities.fetch(call.account_id, *place))


async def list_(call: Call, query: Query) -> Annotated[Response, Listed(AbilityItem)]:
    return await _listed(call, query)


async def export(call: Call, query: Query) -> Annotated[Response, Listed(AbilityItem, csv=True)]:
    return await _listed(call, query)


async def update(call: Call, body: Update) -> Made:
    place = (call.id("skillset"), call.id("ability"))
    if "instruction" in body.model_fields_set:
        instructions.parse(body.instruction)
    given = await aliases.in_body(call, body.given())
    await call.store.abilities.update(call.caller, place, given)
    return Made(id=place[1])


async def delete(call: Call) -> Made:
    place = (call.id("skillset"), call.id("ability"))
    await call.store.abilities.delete(call.caller, *place)
    return Made(id=place[1])


async def _listed(call: Call, query: Query) -> Response:
    skillset_id = call.id("skillset")
    return await listed(
        call,
        query,
        lambda page: call.store.abilities.list(call.account_id, skillset_id, page, query.meta),
        AbilityItem,
    )
