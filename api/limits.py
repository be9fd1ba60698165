"""What a process takes of an account, and of each key and session: requests a minute, and open streams."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Literal, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.account import Caller
from domain.errors import LimitsReached

Kind = Literal["starts", "writes", "reads"]
Bucket = tuple[str, str]
"""A kind of request, and who makes it."""

_STARTS = frozenset(
    {
        *("backfill", "complete", "dispatch", "execute", "receive", "send", "trigger"),
        *("event", "invoke", "replay"),
    }
)
"""Last words of the paths whose calls start work or bring words for it."""
_VERB: dict[Kind, str] = {"starts": "start work", "writes": "write", "reads": "read"}

_MINUTE = 60.0
_SLACK = 1e-6
_MANY = 10_000
"""Buckets above which those that are full again are thrown away."""
_SOON = 5
"""Seconds until somebody has hung up, as a guess."""


class Most(NamedTuple):
    """Requests a minute and open streams; 0 is no limit."""

    starts: int
    writes: int
    reads: int
    key_percent: int
    """How much of an account's requests one of its keys may have, or one of its sessions or triggers."""
    streams: int
    streams_of_account: int


class Limits:
    """The buckets and the places of one process: N processes allow N times as much."""

    def __init__(self, most: Most) -> None:
        self._most = most
        self._buckets = Buckets()
        self._open: Counter[str] = Counter()

    def take(self, caller: Caller, request: Request) -> None:
        """Counts a request before anything is done for it. Raises LimitsReached, and then counts nothing."""
        kind = kind_of(request)
        most: int = getattr(self._most, kind)
        if not most:
            return
        of_key = max(1, most * self._most.key_percent // 100)
        wanted: dict[Bucket, int] = {(kind, caller.account_id): most, (kind, caller.actor): of_key}
        emptiest, wait = self._buckets.take(wanted, time.monotonic())
        if not wait:
            return
        setting = f"HOLDFAST_{kind.upper()}_PER_MINUTE"
        said = f"An account may {_VERB[kind]} {most:,} times a minute ({setting})"
        if emptiest[1] == caller.actor:
            setting += ", HOLDFAST_KEY_PERCENT"
            said = f"A key, session or trigger may {_VERB[kind]} {of_key:,} times a minute ({setting})"
        raise LimitsReached(f"{said}; come back in {_seconds(wait)}.", retry_after=wait)

    async def seated(self, caller: Caller, serve: Callable[[], Awaitable[Response]]) -> Response:
        """What `serve` answers, with a place that is held from before it begins until its reader is gone.

        Raises LimitsReached when there is no place.
        """
        self._sit(caller.account_id)
        leave = partial(self._leave, caller.account_id)
        try:
            return _Seated(await serve(), leave)
        except BaseException:
            leave()
            raise

    def _sit(self, account_id: str) -> None:
        most, of_account = self._most.streams, self._most.streams_of_account
        said = None
        if most and self._open.total() >= most:
            said = f"This process holds {most:,} streams open, and no more (HOLDFAST_SUBSCRIBERS)"
        if of_account and self._open[account_id] >= of_account:
            said = f"An account may hold {of_account:,} streams open (HOLDFAST_SUBSCRIBERS_PER_ACCOUNT)"
        if said is not None:
            raise LimitsReached(f"{said}; close one, or come back in {_seconds(_SOON)}.", retry_after=_SOON)
        self._open[account_id] += 1

    def _leave(self, account_id: str) -> None:
        self._open[account_id] -= 1
        if not self._open[account_id]:
            del self._open[account_id]


def kind_of(request: Request) -> Kind:
    """A request counts by what it does; a subscription is a read."""
    word = request.scope["path"].rpartition("/")[2]
    if word == "event":
        # With any verb.
        return "starts"
    if request.method != "POST" or word == "subscribe":
        return "reads"
    return "starts" if word in _STARTS else "writes"


class Buckets:
    """Each holds a minute's worth and fills evenly; what is kept of it is the moment at which it is full."""

    def __init__(self) -> None:
        self._full_at: dict[Bucket, float] = {}
        self._many = _MANY

    def take(self, wanted: dict[Bucket, int], now: float) -> tuple[Bucket, float]:
        """Takes one from every bucket, given with its size, or none from any.

        Returns the emptiest, and the seconds until it has one again: 0 when all had.
        """
        full_at = {
            who: max(self._full_at.get(who, now), now) + _MINUTE / size for who, size in wanted.items()
        }
        emptiest = max(full_at, key=full_at.__getitem__)
        wait = full_at[emptiest] - now - _MINUTE
        if wait > _SLACK:
            return emptiest, wait
        self._full_at |= full_at
        if len(self._full_at) > self._many:
            self._throw_away(now)
        return emptiest, 0.0

    def _throw_away(self, now: float) -> None:
        self._full_at = {who: at for who, at in self._full_at.items() if at > now}
        self._many = max(_MANY, 2 * len(self._full_at))


class _Seated(Response):
    """An answer that gives its place back when its reader is gone, however it goes."""

    def __init__(self, answer: Response, leave: Callable[[], None]) -> None:
        self._answer = answer
        self._leave = leave

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await self._answer(scope, receive, send)
        finally:
            self._leave()


def _seconds(wait: float) -> str:
    return f"{max(1, -int(-wait // 1))} s"
