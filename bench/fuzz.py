"""Requests that nobody would write, made by schemathesis from the document, and what came of them."""

from __future__ import annotations

import copy
import itertools
import re
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import schemathesis
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events, from_schema
from schemathesis.generation.case import Case
from schemathesis.schemas import BaseSchema

from tests import document

ENDLESS = ("channelSubscribe", "eventLogSubscribe", "runSubscribe", "taskSubscribe")
"""Operations whose answers have no end; they are tested by hand."""

UNTOLD = re.compile(
    "|".join(
        (
            "NUL character",
            "control characters",
            "beyond 64 bits|nested deeper|more than [0-9]+ values",
            "name a key of meta|contradicts another filter",
            "^cursor: there is no such",
            "^(from|to|until): ",
            "^model: ",
            "of the instruction: |two names of one field",
            "^X-Timezone: ",
            "^input: |^tokens: ",
            "lies in the past",
            "^schedule: |^timezone: send|^every: (there is|send whole|two runs)|^(startAt|endAt): lies",
            r"^webhook\.(url|headers): |^email\.(to|subject): ",
            r"\.instruction: |^functions: |^extensions\.(features\.|skillsets: )|meta\.activity",
            "Value error, (data and channel|waitSeconds needs|its properties|linkedSecretId)",
            "larger than [0-9]+ bytes|a channel's name has",
            "^value: (of a basic|it is sent)|^type: the value",
        )
    )
)
"""What a schema cannot say, and a refusal of what it takes says instead."""

_FORMS = itertools.cycle(("application/json", "application/jsonl", "text/event-stream", "*/*"))


@dataclass(frozen=True)
class Plan:
    requests: int
    """At the least; the round in which they are reached is ended."""
    seed: int
    """Of the first round; each has one of its own."""
    examples: int
    """Of every operation, in a round."""
    edges: bool = False
    """Whether the first round begins with every edge of every schema."""


@dataclass
class Outcome:
    statuses: Counter[int] = field(default_factory=Counter)
    """Requests by the status they were answered with."""
    problems: dict[str, str] = field(default_factory=dict)
    """What was wrong where, and a request that shows it."""
    seconds: float = 0.0

    @property
    def requests(self) -> int:
        return sum(self.statuses.values())

    def text(self) -> str:
        return "\n\n".join(f"{where}\n{told}" for where, told in self.problems.items())


@schemathesis.hook
def before_call(_context: schemathesis.HookContext, case: Case[Any], _kwargs: dict[str, Any]) -> None:
    """Asks for every form of answer in turn; headers that are wrong on purpose stay as they are."""
    if case.meta is None or not case.meta.is_negative_at(ParameterLocation.HEADER):
        case.headers["Accept"] = next(_FORMS)


@schemathesis.check
def as_told(_context: schemathesis.CheckContext, response: schemathesis.Response, case: Case[Any]) -> None:
    """Every line of a stream too, and no field that the document does not know."""
    where = document.place(case.method, response.request.url or "")
    document.judge(where, response.status_code, _kind(response), response.content)


@schemathesis.check
def accepted(_context: schemathesis.CheckContext, response: schemathesis.Response, case: Case[Any]) -> None:
    """What fits its schema is refused for what no schema can say, or not at all."""
    fits = case.meta is not None and case.meta.generation.mode.is_positive
    if fits and response.status_code in (400, 413, 415):
        message = response.json()["message"]
        assert UNTOLD.search(message), message


def fuzz(url: str, key: str, plan: Plan, told: dict[str, Any] | None = None) -> Outcome:
    """Sends what is planned, made from a document: the server's own, unless another is given."""
    outcome, began = Outcome(), time.monotonic()
    for turn in itertools.count():
        schema = _loaded(told or document.told(), (url, key), plan, turn)
        for event in from_schema(schema).execute():
            _note(event, outcome)
        if outcome.requests >= plan.requests:
            break
    outcome.seconds = time.monotonic() - began
    return outcome


def _loaded(told: dict[str, Any], server: tuple[str, str], plan: Plan, turn: int) -> BaseSchema:
    """What a round is made from: the document without what has no end."""
    url, key = server
    config = schemathesis.Config.from_dict(
        {
            "seed": plan.seed + turn,
            "base-url": f"{url}/v1",
            "headers": {"Authorization": f"Bearer {key}"},
            "request-timeout": 30,
            "continue-on-failure": True,
            "generation": {"max-examples": plan.examples, "no-shrink": True, "database": "none"},
            "phases": {"coverage": {"enabled": plan.edges and turn == 0}},
            "checks": {
                "not_a_server_error": {"expected-statuses": ["2xx", "4xx", "501"]},
                "negative_data_rejection": {"expected-statuses": ["4xx", "501"]},
                # In its place there is `accepted`, which knows of reasons.
                "positive_data_acceptance": {"enabled": False},
            },
        }
    )
    lenient = copy.deepcopy(told)
    for operation in (one for verbs in lenient["paths"].values() for one in verbs.values()):
        for parameter in operation["parameters"]:
            # By contract a `take` that is no number of items is the default, not an error.
            parameter |= {"schema": {"type": "string"}} if parameter["name"] == "take" else {}
    schema = schemathesis.openapi.from_dict(lenient, config=config)
    return schema.exclude(operation_id=[*ENDLESS])


def _note(event: events.EngineEvent, outcome: Outcome) -> None:
    if isinstance(event, events.NonFatalError):
        outcome.problems[f"{event.label}: {event.info.title}"] = str(event.value)
    if isinstance(event, events.FatalError):
        raise event.exception
    if not isinstance(event, events.ScenarioFinished):
        return
    for name, interaction in event.recorder.interactions.items():
        status = interaction.response.status_code if interaction.response else 0
        outcome.statuses[status] += 1
        for check in event.recorder.checks.get(name, []):
            if check.failure_info is not None:
                told = check.failure_info
                where = f"{event.recorder.label}: {check.name}: {told.failure.title}"
                outcome.problems.setdefault(where, f"{told.failure.message}\n{told.code_sample}")


def _kind(response: schemathesis.Response) -> str:
    return response.headers.get("content-type", [""])[0]
