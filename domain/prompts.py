"""How stored messages become what a model sees."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from zoneinfo import ZoneInfo

from domain.base import Frozen
from domain.completion import Prompt, Role

_ROLES: dict[str, Role] = {
    "user": "user",
    "bot": "assistant",
    "context": "system",
    "instruction": "system",
    "backstory": "system",
}
"""Reasoning, activity and checkpoint messages are records for people; models do not see them."""


class Person(Frozen):
    """What a model is told of the contact it speaks with."""

    name: str | None = None
    nick: str | None = None
    preferences: str | None = None


def prompts(opening: Iterable[str | None], messages: Iterable[tuple[str, str]]) -> tuple[Prompt, ...]:
    """The opening paragraphs as one system prompt, then the messages, given as (type, text)."""
    system = "\n\n".join(paragraph for paragraph in opening if paragraph)
    first = [Prompt(role="system", text=system)] if system else []
    said = [Prompt(role=_ROLES[type_], text=text) for type_, text in messages if type_ in _ROLES]
    return (*first, *said)


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
