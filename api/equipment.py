"""What a request may hand the agent besides words: functions, extensions, limits."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from api import extensions
from api.bodies import WHOLE, Body
from api.call import Call
from api.extensions import GivenExtensions
from api.functions import Functions, functions
from domain.errors import BadRequest, NotAuthorized
from domain.run import Asked
from domain.toolbox import MOST, SETTLING
from domain.tools import Function, Limits


class GivenLimits(Body):
    """What the run may do before it is ended."""

    iterations: Annotated[int, Field(ge=1, le=10_000), WHOLE] | None = None
    """Rounds of the model."""
    continuations: Annotated[int, Field(ge=1, le=100), WHOLE] | None = None
    """How often an answer that was cut at its greatest length is gone on with."""
    calls: Annotated[int, Field(ge=1, le=100_000), WHOLE] | None = None
    """Calls of tools."""
    tokens: Annotated[int, Field(ge=1, le=2**53), WHOLE] | None = None
    """Input and output of all model calls, failed ones too."""


class Equipped(Body):
    """A call that runs the agent, and may hand it something."""

    NOT_SERVED: ClassVar = extensions.LATER

    functions: Functions | None = None
    extensions: GivenExtensions | None = None


async def equipment(
    call: Call, body: Equipped, limits: GivenLimits | None, *, dispatched_to: str | None, background: bool
) -> Asked:
    """What is asked for besides words.

    `dispatched_to` is the channel that the caller chose for the run's own events. Raises BadRequest,
    NotServed (features) and NotAuthorized (what a session's token may not hand over).
    """
    given = functions(body.functions)
    _check_channels(call, given, dispatched_to)
    more = body.extensions
    if more is not None and call.caller.session_id is not None:
        # Upstream drops them without a word; then a page would believe that they were heeded.
        raise NotAuthorized("extensions: they instruct the agent, and a session's token speaks for a user.")
    more = more or GivenExtensions()
    abilities, settles = extensions.abilities(more), extensions.settles(more, background=background)
    _check_count(len(given), len(abilities), settles=settles)
    return Asked(
        functions=given,
        abilities=await extensions.with_secrets(call, abilities),
        extra_backstory=more.backstory,
        settles=settles,
        limits=Limits(**(limits or GivenLimits()).given()),
    )


def _check_count(functions: int, abilities: int, *, settles: bool) -> None:
    """A model is told of so many tools; of what a request brings itself nothing is left out silently."""
    all_in_all = functions + abilities + (len(SETTLING) if settles else 0)
    if all_in_all > MOST:
        raise BadRequest(
            f"functions, extensions: {all_in_all} tools ({functions} functions, {abilities} abilities"
            f"{f', {len(SETTLING)} of settle' if settles else ''}); send {MOST} at most."
        )


def _check_channels(call: Call, given: tuple[Function, ...], dispatched_to: str | None) -> None:
    for place, function in enumerate(given):
        where = f"functions.{place}.result.channel"
        if function.channel is not None and call.caller.session_id is not None:
            # Whoever waits takes what is published; and channels are the whole account's.
            raise NotAuthorized(f"{where}: channels are the account's, and a session's token waits on none.")
        if function.channel is not None and function.channel == dispatched_to:
            raise BadRequest(f"{where}: the run's own events are on this channel; choose another.")
