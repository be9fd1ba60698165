"""Bots."""

from __future__ import annotations

from typing import ClassVar

from starlette.responses import JSONResponse, Response

from api.bodies import Named, Text
from api.call import Call
from api.completions import check_model
from api.lists import Query, listed
from api.wire import Object


class BotBody(Named):
    NOT_SERVED: ClassVar = frozenset(
        {"alias", "blueprintId", "datasetId", "skillsetId", "privacy", "moderation", "visibility"}
    )

    model: Text | None = None
    backstory: Text | None = None


class BotItem(Object):
    model: str | None = None
    backstory: str | None = None


async def create(call: Call) -> Response:
    body = await call.body(BotBody)
    check_model(body.model)
    return JSONResponse({"id": await call.store.bots.create(call.account_id, call.key(body), body.given())})


async def fetch(call: Call) -> Response:
    bot = await call.store.bots.fetch(call.account_id, call.id("bot"))
    return JSONResponse(BotItem.model_validate(bot).shown())


async def list_(call: Call) -> Response:
    query = Query(call)
    return await listed(
        call, query, lambda page: call.store.bots.list(call.account_id, page, query.meta), BotItem
    )


async def update(call: Call) -> Response:
    bot_id, body = call.id("bot"), await call.body(BotBody)
    check_model(body.model)
    await call.store.bots.update(call.account_id, bot_id, body.given())
    return JSONResponse({"id": bot_id})


async def delete(call: Call) -> Response:
    bot_id = call.id("bot")
    await call.no_body()
    await call.store.bots.delete(call.account_id, bot_id)
    return JSONResponse({"id": bot_id})
