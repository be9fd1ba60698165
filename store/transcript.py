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
from domain.tools import InlineAbility, placed
from store.database import Connection
from store.held import Held
from store.queries import load

_SQL = load("transcript")


INLINE = 64
"""Messages that are made into prompts at once; more are, beside the loop that everybody shares."""
INLINE_TEXT = 65_536
"""Characters of instructions that are read at once, in the same way."""


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """The request's own words win over the conversation's, and those over the bot's.

    Making prompts of thousands of messages, or reading a hundred long instructions, takes seconds, so it is
    done outside of the transaction.
    """

    model: str | None
    """The model string; None when nobody named one."""
    own: Sequence[Offer]
    """Tools without an instruction."""
    abilities: Sequence[tuple[str, InlineAbility]]
    """With their sources."""
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

    async def toolbox(self) -> Toolbox:
        if sum(len(ability.instruction) for _, ability in self.abilities) <= INLINE_TEXT:
            return self._toolbox()
        return await asyncio.to_thread(self._toolbox)

    def _toolbox(self) -> Toolbox:
        return Toolbox([*self.own, *toolbox.abilities(self.abilities)])

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
    return Told(
        asked.model or row["model"] or row["bot_model"],
        [*(SETTLING if asked.settles else ()), *toolbox.functions(asked.functions)],
        await _abilities(connection, held, asked.skillset_id or row["skillset_id"]),
        opening,
        said,
        bool(cut),
    )


async def _abilities(
    connection: Connection, held: Held, skillset_id: str | None
) -> list[tuple[str, InlineAbility]]:
    """The request's own come first: an ability of a skillset with the same name gets another one."""
    inline = [(placed(number), ability) for number, ability in enumerate(held.asked.abilities)]
    if skillset_id is None:
        return inline
    rows = await connection.fetch(_SQL["abilities"], held.account_id, skillset_id, MOST)
    return [*inline, *((row["id"], StoredAbility(**row)) for row in rows)]


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
