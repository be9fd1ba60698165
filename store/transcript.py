"""What the model of a turn is told: its setting, the messages it sees, the tools it may call."""

from __future__ import annotations

import dataclasses

from domain import prompts, toolbox
from domain.completion import Prompt
from domain.errors import TooLong
from domain.prompts import Said
from domain.skillset import StoredAbility
from domain.toolbox import MOST, SETTLING, Offer, Toolbox
from domain.tools import placed
from store.database import Connection
from store.held import Held
from store.queries import load

_SQL = load("transcript")


@dataclasses.dataclass(frozen=True, slots=True)
class Told:
    """The request's own words win over the conversation's, and those over the bot's."""

    model: str | None
    """The model string; None when nobody named one."""
    prompts: tuple[Prompt, ...]
    toolbox: Toolbox


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
    said = prompts.prompts(opening, await _said(connection, held, most))
    if asked.limits.continuations and await connection.fetchval(_SQL["was_cut"], held.id):
        said = (*said, prompts.GO_ON)
    offers = await _offers(connection, held, asked.skillset_id or row["skillset_id"])
    return Told(asked.model or row["model"] or row["bot_model"], said, Toolbox(offers))


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
        given = [Said(m.type, m.text, (m.meta or {}).get("activity")) for m in held.asked.messages]
        rows = await connection.fetch(_SQL["of_run"], held.id, most)
    else:
        given = []
        place = (held.conversation_id, held.begun_seq, held.id)
        rows = await connection.fetch(_SQL["of_conversation"], *place, most)
    if rows and rows[0]["text"] is None:
        raise TooLong
    return given + [Said(row["type"], row["text"], row["activity"], row["carry"]) for row in rows]
