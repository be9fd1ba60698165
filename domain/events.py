"""What a live listener sees: event types, and their data rendered once as ASCII JSON."""

from __future__ import annotations

import json
from json.encoder import encode_basestring_ascii as _quoted
from typing import Any, NamedTuple

from domain.run import Answer, Ending

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


def published(message: dict[str, Any]) -> Event:
    """An object a client published; it is a channel's event as it stands."""
    return Event("published", rendered(message))


def result(run_id: str, message_id: str | None, text: str, tokens: int, reason: str) -> dict[str, Any]:
    """The body of a finished completion; a stateless one has no message id, a turn without a message an empty
    one (clients require it)."""
    body: dict[str, Any] = {} if message_id is None else {"id": message_id}
    return body | {"text": text, "usage": {"token": tokens}, "end": {"reason": reason}, "runId": run_id}


def answered(run_id: str, message_id: str | None, answer: Answer, step: tuple[int, int]) -> list[Event]:
    """The last events of a run whose model answered; `step` is its (iteration, attempt)."""
    used = {
        "model": answer.model,
        "inputTokensUsed": answer.usage.input_tokens,
        "outputTokensUsed": answer.usage.output_tokens,
    }
    message = {"type": "bot", "text": answer.text} | ({"id": message_id} if message_id else {})
    total = answer.usage.input_tokens + answer.usage.output_tokens
    body = result(run_id, message_id, answer.text, total, answer.reason)
    return [
        Event("message", rendered(message)),
        Event("usage", rendered(used)),
        complete_end(*step),
        Event("receiveResult", rendered(body)),
        Event("result", rendered(body)),
    ]


def stopped(run_id: str, message_id: str | None, partial: str, ending: Ending) -> list[Event]:
    """The last events of a run that ended without its model: an error, or what it had said so far."""
    if ending.state == "failed":
        return [error(ending.code or "ERROR", ending.message or "The run failed.", run_id)]
    body = result(run_id, message_id, partial, 0, "abort")
    return [Event("abort", rendered({"reason": ending.reason})), Event("result", rendered(body))]


def error(code: str, message: str, run_id: str | None = None) -> Event:
    data = {"message": message, "code": code} | ({"runId": run_id} if run_id else {})
    return Event("error", rendered(data))
