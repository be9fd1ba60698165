"""What the model of a turn is told: its setting, the messages it sees, the tools it may call."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Sequence

from pydantic_core import from_json, to_json

from domain import prompts, toolbox
from domain.completion import Prompt
from domain.conversation import NewMessage
from domain.errors import TooLong
from domain.prompts import Said
from domain.skillset import StoredAbility
from domain.toolbox import MOST, SETTLING, Offer, Toolbox
from domain.tools import placed
from store.database import Connection
from store.held import Held
from store.queries import load

_SQL = load("transcript")


INLINE = 64
"""Messages that are made into prompts at once; more are, beside the loop that everybody shares."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """The request's own words win over the conversation's, and those over the bot's.

    Making prompts of thousands of messages takes seconds, so it is done outside of the transaction.
    """

    model: str | None
    """The model string; None when nobody named one."""
    toolbox: Toolbox
    opening: tuple[str | None, ...]
    said: Sequence[Said]
    """Activities are JSON text still."""
    cut: bool
    """The newest answer was cut, and is to be gone on with."""

    @property
    def size(self) -> int:
        """Bytes, about."""
        return sum(len(one.text) + len(one.activity or "") for one in self.said)

    async def prompts(self) -> tuple[Prompt, ...]:
        if len(self.said) <= INLINE:
            return self._prompts()
        return await asyncio.to_thread(self._prompts)

    def _prompts(self) -> tuple[Prompt, ...]:
        read = (
            one if one.activity is None else one._replace(activity=from_json(one.activity))
            for one in self.said
        )
        made = prompts.prompts(self.opening, read)
        return (*made, prompts.GO_ON) if self.cut else made


async def told(connection: Connection, held: Held, most: int) -> Told:
    """Raises TooLong when the messages have more than `most` bytes."""
    row = await connection.fetchrow(_SQL["setting"], held.conversation_id, held.bot_id, held.contact_id)
    assert row is not None
    asked = held.asked
    opening = (
        asked.backstory or row["backstory"] or row["bot_backstory"],
        asked.extra_backstory,
        prompts.about(prompts.Person(name=row["name"], nick=row["nick"], preferences=row["preferences"])),
        prompts.clock(held.created_at, asked.timezone),
        prompts.BACKGROUND if asked.settles else None,
    )
    said = await _said(connection, held, most)
    cut = asked.limits.continuations is not None and await connection.fetchval(_SQL["was_cut"], held.id)
    offers = await _offers(connection, held, asked.skillset_id or row["skillset_id"])
    return Told(asked.model or row["model"] or row["bot_model"], Toolbox(offers), opening, said, bool(cut))


async def _offers(connection: Connection, held: Held, skillset_id: str | None) -> list[Offer]:
    """The request's own come first: an ability of a skillset with the same name gets another one."""
    asked = held.asked
    inline = [(placed(number), ability) for number, ability in enumerate(asked.abilities)]
    stored = []
    if skillset_id is not None:
        rows = await connection.fetch(_SQL["abilities"], held.account_id, skillset_id, MOST)
        stored = [(row["id"], StoredAbility(**row)) for row in rows]
    settling = SETTLING if asked.settles else ()
    return [*settling, *toolbox.functions(asked.functions), *toolbox.abilities([*inline, *stored])]


async def _said(connection: Connection, held: Held, most: int) -> list[Said]:
    if held.conversation_id is None:
        given = [_given(message) for message in held.asked.messages]
        rows = await connection.fetch(_SQL["of_run"], held.id, most)
    else:
        given = []
        place = (held.conversation_id, held.begun_seq, held.id)
        rows = await connection.fetch(_SQL["of_conversation"], *place, most)
    if rows and rows[0]["text"] is None:
        raise TooLong
    return given + [Said(row["type"], row["text"], row["activity"], row["carry"]) for row in rows]


def _given(message: NewMessage) -> Said:
    activity = (message.meta or {}).get("activity")
    return Said(message.type, message.text, None if activity is None else to_json(activity).decode())
