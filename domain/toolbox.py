"""The tools of one run under the names its model knows them by, and what a call of one amounts to."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from contextlib import suppress
from typing import Any

from domain import instructions
from domain.base import Frozen
from domain.calls import TOOL_FAILED
from domain.completion import Tool, ToolCall
from domain.errors import BadRequest
from domain.plain import BYTES, DEPTH, ITEMS, plain
from domain.tools import Effect, Function, InlineAbility, Kind

MOST = 100
"""Tools of one run, as upstream allows."""
WAIT_SECONDS = 300
"""How long a function's channel is waited on when neither the function nor the server says."""
LONGEST_DELAY = 30 * 86_400
NOT_WAITED = "Not waited for: the run was ended."
ALREADY_ENDED = "Not done: the run was ended by another call of the same answer."

_OTHER = re.compile(r"[^A-Za-z0-9_-]")
_LONGEST = 64
_UNREAD = (
    f"The arguments are no JSON object of at most {DEPTH} levels, {ITEMS} values and {BYTES} bytes; "
    "call it again."
)


class Offer(Frozen):
    """A tool of a run: what its model is told, and who answers."""

    name: str
    """As callers know it, and as it stands in conversations, where its model finds what it has called: of an
    ability whose name is another tool's too, with the number that tells them apart."""
    description: str
    parameters: dict[str, Any]
    kind: Kind
    effect: Effect | None = None
    source: str | None = None
    """Of an ability: its id, or its place among the request's own."""
    channel: str | None = None
    wait_seconds: int | None = None
    data: Any = None
    first: bool = False
    last: bool = False


class Asking(Frozen):
    """A call a model asked for: who is to answer it, or the answer."""

    name: str
    arguments: Any
    kind: Kind
    effect: Effect | None = None
    source: str | None = None
    channel: str | None = None
    wait_seconds: int | None = None
    """Seconds after which waiting ends; of a `_delay`, the delay."""
    last: bool = False
    answered: bool = False
    """`result` is the answer."""
    result: Any = None
    failed: bool = False
    code: str | None = None
    """Of one that failed: why."""


_END = {"type": "object", "properties": {"summary": {"type": "string"}}, "required": ["summary"]}
_WAIT = {
    "type": "object",
    "properties": {"seconds": {"type": "integer", "minimum": 1, "maximum": LONGEST_DELAY}},
    "required": ["seconds"],
}

SETTLING = (
    Offer(
        name="_success",
        description="Ends this background run as done. Say in the summary what was achieved.",
        parameters=_END,
        kind="settle",
    ),
    Offer(
        name="_failure",
        description="Ends this background run as failed. Say in the summary why it cannot be done.",
        parameters=_END,
        kind="settle",
    ),
    Offer(
        name="_delay",
        description="Pauses this background run for so many seconds; then you go on where you were.",
        parameters=_WAIT,
        kind="settle",
    ),
)
"""How an agent nobody listens to says that it is done, has failed, or will look again later."""


class Toolbox:
    """Names a model can use, unique, in the order given; whatever is over a hundred is left out.

    A request brings no more than that itself, so these are stored abilities, which come last, by their names.
    """

    def __init__(self, offers: Iterable[Offer]) -> None:
        self._offers: dict[str, Offer] = {}
        for offer in offers:
            if len(self._offers) < MOST:
                self._add(offer)

    def tools(self) -> tuple[Tool, ...]:
        return tuple(
            Tool(name=name, description=offer.description, parameters=offer.parameters)
            for name, offer in self._offers.items()
        )

    @property
    def first(self) -> str | None:
        """The tool a model is made to begin with."""
        return next((name for name, offer in self._offers.items() if offer.first), None)

    def asking(self, call: ToolCall) -> Asking:
        """What a call amounts to. One nobody can answer is answered here: the model is told why."""
        offer = self._offers.get(call.name)
        arguments = _parsed(call.arguments)
        if offer is None:
            known = ", ".join(self._offers) or "none"
            said = f"There is no tool of this name; there are: {known}."
            # What stands in a conversation is what callers can hand back: an object.
            return _refused(call.name, arguments if isinstance(arguments, dict) else {}, "unknown", said)
        if not isinstance(arguments, dict):
            return _refused(offer.name, {}, offer.kind, _UNREAD)
        return _asked(offer, arguments)

    def _add(self, offer: Offer) -> None:
        plain = _OTHER.sub("_", offer.name)[:_LONGEST] or "_"
        free, number = plain, 2
        while free in self._offers:
            free = f"{plain[: _LONGEST - 4]}_{number}"
            number += 1
        self._offers[free] = offer if free == plain else offer.model_copy(update={"name": free})


