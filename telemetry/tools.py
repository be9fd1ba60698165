"""One call of a tool as it is seen from outside: what it came to, how long it took, its span."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domain import at_hand
from telemetry.codes import code_of
from telemetry.steps import STOPPED

if TYPE_CHECKING:
    from domain.calls import Outcome
    from store.calls import TakenCall
    from telemetry.meters import Meters
    from telemetry.traces import Attributes, Span, Traces


ANSWERED, FAILED = "answered", "TOOL_FAILED"


class ToolCall:
    """A call of an ability that an attempt has taken, until it lets go of it.

    Names of tools are callers' words, and so are their arguments and results: none of them is shown.
    """

    def __init__(self, taken: TakenCall, meters: Meters, traces: Traces) -> None:
        self._taken = taken
        self._meters = meters
        self._traces = traces
        self._outcome = STOPPED
        self._span: Span
        self._since = time.monotonic()

    @contextmanager
    def taken(self) -> Iterator[ToolCall]:
        taken = self._taken
        at_hand.add(run_id=taken.plan.run_id, conversation_id=taken.plan.conversation_id)
        if taken.begins:
            self._meters.begun(taken.plan, taken.age)
        with self._traces.span("tool.call", "consumer", taken.traceparent, _of(taken)) as self._span:
            try:
                yield self
            except Exception as error:
                self._outcome = code_of(error) or STOPPED
                raise
            finally:
                self._span.note({"holdfast.outcome": self._outcome})
                self._meters.tool_called("ability", self._outcome, taken.effect)
                self._meters.tool_took("ability", self._seconds())

    def came(self, outcome: Outcome) -> None:
        """It is answered; that it failed is an answer too."""
        if outcome.failed:
            self._outcome = outcome.code or FAILED
            self._span.failed(self._outcome)
        else:
            self._outcome = ANSWERED

    def ended(self) -> None:
        """The call was all of its run, which is over."""
        self._meters.ended(self._taken.plan, "succeeded", "stop")
        self._meters.answered(self._taken.plan, self._taken.age + self._seconds())

    def _seconds(self) -> float:
        return time.monotonic() - self._since


def _of(taken: TakenCall) -> Attributes:
    ids = {
        "holdfast.run.id": taken.plan.run_id,
        "gen_ai.conversation.id": taken.plan.conversation_id,
        "temporal.workflow.id": taken.plan.workflow_id,
    }
    return {
        **{name: id_ for name, id_ in ids.items() if id_},
        "gen_ai.operation.name": "execute_tool",
        "holdfast.step": taken.grip.ordinal,
        "holdfast.attempt": taken.attempt,
        "holdfast.effect": taken.effect,
    }
