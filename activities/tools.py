"""The calls of abilities: made with the care their effect asks for, and answered whatever becomes of them."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.failures import failure, reported
from activities.fence import fence
from activities.patience import beating, patiently
from domain import instructions
from domain.calls import OUTCOME_UNKNOWN, TOOL_FAILED, Outcome, http
from domain.errors import HoldfastError, Stale, ToolUnavailable, Unavailable
from domain.instructions import Fetch, Prompt
from domain.plans import CallResult, StepInput
from domain.secret import Revealed
from domain.tools import InlineAbility, place

if TYPE_CHECKING:
    from activities.outbound.client import Outbound
    from domain.outgoing import Fetched
    from store import Store
    from store.calls import TakenCall
    from store.ending import Grip
    from telemetry import Telemetry

TRIES = 3
"""Attempts of a call that may be repeated; then its model is told that it failed."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts, whatever the server asks for."""
PASSING = (429, 502, 503, 504)
"""Statuses that are mostly over soon: what may be repeated is."""

_GONE = Outcome(result="This ability has been deleted.", failed=True, code="NOT_FOUND")
_UNASKED = Outcome(
    result="Not called: its arguments were deleted or changed before it was.", failed=True, code=TOOL_FAILED
)
_CHANGED = Outcome(
    result="Not called: this ability was changed after it was asked for; ask anew.",
    failed=True,
    code=TOOL_FAILED,
)
_UNKNOWN = Outcome(
    result="outcome_unknown: the call was begun and its end was not seen, so it may have happened or not. "
    "It is not made again; find out by other means before you ask for it anew.",
    failed=True,
    code=OUTCOME_UNKNOWN,
)


class Tools:
    def __init__(self, store: Store, outbound: Outbound, telemetry: Telemetry) -> None:
        self._store = store
        self._outbound = outbound
        self._telemetry = telemetry

    @activity.defn(name="tool.call")
    async def call(self, input: StepInput) -> CallResult:
        """One call of an ability. Its failure is an answer too; the run goes on with it."""
        async with reported(), beating():
            grip = self._store.steps.grip(input.run_id, input.ordinal, fence(), uuid.uuid4().hex)
            taken = await patiently(lambda: self._store.calls.take(grip))
            if taken is None:
                return CallResult(outcome="ended")
            with self._telemetry.call(taken) as seen:
                outcome = await self._outcome(taken)
                seen.came(outcome)
                if await patiently(lambda: self._store.calls.answer(grip, outcome)):
                    seen.ended()
            return CallResult(outcome="answered", attempt=taken.attempt)

    async def _outcome(self, taken: TakenCall) -> Outcome:
        if taken.interrupted and taken.effect == "once":
            return _UNKNOWN
        try:
            ability = await self._ability(taken)
            if ability is None or taken.arguments is None:
                return _GONE if ability is None else _UNASKED
            return await self._made(taken, ability, taken.arguments)
        except ToolUnavailable as trouble:
            if trouble.sent and taken.effect == "once":
                return _UNKNOWN
            return await self._again(taken.grip, _failed(trouble), trouble.message)
        except (Stale, Unavailable):
            raise
        except HoldfastError as trouble:
            # Whatever is wrong with one tool is for the model to hear; its run goes on.
            return _failed(trouble)

    async def _ability(self, taken: TakenCall) -> InlineAbility | None:
        if (number := place(taken.source)) is not None:
            return taken.asked.abilities[number]
        return await patiently(lambda: self._store.abilities.at_work(taken.account_id, taken.source))

    async def _made(self, taken: TakenCall, ability: InlineAbility, arguments: dict[str, Any]) -> Outcome:
        instruction = instructions.parse(ability.instruction)
        if instruction.effect != taken.effect:
            # What was promised of its attempts would not hold.
            return _CHANGED
        if isinstance(instruction, Prompt):
            return Outcome(result=instruction.text(arguments))
        assert isinstance(instruction, Fetch)
        revealed = await self._revealed(
            taken.account_id, ability.secret_id if instruction.needs_secret else None
        )
        outgoing = instruction.request(arguments, revealed)
        answer = await self._outbound.call(outgoing, f"{taken.grip.run_id}/{taken.grip.ordinal}")
        told = _told(answer)
        if taken.effect == "idempotent" and answer.status in PASSING:
            said = f"The tool's server answered {answer.status}."
            return await self._again(taken.grip, told, said, answer.retry_after or 0)
        return told

    async def _revealed(self, account_id: str, secret_id: str | None) -> Revealed | None:
        if secret_id is None:
            return None
        return await patiently(lambda: self._store.secrets.reveal(account_id, secret_id))

    async def _again(self, grip: Grip, last: Outcome, said: str, asked: float = 0) -> Outcome:
        """Raises what makes Temporal try again, until it has been tried often enough: then this is the last.

        `asked`: the seconds the server wants to be left alone for.
        """
        assert last.code is not None
        code = last.code
        failures = await patiently(lambda: self._store.calls.fail(grip, code, said))
        if failures >= TRIES:
            return last
        trouble = ToolUnavailable(said)
        own = 2.0 ** (failures - 1) * random.uniform(0.8, 1.2)
        trouble.retry_after = min(max(own, asked), LONGEST_PAUSE)
        raise failure(trouble)


def _failed(trouble: HoldfastError) -> Outcome:
    return Outcome(result=trouble.message, failed=True, code=trouble.code)


def _told(answer: Fetched) -> Outcome:
    """What the model is told of an answer: its status, and its body as JSON where it is that."""
    told: dict[str, Any] = {"status": answer.status, "body": answer.body}
    if answer.location:
        told["location"] = answer.location
    if answer.cut:
        told["note"] = "The body was longer; only its beginning is shown."
    if answer.status < 400:
        return Outcome(result=told)
    return Outcome(result=told, failed=True, code=http(answer.status))
