"""Bots."""

from __future__ import annotations

from typing import Annotated, ClassVar

from starlette.responses import Response

from api import aliases
from api.aliases import Aliased
from api.bodies import Id, Model, Nothing, Text
from api.call import Call, Keyed
from api.completions import check_model
from api.lists import Query, listed
from api.signature import Listed
from api.wire import Made, Object
from domain.bot import OnBudget


class BotBody(Aliased):
    NOT_SERVED: ClassVar = frozenset({"blueprintId", "datasetId", "privacy", "moderation", "visibility"})

    model: Model | None = None
    backstory: Text | None = None
    skillset_id: Id | None = None
    on_budget: OnBudget | None = None
    """What becomes of a run whose budget (`limits.tokens`) is spent: it waits for a higher one, or ends."""


class BotItem(Object):
    alias: str | None = None
    model: str | None = None
    backstory: str | None = None
    skillset_id: str | None = None
    on_budget: str | None = None


async def create(call: Keyed, body: BotBody) -> Made:
    check_model(body.model)
    given = await aliases.in_body(call, body.given())
    return Made(id=await call.store.bots.create(call.caller, call.key(body), given))


async def clone(call: Keyed, body: Nothing) -> Made:
    """Another bot, with the name and the configuration of this one."""
    return Made(id=await call.store.bots.clone(call.caller, call.key(body), call.id("bot")))


async def fetch(call: Call) -> BotItem:
    return BotItem.model_validate(await call.store.bots.fetch(call.account_id, call.id("bot")))


async def list_(call: Call, query: Query) -> Annotated[Response, Listed(BotItem)]:
    return await listed(
        call, query, lambda page: call.store.bots.list(call.account_id, page, query.meta), BotItem
    )


async def update(call: Call, body: BotBody) -> Made:
    bot_id = call.id("bot")
    check_model(body.model)
    await call.store.bots.update(call.caller, bot_id, await aliases.in_body(call, body.given()))
    return Made(id=bot_id)


async def delete(call: Call) -> Made:
    bot_id = call.id("bot")
    await call.store.bots.delete(call.caller, bot_id)
    return Made(id=bot_id)
