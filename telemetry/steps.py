"""One model step as it is seen from outside: its run's times, its model call, its spans."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from domain import at_hand
from domain.completion import Usage
from domain.errors import HoldfastError
from domain.model import known, snake
from telemetry.codes import code_of

if TYPE_CHECKING:
    from domain.completion import Finish, ModelRef
    from domain.toolbox import Asking
    from store.steps import Taken
    from telemetry.meters import Meters
    from telemetry.traces import Attributes, Span, Traces

STOPPED = "stopped"
_SETTINGS = ("temperature", "top_p", "max_tokens", "frequency_penalty", "presence_penalty", "seed")


class Step:
    """A step an attempt has taken, until it lets go of it."""

    def __init__(self, taken: Taken, meters: Meters, traces: Traces) -> None:
        self._taken = taken
        self._meters = meters
        self._traces = traces
        self._span: Span
        self._since = time.monotonic()

    @contextmanager
    def taken(self) -> Iterator[Step]:
        run, taken = self._taken.plan, self._taken
        at_hand.add(run_id=run.run_id, conversation_id=run.conversation_id)
        if taken.begins:
            self._meters.begun(run, taken.age, taken.overdue)
        for joined in taken.merged:
            self._meters.merged(joined)
        with self._traces.span("model.reply", "consumer", taken.traceparent, _of(taken)) as self._span:
            yield self

    @contextmanager
    def calling(self, ref: ModelRef) -> Iterator[Call]:
        """One call of a model, however it ends. A name that callers made up may be words: it is not shown."""
        model = known(ref.name)
        attributes: Attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": ref.provider,
            "gen_ai.request.model": model,
            "gen_ai.request.stream": True,
            **_settings(ref),
        }
        with self._traces.span(f"chat {model}", "client", self._span.traceparent, attributes) as span:
            call = Call(self, ref, span)
            try:
                yield call
            except Exception as error:
                call.outcome = code_of(error) or HoldfastError.code
                raise
            finally:
                span.note({"holdfast.outcome": call.outcome})
                self._meters.model_called(ref, call.outcome, call.usage)

    def spoke(self, ref: ModelRef, seconds: float) -> None:
        """A call's first token came after so many seconds."""
        self._meters.model_spoke(ref, seconds)
        self._meters.spoke(self._taken.plan, self._age())

    def asked(self, calls: Sequence[Asking]) -> None:
        """The model asked for these; those that somebody else answers are counted when they are."""
        for call in calls:
            if call.answered:
                self._meters.tool_called(call.kind, "BAD_ARGUMENTS" if call.failed else "answered", None)
            elif call.kind == "caller":
                self._meters.tool_called(call.kind, "handed_over", None)

    def answered(self, reason: str) -> None:
        """The answer is committed: the run is over."""
        self._meters.ended(self._taken.plan, "succeeded", reason)
        self._meters.answered(self._taken.plan, self._age())

    def _age(self) -> float:
        return self._taken.age + time.monotonic() - self._since


class Call:
    """A call of a model while it goes on."""

    def __init__(self, step: Step, ref: ModelRef, span: Span) -> None:
        self.outcome = STOPPED
        self.usage = Usage()
        self._step = step
        self._ref = ref
        self._span = span
        self._since = time.monotonic()
        self._silent = True

    def token(self) -> None:
        """For every token: only the first one costs anything."""
        if self._silent:
            self._silent = False
            seconds = time.monotonic() - self._since
            self._step.spoke(self._ref, seconds)
            self._span.note({"gen_ai.response.time_to_first_chunk": seconds})

    def finished(self, finish: Finish) -> None:
        self.outcome, self.usage = "answered", finish.usage
        self._span.note(
            {
                "gen_ai.response.finish_reasons": [finish.reason],
                "gen_ai.usage.input_tokens": finish.usage.input_tokens,
                "gen_ai.usage.output_tokens": finish.usage.output_tokens,
            }
        )


def _of(taken: Taken) -> Attributes:
    run = taken.plan
    ids = {
        "holdfast.run.id": run.run_id,
        "gen_ai.conversation.id": run.conversation_id,
        "temporal.workflow.id": run.workflow_id,
    }
    named = {name: id_ for name, id_ in ids.items() if id_}
    return {**named, "holdfast.step": taken.grip.ordinal, "holdfast.attempt": taken.attempt}


def _settings(ref: ModelRef) -> Attributes:
    """The parameters that are numbers by their meaning; others may be words."""
    given = {snake(parameter.key): parameter.value for parameter in ref.parameters}
    return {
        f"gen_ai.request.{name}": given[name]
        for name in _SETTINGS
        if isinstance(given.get(name), int | float)
    }
