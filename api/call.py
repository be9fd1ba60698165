"""One authenticated request: its caller, its parsed body, its key, and how it wants to be answered."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Literal, TypeVar

from starlette.datastructures import Headers
from starlette.requests import Request

from api.bodies import Body, parse
from api.desk import Desk
from domain import at_hand
from domain.accept import Key
from domain.account import Caller
from domain.errors import BadRequest, NotFound, TooLarge, UnsupportedMedia
from store import Store

B = TypeVar("B", bound=Body)

Shape = Literal["json", "jsonl", "sse", "csv"]
_SHAPES: dict[str, Shape] = {
    "": "json",
    "*/*": "json",
    "application/*": "json",
    "application/json": "json",
    "application/jsonl": "jsonl",
    "text/event-stream": "sse",
}
_EXPORT_SHAPES: dict[str, Shape] = _SHAPES | {"text/csv": "csv"}


class Call:
    def __init__(self, request: Request, caller: Caller, *, csv: bool = False) -> None:
        """`csv`: whether it may be answered with a table."""
        self.request = request
        self.desk: Desk = request.app.state.desk
        self.caller = caller
        self._shapes = _EXPORT_SHAPES if csv else _SHAPES
        self.names: dict[str, str] = dict(request.path_params)
        """What the path names, ids in the place of aliases."""

    @property
    def account_id(self) -> str:
        return self.caller.account_id

    @property
    def store(self) -> Store:
        return self.desk.store

    def id(self, name: str) -> str:
        """An id from the path. One that could never have been made here is unknown, like any other."""
        value = self.names[name]
        if not value.isprintable() or len(value) > 255:
            raise NotFound
        at_hand.add(**{f"{name}_id": value})
        return value

    @property
    def _accepts(self) -> str:
        """The first media range of Accept."""
        first: str = self.request.headers.get("accept", "").split(",")[0].split(";")[0]
        return first.strip().lower()

    @property
    def streams(self) -> bool:
        """Whether a stream is asked for, where there is one."""
        return self._shapes.get(self._accepts, "json") != "json"

    @property
    def shape(self) -> Shape:
        """How the answer is wanted: the first media range of Accept decides."""
        first = self._accepts
        if first not in self._shapes:
            served = ", ".join(name for name in self._shapes if "/" in name and "*" not in name)
            raise BadRequest(f"Accept: {first} is not served here; send one of {served}.")
        return self._shapes[first]

    async def body(self, model: type[B]) -> B:
        """The parsed body; none counts as `{}`. Raises BadRequest, NotServed, TooLarge, UnsupportedMedia."""
        raw = await self._bytes()
        if raw:
            _check_json(self.request.headers)
        return parse(model, raw)

    async def _bytes(self) -> bytes:
        """The body; what is over the limit is not taken in."""
        read = bytearray()
        if int(self.request.headers.get("content-length", 0)) > self.desk.body_bytes:
            raise TooLarge
        async for piece in self.request.stream():
            read += piece
            if len(read) > self.desk.body_bytes:
                raise TooLarge
        return bytes(read)

    def key(self, body: Body) -> Key:
        """The call's claim to be the same as another: its route, its Idempotency-Key, its fingerprint."""
        value = self.request.headers.get("idempotency-key")
        if value is not None and not (0 < len(value) <= 255 and value.isascii() and value.isprintable()):
            raise BadRequest("Idempotency-Key: send 1 to 255 printable ASCII characters.")
        path = self.request.scope["path"]
        route = path[path.index("/v1/") + 4 :]
        asked = json.dumps(body.model_dump(mode="json", exclude_unset=True), sort_keys=True)
        mark = hmac.new(self.desk.secret, f"{route}\n{asked}".encode(), hashlib.sha256)
        return Key(route=route, value=value, fingerprint=mark.digest())


def _check_json(headers: Headers) -> None:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body uncompressed.")
    kind = headers.get("content-type", "application/json").lower().replace(" ", "")
    if kind not in ("application/json", "application/json;charset=utf-8"):
        raise UnsupportedMedia
