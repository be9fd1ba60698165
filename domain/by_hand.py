"""The input of a call that somebody makes by hand, as the arguments of an ability."""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from domain import instructions, parameters
from domain.errors import BadArguments, BadRequest
from domain.instructions import Fetch, Prompt
from domain.parameters import Parameter
from domain.plain import plain
from domain.toolbox import Asking


def asking(ability_id: str, name: str, instruction: str, given: str | None) -> Asking:
    """The call. Raises BadRequest, which says the parameters, for arguments that do not fit."""
    read = instructions.parse(instruction)
    assert isinstance(read, Fetch | Prompt)
    taken = arguments(read.declared, given or "")
    return Asking(name=name, arguments=taken, kind="ability", effect=read.effect, source=ability_id)


def arguments(declared: Sequence[Parameter], given: str) -> dict[str, Any]:
    """A JSON object is the arguments; anything else is the value of the only parameter there is."""
    taken = _taken(declared, given)
    try:
        parameters.check(declared, taken)
    except BadArguments as wrong:
        raise BadRequest(f"input: {wrong.message} {_told(declared)}") from None
    return taken


def _taken(declared: Sequence[Parameter], given: str) -> dict[str, Any]:
    value: Any = given
    with suppress(ValueError, RecursionError):
        value = plain(json.loads(given))
    if isinstance(value, dict):
        return value
    if not given.strip():
        return {}
    if len(declared) != 1:
        raise BadRequest(f"input: send the arguments as a JSON object. {_told(declared)}")
    (only,) = declared
    return {only.name: given if only.type == "string" and not only.many else value}


def _told(declared: Sequence[Parameter]) -> str:
    if not declared:
        return "The ability has no parameters."
    told = (f"`{one.name}` ({json.dumps(one.told())}{', required' * one.required})" for one in declared)
    return f"Its parameters are: {'; '.join(told)}."
