"""What a live listener sees: event types, and their data rendered once as ASCII JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, NamedTuple

from domain.activity import Called
from domain.calls import Outcome
from domain.conversation import NewMessage
from domain.run import Answer, Ending
from domain.tools import Kind

TYPED = frozenset(
    {
        "token",
        "reasoningToken",
        "message",
        "usage",
        "completeBegin",
        "completeEnd",
        "waitForChannelMessageBegin",
        "waitForChannelMessageEnd",
        "abort",
        "error",
        "result",
    }
)
"""The types the official clients know; the Python client raises on any other (contract §2.2)."""

TERMINAL = frozenset({"result", "error"})
MERGED = "merged"
"""The last event of a run's own; its channel goes on with those of the run that answers for it."""
TOKENS = frozenset({"token", "reasoningToken"})


class Event(NamedTuple):
    """An event before it has a place in its channel."""

    type: str
    data: str


Numbered = tuple[int, Event]
"""An event with its number in its attempt, from 1: what makes a second logging of it harmless."""


def rendered(data: Any) -> str:
    """ASCII JSON on one line. Numbers are finite and strings valid Unicode by the time they come here."""
    return json.dumps(data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def token(text: str, *, reasoning: bool = False) -> Event:
    return Event("reasoningToken" if reasoning else "token", f'{{"token":{_quoted(text)}}}')


def complete_begin(iteration: int, attempt: int) -> Event:
    return Event("completeBegin", f'{{"iteration":{iteration},"attempt":{attempt}}}')


def complete_end(iteration: int, attempt: int) -> Event:
    return Event("completeEnd", f'{{"iteration":{iteration},"attempt":{attempt}}}')


def send_result(message_id: str, text: str) -> Event:
    return Event("sendResult", rendered({"id": message_id, "text": text, "entities": []}))


def merged(into: str) -> Event:
    """`into` is the run that answers from here on."""
    return Event("merged", rendered({"runId": into}))


def published(message: dict[str, Any]) -> Event:
    """An object a client published; it is a channel's event as it stands."""
    return Event("published", rendered(message))


def kept(message: NewMessage, message_id: str | None) -> Event:
    """A message was added; its id where it stays."""
    data: dict[str, Any] = {"type": message.type, "text": message.text}
    data |= {"meta": message.meta} if message.meta else {}
    return Event("message", rendered(data | ({"id": message_id} if message_id else {})))


def used(answer: Answer) -> Event:
    """The tokens of one call of a model."""
    counts = {
        "model": answer.model,
        "inputTokensUsed": answer.usage.input_tokens,
        "outputTokensUsed": answer.usage.output_tokens,
    }
    return Event("usage", rendered(counts))


def operation_begin(run_id: str, ordinal: int, kind: Kind, called: Called) -> Event:
    return Event("operationBegin", rendered(_operation(run_id, ordinal, kind, called)))


def operation_end(run_id: str, ordinal: int, kind: Kind, called: Called) -> Event:
    return Event("operationEnd", rendered(_operation(run_id, ordinal, kind, called)))


def _operation(run_id: str, ordinal: int, kind: Kind, called: Called) -> dict[str, Any]:
    """An action as the contract has it: of a skillset, or a function (contract §2.2)."""
    operation_id = f"{run_id}/{ordinal}"
    of = "skillset" if kind == "ability" else "function"
    action = {"id": operation_id, "kind": of, "name": called.name, "input": called.arguments}
    return {"id": operation_id, "action": action}


def wait_begin(channel: str, called: Called) -> Event:
    return Event("waitForChannelMessageBegin", rendered(_wait(channel, called)))


def wait_end(channel: str, called: Called, message: Any) -> Event:
    """`message` is what was published; of a wait that ended without, there is none."""
    data = _wait(channel, called) | ({} if message is None else {"message": message})
    return Event("waitForChannelMessageEnd", rendered(data))


def _wait(channel: str, called: Called) -> dict[str, Any]:
    return {"channel": channel, "function": {"name": called.name, "args": called.arguments}}


class Result(NamedTuple):
    """A finished completion."""

    run_id: str
    message_id: str | None
    """None of a stateless one; empty of a turn without a message, for clients require it."""
    text: str
    tokens: int
    reason: str
    asked: Sequence[dict[str, Any]] = ()
    """The activity messages that the caller is to answer; of a stateless run all it has added, these last."""
    outcome: str | None = None
    """What the agent said of its own background run."""

    def body(self) -> dict[str, Any]:
        body: dict[str, Any] = {} if self.message_id is None else {"id": self.message_id}
        body |= {"text": self.text, "usage": {"token": self.tokens}, "end": {"reason": self.reason}}
        body |= {"messages": [*self.asked]} if self.asked else {}
        body |= {"outcome": self.outcome} if self.outcome else {}
        return body | {"runId": self.run_id}


class Executed(NamedTuple):
    """What came of a run that was one call of an ability."""

    run_id: str
    error: str | None = None
    result: Any = None
    messages: Sequence[dict[str, Any]] = ()
    """The call and its answer, as activity messages."""

    def body(self) -> dict[str, Any]:
        """As the contract has it; no model was asked."""
        body: dict[str, Any] = {"usage": {"token": 0}}
        body |= {"error": self.error} if self.error is not None else {}
        body |= {"result": self.result} if self.result is not None else {}
        body |= {"messages": [*self.messages]} if self.messages else {}
        return body | {"runId": self.run_id}


def executed(run_id: str, outcome: Outcome, messages: Sequence[dict[str, Any]]) -> list[Event]:
    """The last event of such a run; a failure is told in words, beside whatever else the tool said of it."""
    if not outcome.failed:
        told = Executed(run_id, None, outcome.result, messages)
    elif isinstance(outcome.result, str):
        told = Executed(run_id, outcome.result, None, messages)
    else:
        told = Executed(run_id, f"The call failed: {outcome.code}.", outcome.result, messages)
    return [Event("result", rendered(told.body()))]


def over(result: Result) -> list[Event]:
    """The last events of a run that came to its own end."""
    body = rendered(result.body())
    return [Event("receiveResult", body), Event("result", body)]


def stopped(result: Result | Executed, ending: Ending) -> list[Event]:
    """The last events of a run that ended without its model: an error, or what it had said so far."""
    if ending.state == "failed":
        return [error(ending.code or "ERROR", ending.message or "The run failed.", result.run_id)]
    why = {"reason": ending.reason} | ({"functionName": ending.function} if ending.function else {})
    return [Event("abort", rendered(why)), Event("result", rendered(result.body()))]


def error(code: str, message: str, run_id: str | None = None) -> Event:
    data = {"message": message, "code": code} | ({"runId": run_id} if run_id else {})
    return Event("error", rendered(data))
