"""The calls of abilities: made with the care their effect asks for, and answered whatever becomes of them."""

from __future__ import annotations

import json
import random
import uuid
from typing import TYPE_CHECKING, Any

from temporalio import activity

from activities.failures import failure, reported
from activities.fence import fence
from activities.patience import beating, patiently
from domain import instructions
from domain.calls import Outcome
from domain.errors import ToolError, ToolUnavailable
from domain.instructions import Fetch, Prompt
from domain.plain import DEPTH, ITEMS, plain
from domain.plans import CallResult, StepInput
from domain.secret import header
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

_GONE = Outcome(result="This ability has been deleted.", failed=True, code="NOT_FOUND")
_UNKNOWN = Outcome(
    result="outcome_unknown: the call was begun and its end was not seen, so it may have happened or not. "
    "It is not made again; find out by other means before you ask for it anew.",
    failed=True,
    code="OUTCOME_UNKNOWN",
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
        ability = await self._ability(taken)
        if ability is None:
            return _GONE
        try:
            return await self._made(taken, ability)
        except ToolUnavailable as trouble:
            if trouble.sent and taken.effect == "once":
                return _UNKNOWN
            return await self._again(taken.grip, trouble)
        except ToolError as trouble:
            return Outcome(result=trouble.message, failed=True, code=trouble.code)

    async def _ability(self, taken: TakenCall) -> InlineAbility | None:
        if (number := place(taken.source)) is not None:
            return taken.asked.abilities[number]
        return await patiently(lambda: self._store.abilities.at_work(taken.account_id, taken.source))

    async def _made(self, taken: TakenCall, ability: InlineAbility) -> Outcome:
        instruction = instructions.parse(ability.instruction)
        if isinstance(instruction, Prompt):
            return Outcome(result=instruction.text(taken.arguments))
        assert isinstance(instruction, Fetch)
        secret = await self._secret(taken.account_id, ability.secret_id)
        outgoing = instruction.request(taken.arguments, secret)
        key = f"{taken.grip.run_id}/{taken.grip.ordinal}"
        answer = await self._outbound.call(outgoing, key)
        if taken.effect == "idempotent" and answer.status in (429, 502, 503, 504):
            raise ToolUnavailable(f"The tool's server answered {answer.status}, several times.", sent=True)
        return _told(answer)

    async def _secret(self, account_id: str, secret_id: str | None) -> str | None:
        if secret_id is None:
            return None
        revealed = await patiently(lambda: self._store.secrets.reveal(account_id, secret_id))
        return header(revealed).get_secret_value()

    async def _again(self, grip: Grip, trouble: ToolUnavailable) -> Outcome:
        """Raises what makes Temporal try again, until it has been tried often enough."""
        failures = await patiently(lambda: self._store.calls.fail(grip, trouble.code, trouble.message))
        if failures >= TRIES:
            return Outcome(result=trouble.message, failed=True, code=trouble.code)
        trouble.retry_after = min(2.0 ** (failures - 1), LONGEST_PAUSE) * random.uniform(0.8, 1.2)
        raise failure(trouble)


def _told(answer: Fetched) -> Outcome:
    """What the model is told of an answer: its status, and its body as JSON where it is that."""
    told: dict[str, Any] = {"status": answer.status, "body": _body(answer)}
    if answer.location:
        told["location"] = answer.location
    if answer.cut:
        told["note"] = "The body was longer; only its beginning is shown."
    if answer.status < 400:
        return Outcome(result=told)
    return Outcome(result=told, failed=True, code=f"HTTP_{answer.status}")


def _body(answer: Fetched) -> Any:
    if answer.cut or not answer.content_type.endswith("json"):
        return answer.text
    try:
        # It shall fit into the result around it, for callers may hand that back to us.
        return plain(json.loads(answer.text), DEPTH - 1, ITEMS - 4)
    except (ValueError, RecursionError):
        return answer.text
