"""Skillsets."""

from __future__ import annotations

from typing import Annotated, ClassVar

from starlette.responses import Response

from api.aliases import Aliased
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import Made, Object


class SkillsetBody(Aliased):
    NOT_SERVED: ClassVar = frozenset({"blueprintId", "visibility"})


class SkillsetItem(Object):
    alias: str | None = None


async def create(call: Keyed, body: SkillsetBody) -> Made:
    return Made(id=await call.store.skillsets.create(call.caller, call.key(body), body.given()))


async def fetch(call: Call) -> SkillsetItem:
    skillset = await call.store.skillsets.fetch(call.account_id, call.id("skillset"))
    return SkillsetItem.model_validate(skillset)


async def list_(call: Call, query: Query) -> Annotated[Response, Listed(SkillsetItem)]:
    return await listed(
        call, query, lambda page: call.store.skillsets.list(call.account_id, page, query.meta), SkillsetItem
    )


async def update(call: Call, body: SkillsetBody) -> Made:
    skillset_id = call.id("skillset")
    await call.store.skillsets.update(call.caller, skillset_id, body.given())
    return Made(id=skillset_id)


async def delete(call: Call) -> Made:
    """Its abilities go with it; bots and conversations that had it stay, without it."""
    skillset_id = call.id("skillset")
    await call.store.skillsets.delete(call.caller, skillset_id)
    return Made(id=skillset_id)
