"""Aliases: wherever an id is asked for, callers may name their object `@word` instead."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import AfterValidator, StringConstraints

from api.bodies import Named
from api.call import Call
from domain.errors import NotServed
from store.aliases import Noun

NOUNS: tuple[Noun, ...] = get_args(Noun)

Alias = Annotated[
    str,
    StringConstraints(pattern="^[a-z0-9_-]*$", max_length=128),
    AfterValidator(lambda word: word or None),
]
"""An empty one clears it, as null does."""


class Aliased(Named):
    """What every object that can have an alias may carry."""

    alias: Alias | None = None


async def in_path(call: Call) -> None:
    """Puts ids in the place of the path's aliases."""
    for noun in NOUNS:
        if noun in call.names:
            call.names[noun] = await named(call, noun, call.id(noun))


async def in_body(call: Call, given: dict[str, Any]) -> dict[str, Any]:
    """The given columns, with ids in the place of aliases."""
    columns = {f"{noun}_id": noun for noun in NOUNS if given.get(f"{noun}_id")}
    return given | {column: await named(call, noun, given[column]) for column, noun in columns.items()}


async def named(call: Call, noun: Noun, given: str) -> str:
    """The id of the caller's object; what is no alias of theirs comes back, and is unknown as any such id is.

    Raises NotServed for the alias of another account's object.
    """
    (found,) = await _ids(call, noun, [given])
    return found


async def in_filter(call: Call, noun: Noun, given: list[str] | None) -> list[str] | None:
    """The values of a filter, as `named` has each of them."""
    return given and await _ids(call, noun, given)


async def _ids(call: Call, noun: Noun, given: list[str]) -> list[str]:
    aliases = [value[1:] for value in given if value.startswith("@")]
    for alias in aliases:
        if "@" in alias:
            raise NotServed(
                f"@{alias}: there are no parent and sibling accounts here; name your own as @alias."
            )
    if not aliases:
        return given
    found = await call.store.aliases.find(call.account_id, noun, aliases)
    return [found.get(value[1:], value) if value.startswith("@") else value for value in given]
