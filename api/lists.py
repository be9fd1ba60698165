"""Lists: one page as JSON, or all pages as a stream of items."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import TypeAdapter, ValidationError
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Send

from api import tables
from api.streams import MEDIA_TYPE, framed
from api.wire import Item
from domain.errors import BadRequest, HoldfastError, NotServed, Unavailable
from domain.paging import TAKE, Page

if TYPE_CHECKING:
    from api.call import Call

_OURS = frozenset({"cursor", "order", "take"})
_PIECE = 65_536
"""Bytes after which a stream's next piece is sent."""
_TRIES = 5
_PAUSE = 1.0
"""Seconds between the tries for a page of a stream that has begun."""

_log = logging.getLogger(__name__)


class Query:
    """A query string: of a list the page, the filters it knows, and what its objects' meta must contain."""

    KNOWN: ClassVar[frozenset[str]] = frozenset()
    """Filters besides the page's own and `meta`."""
    LATER: ClassVar[frozenset[str]] = frozenset()
    """Upstream's filters that are not served yet."""
    META: ClassVar[bool] = True
    """Whether its objects have meta to filter by."""
    PAGED: ClassVar[bool] = True
    """Whether it asks for a page of a list."""
    MANY: ClassVar[frozenset[str]] = frozenset()
    """Filters that take several values, with commas between them."""
    FORMS: ClassVar[dict[str, TypeAdapter[Any]]] = {}
    """What is in a filter, or is each value of one of MANY, where that is not any text."""

    def __init__(self, call: Call) -> None:
        self._values: dict[str, str] = {}
        self.meta: dict[str, Any] = {}
        known = self.KNOWN | _OURS if self.PAGED else self.KNOWN
        for name, value in call.request.query_params.multi_items():
            _printable(name, value)
            if name in self._values:
                raise BadRequest(f"{name[:100]}: given twice")
            self._values[name] = value
            if self.META and name.startswith(("meta.", "meta[")):
                _nest(self.meta, name, value)
            elif name in self.LATER:
                raise NotServed(f"{name}: this server does not serve this filter yet; leave it out.")
            elif name not in known:
                raise BadRequest(f"{name}: unknown filter")

    @property
    def page(self) -> Page:
        order = self._values.get("order", "desc")
        if order not in ("asc", "desc"):
            raise BadRequest("order: asc or desc")
        return Page(
            cursor=self._values.get("cursor") or None, ascending=order == "asc", take=self.take or TAKE
        )

    @property
    def take(self) -> int | None:
        """As many as asked for, 1 to 100; None when not asked, or not in numbers."""
        text = self._values.get("take", "")
        return min(int(text), TAKE) or None if text.isascii() and text.isdigit() and len(text) < 10 else None

    def one(self, name: str) -> str | None:
        return self._values.get(name) or None

    def formed(self, name: str) -> Any:
        """What is in a filter of FORMS. Raises BadRequest."""
        return self._form(name, self._values[name]) if name in self._values else None

    def some(self, name: str) -> list[str] | None:
        """Comma-separated values. Raises BadRequest where one is none of its form."""
        parts = [part.strip() for part in self._values[name].split(",")] if self.one(name) else None
        return None if parts is None else [self._form(name, part) for part in parts if part]

    def _form(self, name: str, value: str) -> Any:
        if name not in self.FORMS:
            return value
        try:
            return self.FORMS[name].validate_python(value)
        except ValidationError as error:
            raise BadRequest(f"{name}: {error.errors()[0]['msg']}") from None


class NoQuery(Query):
    """Of a call that takes no query: whatever is sent would change nothing."""

    META = False
    PAGED = False


async def listed(
    call: Call, query: Query, fetch: Callable[[Page], Awaitable[Sequence[Any]]], item: type[Item]
) -> Response:
    """Answers with a list. As a stream it goes through all pages, or as many items as `take` says.

    A page of large items is shorter than asked for, so only an empty one is the end. A stream holds one page
    at a time. What is deleted meanwhile is not in it, or was; the place to go on from outlives it.
    """
    shape = call.shape
    rows = await fetch(query.page)
    if shape == "json":
        shown = [item.model_validate(row).shown() for row in rows]
        return JSONResponse({"items": shown, "cursor": shown[-1]["id"] if shown else ""})
    body = _body(call, item, _pages(query, fetch, rows))
    return Whole(body, media_type=MEDIA_TYPE[shape])


class Whole(StreamingResponse):
    """A stream that ends only when all of it was sent.

    Where its rest cannot be had the connection is cut: so a client sees that something is missing.
    """

    async def stream_response(self, send: Send) -> None:
        try:
            await super().stream_response(send)
        except HoldfastError as trouble:
            # The server hangs up on whoever returns without an end.
            _log.warning("a list was cut off: %s", trouble.message)


async def _body(call: Call, item: type[Item], pages: AsyncIterator[Sequence[Any]]) -> AsyncIterator[bytes]:
    """The pages as the caller wants them, in pieces that are worth sending."""
    columns = item.columns()
    if call.shape == "csv":
        yield tables.line(columns)
    async for rows in pages:
        piece = bytearray()
        for row in rows:
            shown = item.model_validate(row).shown()
            if call.shape == "csv":
                piece += tables.line(shown.get(column) for column in columns)
            else:
                line = json.dumps({"type": "item", "data": shown}, separators=(",", ":"))
                piece += framed(line, call.shape, None)
            if len(piece) >= _PIECE:
                yield bytes(piece)
                piece.clear()
        if piece:
            yield bytes(piece)


async def _pages(
    query: Query, fetch: Callable[[Page], Awaitable[Sequence[Any]]], rows: Sequence[Any]
) -> AsyncIterator[Sequence[Any]]:
    left = query.take
    while rows:
        yield rows
        if left is not None:
            left -= len(rows)
            if left <= 0:
                return
        on = {"cursor": rows[-1].id, "take": left or TAKE}
        rows = await _insisted(fetch, query.page.model_copy(update=on))


async def _insisted(fetch: Callable[[Page], Awaitable[Sequence[Any]]], page: Page) -> Sequence[Any]:
    """A page of a stream that has begun: a short outage of Postgres is waited out."""
    for _ in range(_TRIES - 1):
        try:
            return await fetch(page)
        except Unavailable:
            await asyncio.sleep(_PAUSE)
    return await fetch(page)


def _nest(meta: dict[str, Any], name: str, value: str) -> None:
    """`meta.a.b=v`, `meta[a.b]=v`, `meta[a][b]=v`: equality; true and false are booleans, else it is text."""
    dotted = name[5:] if name[4] == "." else name[5:].replace("][", ".").removesuffix("]")
    path = dotted.split(".")
    if not all(path) or len(path) > 8 or (name[4] == "[" and name[-1] != "]"):
        raise BadRequest(f"{name[:100]}: name a key of meta, with dots for nested ones")
    for key in path[:-1]:
        meta = meta.setdefault(key, {})
        if not isinstance(meta, dict):
            raise BadRequest(f"{name[:100]}: contradicts another filter")
    if path[-1] in meta:
        raise BadRequest(f"{name[:100]}: contradicts another filter")
    meta[path[-1]] = {"true": True, "false": False}.get(value, value)


def _printable(name: str, value: str) -> None:
    if not (name + value).isprintable():
        raise BadRequest("The query string contains control characters.")
