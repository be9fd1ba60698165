"""One authenticated request: its caller, its parsed body, its headers, and how it wants to be answered."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
from typing import Any, ClassVar, Literal, TypeVar
from zoneinfo import ZoneInfo

from starlette.datastructures import Headers
from starlette.requests import Request

from api.bodies import Body, parse
from api.desk import Desk
from domain import at_hand
from domain.accept import Key
from domain.account import Caller
from domain.errors import BadRequest, NotFound, TooLarge, UnsupportedMedia
from domain.heard import FORM
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
_KEY = "^[ -~]{1,255}$"
_ENTRY = "^evt_[0-9a-z]{1,60}$"
_SEQ = "^[0-9]{1,18}$"
_LONG = 16_384
"""Bytes of a body from which on it is read beside the loop that everybody shares: it may take a second."""


class Call:
    """What every handler gets. Its subclasses read headers; a handler that takes one says so by its type."""

    HEADERS: ClassVar[dict[str, dict[str, Any]]] = {}
    """The headers this kind of call reads besides Authorization and Accept, as OpenAPI describes them."""

    def __init__(self, request: Request, caller: Caller, *, csv: bool = False) -> None:
        """`csv`: whether it may be answered with a table. Raises BadRequest for a header that is wrong."""
        self.request = request
        self.desk: Desk = request.app.state.desk
        self.caller = caller
        self._shapes = _EXPORT_SHAPES if csv else _SHAPES
        self.names: dict[str, str] = dict(request.path_params)
        """What the path names, ids in the place of aliases."""
        self._read(request.headers)

    def _read(self, headers: Headers) -> None:
        """Takes from the headers what this kind of call takes."""

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
        return await asyncio.to_thread(_read, model, raw) if len(raw) > _LONG else parse(model, raw)

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


class Keyed(Call):
    """A call that makes or starts something, and may be the same as an earlier one."""

    HEADERS: ClassVar = {
        "Idempotency-Key": {
            "description": "The same call with the same key is done once, however often it is sent.",
            "schema": {"type": "string", "pattern": _KEY},
        }
    }

    def _read(self, headers: Headers) -> None:
        super()._read(headers)
        self._key: str | None = headers.get("idempotency-key")
        if self._key is not None and re.fullmatch(_KEY, self._key) is None:
            raise BadRequest("Idempotency-Key: send 1 to 255 printable ASCII characters.")

    def key(self, body: Body) -> Key:
        """The call's claim to be the same as another: its route, its Idempotency-Key, its fingerprint."""
        # With ids in the place of aliases: a word may name another object tomorrow.
        route = self.request.scope["route"].path.format(**self.names).removeprefix("/")
        mark = hmac.new(self.desk.secret, f"{route}\n{{{body.asked}}}".encode(), hashlib.sha256)
        return Key(route=route, value=self._key, fingerprint=mark.digest())


class Following(Call):
    """A call that hears events, and may have heard some of them before."""

    HEADERS: ClassVar = {
        "Last-Event-ID": {
            "description": "The seq of the last event already heard; the stream goes on after it.",
            "schema": {"type": "string", "pattern": _SEQ},
        },
        "X-Holdfast-Events": {
            "description": "`all` shows the events too that official clients do not know.",
            "schema": {"type": "string", "enum": ["all"]},
        },
    }

    def _read(self, headers: Headers) -> None:
        super()._read(headers)
        last, which = headers.get("last-event-id"), headers.get("x-holdfast-events")
        if last is not None and re.fullmatch(_SEQ, last) is None:
            raise BadRequest("Last-Event-ID: send the id of the last event you have, a number.")
        if which not in (None, "all"):
            raise BadRequest("X-Holdfast-Events: `all`, or leave it out.")
        self.heard = None if last is None else int(last)
        """The last seq the reader has, if they say so."""
        self.everything = which == "all"


class Resuming(Call):
    """A call that follows the audit log, and may have heard some of it before."""

    HEADERS: ClassVar = {
        "Last-Event-ID": {
            "description": "The id of the last entry already heard; the log goes on after it.",
            "schema": {"type": "string", "pattern": _ENTRY},
        }
    }

    def _read(self, headers: Headers) -> None:
        super()._read(headers)
        self.heard = headers.get("last-event-id")
        """The id of the last entry the reader has, if they say so."""
        if self.heard is not None and re.fullmatch(_ENTRY, self.heard) is None:
            raise BadRequest("Last-Event-ID: send the id of the last entry you have.")


class Watching(Call):
    """A call that follows the runs of a task, and may have heard some of them before."""

    HEADERS: ClassVar = {
        "Last-Event-ID": {
            "description": "The id of the last line already heard; the stream goes on after it.",
            "schema": {"type": "string", "pattern": FORM},
        }
    }

    def _read(self, headers: Headers) -> None:
        super()._read(headers)
        self.heard = headers.get("last-event-id")
        """The id of the last line the reader has, if they say so."""
        if self.heard is not None and re.fullmatch(FORM, self.heard) is None:
            raise BadRequest("Last-Event-ID: send the id of the last line you have.")


class Zoned(Keyed):
    """A call that starts a turn, at some place's time."""

    HEADERS: ClassVar = {
        "X-Timezone": {
            "description": "The caller's time zone, by its IANA name; the model is told their time.",
            "schema": {"type": "string", "examples": ["Europe/London"]},
        }
    }

    def _read(self, headers: Headers) -> None:
        super()._read(headers)
        name = headers.get("x-timezone")
        try:
            self.timezone = None if name is None else ZoneInfo(name).key
        except (KeyError, ValueError, OSError):
            raise BadRequest("X-Timezone: send an IANA name like Europe/London.") from None


class Running(Keyed, Following):
    """A call that starts a run and hears it."""


class Turn(Zoned, Running):
    """A call that starts a turn and hears it."""


def _read(model: type[B], raw: bytes) -> B:
    """Parses it, and writes out what `Keyed.key` will want of it."""
    body = parse(model, raw)
    _ = body.asked
    return body


def _check_json(headers: Headers) -> None:
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMedia("Send the body uncompressed.")
    kind = headers.get("content-type", "application/json").lower().replace(" ", "")
    if kind not in ("application/json", "application/json;charset=utf-8"):
        raise UnsupportedMedia
