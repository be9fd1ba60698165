"""An agent's run in a sound house, and what may be wrong with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.torture import calls
from bench.torture.evidence import Evidence
from bench.torture.history import Op

AT = datetime(2026, 1, 1, tzinfo=UTC)
PAY, ASK = "agent1/2", "agent1/3"
PUBLISHED = "canary op.a.2 answers"
TOOL = "canary-op.a.1-pay"


def act(kind: str, key: str, name: str, result: Any = None) -> dict[str, Any]:
    """An activity message."""
    function = {"name": name, "arguments": {"n": 1}, "result": result}
    meta = {"activity": {"type": kind, "id": key, "function": function}}
    keys = {"id": f"{kind} {key}", "key": f"{key}/{kind}", "run_id": "agent1", "seq": 1, "hidden": False}
    return keys | {"type": "activity", "text": "", "meta": json.dumps(meta)}


def call(ordinal: int, name: str, **more: Any) -> dict[str, Any]:
    made = {"run_id": "agent1", "ordinal": ordinal, "name": name, "channel": None, "effect": None}
    ended = {"state": "done", "iteration": 1, "error_code": None, "ended_at": AT + timedelta(seconds=2)}
    return made | ended | more


def step(ordinal: int, kind: str) -> dict[str, Any]:
    place = {"run_id": "agent1", "ordinal": ordinal, "kind": kind, "state": "done", "attempt": 1}
    return place | {"iteration": 1, "input_tokens": 0, "output_tokens": 0, "ended_at": AT}


def with_agent(found: Evidence, run: dict[str, Any]) -> Evidence:
    """`run` is a dispatch that paid something and asked on a channel; somebody published."""
    answer = f"The tools answered: 7 {PUBLISHED}"
    asked = Op("op.a.1", "stateless dispatch", "do it", expected="The tools answered:", answer=answer)
    asked.run, asked.channel, asked.body = "agent1", "ask-channel", {"functions": []}
    published = Op("op.a.2", "publish", PUBLISHED, channel="ask-channel", over_at=AT.timestamp() + 1)
    asked.outcome = published.outcome = "ok"
    asked.end = "stop"
    found.ops = [*found.ops, asked, published]
    found.runs["agent1"] = run
    found.steps += [step(1, "model"), step(2, "call"), step(3, "call"), step(4, "model")]
    found.calls = [
        call(2, "pay", kind="ability", effect="once"),
        call(3, "ask", kind="channel", channel="ask-channel"),
    ]
    found.messages["none"] = [
        act("request", PAY, "pay"),
        act("request", ASK, "ask"),
        act("response", PAY, "pay", 7),
        act("response", ASK, "ask", PUBLISHED),
    ]
    request = {"query": "", "body": "1", "headers": {"idempotency-key": PAY}}
    found.tools = {TOOL: {"seen": 1, "executed": 1, "keys": {PAY: 1}, "requests": [request]}}
    return found


def answer_nothing(found: Evidence) -> None:
    found.messages["none"].pop()


def answer_twice(found: Evidence) -> None:
    found.messages["none"].append(act("response", PAY, "pay", 7))


def make_no_call(found: Evidence) -> None:
    found.tools.clear()


def pay_twice(found: Evidence) -> None:
    found.tools[TOOL]["keys"][PAY] = 2


def call_under_another_key(found: Evidence) -> None:
    found.tools[TOOL]["requests"].append({"query": "", "body": "1", "headers": {"idempotency-key": ASK}})


def call_without_a_step(found: Evidence) -> None:
    found.tools[TOOL]["requests"][0]["headers"]["idempotency-key"] = "agent1/9"


def answer_two_waits(found: Evidence) -> None:
    found.calls.append(call(5, "ask", kind="channel", channel="ask-channel"))
    found.messages["none"].append(act("response", "agent1/5", "ask", PUBLISHED))


def answer_with_what_nobody_published(found: Evidence) -> None:
    the_publish(found).text = "something else"


def answer_on_another_channel(found: Evidence) -> None:
    the_publish(found).channel = "another-channel"


def tell_the_model_nothing(found: Evidence) -> None:
    next(op for op in found.ops if op.id == "op.a.1").answer = "The tools answered: 7"


def lose_a_publish(found: Evidence) -> None:
    found.calls[1] |= {"error_code": calls.UNANSWERED, "state": "failed"}


def stay_parked(found: Evidence) -> None:
    found.calls[1]["ended_at"] += timedelta(seconds=calls.HEARD_WITHIN + 1)


def hold_on_to_a_channel(found: Evidence) -> None:
    found.named.append({"run_id": "agent1", "name": "ask-channel"})


def lose_a_call(found: Evidence) -> None:
    found.calls.pop()


def the_publish(found: Evidence) -> Op:
    return next(op for op in found.ops if op.kind == "publish")


CASES: list[tuple[Callable[[Evidence], None], Callable[[Evidence], Any]]] = [
    (answer_nothing, calls.each_request_has_one_response),
    (answer_twice, calls.each_request_has_one_response),
    (make_no_call, calls.a_call_that_succeeded_was_made),
    (pay_twice, calls.what_is_done_once_is_done_once),
    (call_under_another_key, calls.a_call_has_one_key),
    (call_without_a_step, calls.a_call_has_one_key),
    (answer_two_waits, calls.a_publish_answers_one_wait),
    (answer_with_what_nobody_published, calls.a_publish_answers_one_wait),
    (answer_on_another_channel, calls.a_publish_answers_one_wait),
    (tell_the_model_nothing, calls.a_model_is_told_what_was_published),
    (lose_a_publish, calls.no_publish_is_lost),
    (stay_parked, calls.nobody_stays_parked),
    (hold_on_to_a_channel, calls.nothing_is_left_over),
    (lose_a_call, calls.nothing_is_left_over),
]
