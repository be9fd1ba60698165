"""An answer put together from the bytes of its stream: what is the same in every wire format."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Literal

from activities.providers import failures
from activities.providers.calls import Calls
from activities.providers.http import Ask, exchange
from activities.providers.sse import Events
from activities.providers.text import clean, size
from domain.completion import Finish, Token, Usage
from domain.errors import ModelBroken, ModelError

if TYPE_CHECKING:
    import aiohttp

Reason = Literal["stop", "length", "calls", "declined"]
"""Why a model ended its answer, in our words. The calls of one that was cut or declined are none: the last
may be half a call."""

_LARGEST = 2**31 - 1


class Answer(ABC):
    """Events in, tokens out: clean, in order, and none after the end; calls of tools are told with it.

    An answer of more than `output_bytes` of UTF-8, reasoning and calls included, is cut there and ends with
    `length`.
    """

    def __init__(self, output_bytes: int, secret: str) -> None:
        self._events = Events()
        self._left = output_bytes
        self._secret = secret
        self._reason: Reason | None = None
        self._calls = Calls()
        self.ended = False
        """Nothing more will be taken; `finish` may be called."""
        self.settles = False
        """It ended with its end marker, so the body's end is near."""

    @abstractmethod
    def _event(self, data: bytes) -> Iterator[Token]:
        """The tokens of one event, which is not empty."""

    @abstractmethod
    def _closed(self) -> None:
        """The body is over and the end marker has not come."""

    @abstractmethod
    def _usage(self) -> Usage: ...

    @abstractmethod
    def _carry(self) -> str | None:
        """What the server wants back with the calls; see Finish."""

    def take(self, piece: bytes) -> Iterator[Token]:
        """The tokens of one piece of the body; an empty piece is its end. Raises ModelError."""
        if not piece:
            self._closed()
        for data in self._events.feed(piece):
            if data:
                yield from self._event(data)
            if self.ended:
                return

    def used(self) -> Usage:
        """The tokens of an answer that broke off, as far as its server has told."""
        return self._usage()

    def finish(self) -> Finish:
        """The end of an answer that came whole, or was cut by us. Raises ModelBroken for what is no call."""
        usage = self._usage()
        if self._reason in (None, "length"):
            return Finish(reason="length", usage=usage)
        if self._reason == "declined":
            return Finish(reason="stop", usage=usage)
        if calls := self._calls.told():
            # Whatever it is called: some servers say `stop` here.
            return Finish(reason="calls", usage=usage, calls=calls, carry=self._carry())
        if self._reason == "calls":
            raise ModelBroken("The model ended its answer to have a tool called, but named none.")
        return Finish(reason="stop", usage=usage)

    def _end(self, otherwise: str) -> None:
        if self._reason is None:
            raise ModelBroken(otherwise)
        self.ended = True

    def _parsed(self, data: bytes) -> dict[str, object]:
        try:
            chunk = failures.loads(data)
        except ValueError as error:
            raise ModelBroken("The model's answer contains an event that is not JSON.") from error
        if not isinstance(chunk, dict):
            raise ModelBroken("The model's answer contains an event that is not an object.")
        if chunk.get("error"):
            raise failures.in_stream(chunk, self._secret)
        return chunk

    def _text(self, text: object, *, reasoning: bool = False) -> Iterator[Token]:
        if not text or self.ended:
            return
        if not isinstance(text, str):
            raise ModelBroken("The model's answer contains a text that is not a string.")
        self._going_on()
        if kept := self._kept(clean(text)):
            yield Token(text=kept, reasoning=reasoning)

    def _going_on(self) -> None:
        if self._reason is not None:
            raise ModelBroken("The model's answer goes on after its end.")

    def _kept(self, text: str) -> str:
        """The text, or what of it still fits; then the answer is over."""
        room = self._left
        return text if self._fits(text) else text.encode()[:room].decode(errors="ignore")

    def _fits(self, text: str) -> bool:
        """Whether there is room for this too; if not, the answer is over."""
        self._left -= size(text)
        self.ended = self.ended or self._left < 0
        return self._left >= 0


async def relayed(
    session: aiohttp.ClientSession, ask: Ask, idle_seconds: float, answer: Answer
) -> AsyncGenerator[Token | Finish, None]:
    """See Provider.stream. Raises ModelUnavailable, ModelBusy, ModelBroken, ModelRefused."""
    try:
        async with exchange(session, ask, idle_seconds) as body:
            while not answer.ended:
                for token in answer.take(await body.read()):
                    yield token
            if answer.settles:
                await body.settle()
        yield answer.finish()
    except ModelError as error:
        error.usage = answer.used()
        raise


def named(reason: object, offered: Mapping[object, Reason]) -> Reason:
    """Why a model ended its answer, in our words. Raises ModelBroken for what was not asked for."""
    with suppress(TypeError):
        if known := offered.get(reason):
            return known
    raise ModelBroken(f"The model ended its answer for a reason that was not offered: {str(reason)[:40]!a}.")


def count(*numbers: object) -> int:
    """The sum of a server's counts, as Postgres' integer holds it; what is no count counts as 0."""
    total = sum(number for number in numbers if isinstance(number, int) and number > 0)
    return min(total, _LARGEST)
