"""What a handler takes and gives, read from its signature: the one source of parsing and of the document."""

from __future__ import annotations

import dataclasses
from collections.abc import Awaitable, Callable
from typing import Any, get_args, get_type_hints

from api.bodies import Body, Nothing
from api.call import Call
from api.lines import Lines
from api.lists import Query
from api.wire import Item

Handler = Callable[..., Awaitable[Any]]
"""Returns an Item or a Response."""


@dataclasses.dataclass(frozen=True)
class Listed:
    """A page of items in JSON, all pages as a stream; as CSV too where it is an export."""

    item: type[Item]
    csv: bool = False

    @property
    def stem(self) -> str:
        return self.item.__name__.removesuffix("Item")

    @property
    def lines(self) -> Lines:
        return Lines(f"{self.stem}ListLine", {"item": self.item}, numbered=False)


@dataclasses.dataclass(frozen=True)
class Answered:
    """One answer in JSON, or events of which the last one carries it."""

    answer: type[Item]
    events: Lines | None = None
    """None where the answer is the only one."""

    @property
    def lines(self) -> Lines:
        return self.events or Lines(f"{self.answer.__name__}Line", {"result": self.answer})


@dataclasses.dataclass(frozen=True)
class Streamed:
    """Events only: there is no answer in JSON."""

    lines: Lines


Gives = type[Item] | Listed | Answered | Streamed


@dataclasses.dataclass(frozen=True)
class Signature:
    call: type[Call]
    body: type[Body]
    takes_body: bool
    query: type[Query] | None
    gives: Gives

    @property
    def csv(self) -> bool:
        """Whether it gives a table too."""
        return isinstance(self.gives, Listed) and self.gives.csv

    @property
    def streams(self) -> bool:
        """Whether it is answered with a stream where one is asked for."""
        return isinstance(self.gives, Listed | Answered | Streamed)

    @property
    def headers(self) -> dict[str, dict[str, Any]]:
        """The headers it reads besides Authorization and Accept."""
        kinds = [cls.HEADERS for cls in self.call.__mro__ if issubclass(cls, Call)]
        return {name: told for headers in reversed(kinds) for name, told in headers.items()}

    @classmethod
    def of(cls, handler: Handler) -> Signature:
        """Reads `call: SomeCall`, `body: SomeBody`, `query: SomeQuery` and what is returned.

        A call without a body takes `{}`. What is returned is an Item, or `Annotated[Response, …]` with one of
        the kinds above.
        """
        hints: dict[str, Any] = get_type_hints(handler, include_extras=True)
        told = get_args(hints["return"])
        return cls(
            call=hints["call"],
            body=hints.get("body", Nothing),
            takes_body="body" in hints,
            query=hints.get("query"),
            gives=told[1] if told else hints["return"],
        )
