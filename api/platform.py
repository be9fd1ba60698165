"""What this server offers: the models it knows by name."""

from __future__ import annotations

from typing import Annotated

from starlette.responses import JSONResponse, Response, StreamingResponse

from api.call import Call
from api.lists import Query
from api.signature import Listed
from api.streams import MEDIA_TYPE, framed
from api.wire import Item
from domain import events
from domain.model import MODELS, Model

_MADE = 1_767_225_600_000
"""Catalogue entries have no history; clients require times all the same (2026-01-01)."""

_TYPE = "language"


class ModelItem(Item):
    id: str
    name: str
    description: str
    created_at: int
    updated_at: int
    type: str
    provider: str
    family: str
    max_tokens: int
    max_input_tokens: int
    max_output_tokens: int


class ModelQuery(Query):
    KNOWN = frozenset({"type"})


async def models(call: Call, query: ModelQuery) -> Annotated[Response, Listed(ModelItem)]:
    """The models this server knows by name; others may be asked for too."""
    page = query.page
    # All of them answer in words, and none has meta.
    served = MODELS if query.one("type") in (None, _TYPE) and not query.meta else ()
    known = list(served) if page.ascending else list(reversed(served))
    names = [model.id for model in known]
    start = names.index(page.cursor) + 1 if page.cursor in names else 0
    items = [_item(model) for model in known[start : start + page.take]]
    if call.shape == "json":
        return JSONResponse({"items": items, "cursor": items[-1]["id"] if items else ""})
    lines = [framed(events.rendered({"type": "item", "data": item}), call.shape, None) for item in items]
    return StreamingResponse(iter(lines), media_type=MEDIA_TYPE[call.shape])


def _item(model: Model) -> dict[str, object]:
    told = model.model_dump() | {"created_at": _MADE, "updated_at": _MADE, "type": _TYPE}
    return ModelItem(**told).shown()