def settled(asked: Sequence[Asking]) -> list[Asking]:
    """Calls of one answer, once it is known which are made: with one that ends the run nobody is waited for.

    Its first end is the end; abilities beside it are called all the same.
    """
    end = next((at for at, call in enumerate(asked) if call.kind == "settle" and call.last), None)
    if end is None:
        return [*asked]
    return [call if at == end else _beside(call) for at, call in enumerate(asked)]


def _beside(call: Asking) -> Asking:
    """A call in the same answer as the end of its run."""
    if call.kind == "settle":
        said = ALREADY_ENDED if not call.failed else call.result
        return _refused(call.name, call.arguments, "settle", said)
    if call.kind in ("channel", "caller") and not call.answered:
        return call.model_copy(update={"answered": True, "result": NOT_WAITED, "failed": True, "last": False})
    return call


def functions(given: Sequence[Function]) -> list[Offer]:
    """The functions of a request."""
    return [
        Offer(
            name=function.name,
            description=function.description,
            parameters=function.parameters,
            kind=function.kind,
            channel=function.channel,
            wait_seconds=function.wait_seconds,
            data=function.data,
            first=function.first,
            last=function.last,
        )
        for function in given
    ]


def abilities(given: Iterable[tuple[str, InlineAbility]]) -> list[Offer]:
    """Abilities with their sources; one whose instruction can no longer be read is left out."""
    offers = []
    for source, ability in given:
        with suppress(BadRequest):
            read = instructions.parse(ability.instruction)
            offers.append(
                Offer(
                    name=ability.name,
                    description=ability.description,
                    parameters=read.parameters,
                    kind="ability",
                    effect=read.effect,
                    source=source,
                )
            )
    return offers


def _asked(offer: Offer, arguments: dict[str, Any]) -> Asking:
    asking = Asking(
        name=offer.name,
        arguments=arguments,
        kind=offer.kind,
        effect=offer.effect,
        source=offer.source,
        channel=offer.channel,
        wait_seconds=offer.wait_seconds,
        last=offer.last,
    )
    if offer.kind == "data":
        return asking.model_copy(update={"answered": True, "result": offer.data})
    if offer.kind == "settle":
        return _settled(asking)
    return asking


def _settled(asking: Asking) -> Asking:
    if asking.name != "_delay":
        summary = asking.arguments.get("summary")
        if not isinstance(summary, str) or not summary.strip():
            return _refused(asking.name, asking.arguments, "settle", "summary: say something.")
        return asking.model_copy(update={"answered": True, "result": "noted", "last": True})
    seconds = asking.arguments.get("seconds")
    if not isinstance(seconds, int) or isinstance(seconds, bool) or not 1 <= seconds <= LONGEST_DELAY:
        told = f"seconds: a whole number from 1 to {LONGEST_DELAY}."
        return _refused(asking.name, asking.arguments, "settle", told)
    return asking.model_copy(update={"wait_seconds": seconds})


def _refused(name: str, arguments: Any, kind: Kind, said: str) -> Asking:
    refused = Asking(name=name, arguments=arguments, kind=kind, answered=True, result=said)
    return refused.model_copy(update={"failed": True, "code": TOOL_FAILED})


def _parsed(arguments: str) -> Any:
    if len(arguments.encode(errors="surrogatepass")) > BYTES:
        return None
    try:
        return plain(json.loads(arguments))
    except (ValueError, RecursionError):
        return None
