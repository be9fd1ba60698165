"""How stored messages become what a model sees."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from itertools import count
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from domain import activity, pairs
from domain.activity import Activity
from domain.base import Frozen
from domain.completion import Prompt, Role, ToolCall

_ROLES: dict[str, Role] = {
    "user": "user",
    "bot": "assistant",
    "context": "system",
    "instruction": "system",
    "backstory": "system",
}
"""Reasoning and checkpoint messages are records for people; models do not see them."""

UNFINISHED = "This call was not finished: nothing is known of what it did."
"""The result of a call that has none."""


BACKGROUND = (
    "You work in the background and nobody answers you. Go on until the work is done; then call `_success`, "
    "or `_failure` when it cannot be done. To look again later call `_delay`."
)
"""What an agent is told that settles its own run."""


GO_ON = Prompt(role="user", text="You were cut off. Go on exactly where you stopped; repeat nothing.")
"""What a model hears after an answer that was cut and is to be gone on with."""


class Said(NamedTuple):
    """A message of a conversation, as it is stored."""

    type: str
    text: str
    activity: Any = None
    """`meta.activity`, as it came; an activity message whose activity cannot be read is not shown."""
    carry: str | None = None
    """Of the first message of a reply: what its provider wants back; see Prompt."""


class Person(Frozen):
    """What a model is told of the contact it speaks with."""

    name: str | None = None
    nick: str | None = None
    preferences: str | None = None


class _Call(NamedTuple):
    """A call with what came of it."""

    call: ToolCall
    result: str
    carry: str | None


class _Reply:
    """What an assistant said in one go: a text, or calls, or a text and then calls."""

    def __init__(self, text: str, carry: str | None) -> None:
        self.text = text
        self.carry = carry
        self.calls: list[_Call] = []

    def goes_on(self, call: _Call) -> bool:
        """What brings a carry of its own is the beginning of another reply."""
        return call.carry is None or call.carry == self.carry


def prompts(opening: Iterable[str | None], said: Iterable[Said]) -> tuple[Prompt, ...]:
    """The opening paragraphs as one system prompt, then the messages.

    Calls in a row are one assistant's message, together with the text right before them, and their results
    follow at once, wherever their responses stood.
    """
    system = "\n\n".join(paragraph for paragraph in opening if paragraph)
    first = [Prompt(role="system", text=system)] if system else []
    return (*first, *_numbered(_replies(_pieces([*said]))))


def _pieces(said: Sequence[Said]) -> Iterator[Prompt | _Call | None]:
    """What each message shows; None for a response that is shown with its request."""
    activities = [activity.read(one.activity) if one.type == "activity" else None for one in said]
    answers = pairs.answers(activities)
    taken = {*answers.values()}
    for at, (one, act) in enumerate(zip(said, activities, strict=True)):
        if act is None:
            yield from _spoken(one)
        elif act.type == "trigger":
            yield Prompt(role="user", text=_triggered(act))
        elif at in taken:
            yield None
        else:
            # For a response that nobody asked for, a request is made.
            answer = at if act.type == "response" else answers.get(at)
            yield _Call(_asked(act), _result(None if answer is None else activities[answer]), one.carry)


def _spoken(said: Said) -> Iterator[Prompt]:
    if said.type in _ROLES:
        carry = said.carry if said.type == "bot" else None
        yield Prompt(role=_ROLES[said.type], text=said.text, carry=carry)


def _replies(pieces: Iterable[Prompt | _Call | None]) -> Iterator[Prompt | _Reply]:
    reply: _Reply | None = None
    for piece in pieces:
        if reply is not None and isinstance(piece, _Call) and reply.goes_on(piece):
            reply.calls.append(piece)
            continue
        if reply is not None:
            yield reply
        reply = None
        if isinstance(piece, _Call):
            reply = _Reply("", piece.carry)
            reply.calls.append(piece)
        elif piece is not None and piece.role == "assistant":
            reply = _Reply(piece.text, piece.carry)
        elif piece is not None:
            yield piece
    if reply is not None:
        yield reply


def _numbered(replies: Iterable[Prompt | _Reply]) -> Iterator[Prompt]:
    """Replies with their results behind them; a call's id is its number in the transcript."""
    numbers = count(1)
    for reply in replies:
        if isinstance(reply, Prompt):
            yield reply
            continue
        calls = [(f"call_{next(numbers)}", call) for call in reply.calls]
        asked = tuple((call_id, call.call) for call_id, call in calls)
        yield Prompt(role="assistant", text=reply.text, calls=asked, carry=reply.carry)
        for call_id, call in calls:
            yield Prompt(role="tool", text=call.result, call_id=call_id)


def _asked(act: Activity) -> ToolCall:
    """The call of a request, or the one that a response without a request must have had."""
    # Callers may have called it anything; providers take these letters.
    name = re.sub(r"[^A-Za-z0-9_-]", "_", act.function.name)[:64] or "_"
    return ToolCall(name=name, arguments=_json(act.function.arguments).strip() or "{}")


def _result(answer: Activity | None) -> str:
    if answer is None:
        return UNFINISHED
    result = answer.function.result
    told = result if isinstance(result, str) else _compact(result)
    return f"Error: {told}" if answer.failed else told


def _triggered(act: Activity) -> str:
    """What set the agent off, told by its user."""
    arguments = act.function.arguments
    return _compact({"name": act.function.name, "arguments": {} if arguments is None else arguments})


def _json(arguments: Any) -> str:
    if arguments is None:
        return "{}"
    return arguments if isinstance(arguments, str) else _compact(arguments)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def about(person: Person | None) -> str | None:
    if person is None:
        return None
    facts = {"Name": person.name, "Called": person.nick, "Preferences": person.preferences}
    lines = [f"{label}: {value}" for label, value in facts.items() if value]
    return "You are speaking with this person.\n" + "\n".join(lines) if lines else None


def clock(at: datetime, timezone: str | None) -> str | None:
    """The local time of a caller who named a time zone; nothing for one who did not."""
    if timezone is None:
        return None
    local = at.astimezone(ZoneInfo(timezone))
    return f"The user's local time is {local:%A, %Y-%m-%d %H:%M} ({timezone})."
