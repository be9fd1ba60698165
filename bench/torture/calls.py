"""What must hold of an agent's calls: of tools, of functions that wait, of those left to the caller."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from bench.torture.equipment import ONCE
from bench.torture.evidence import Evidence, Row
from bench.torture.history import Op
from bench.torture.policies import is_kept

Complaints = Iterator[str]

HEARD_WITHIN = 60.0
"""Seconds within which an agent goes on when its answer was published: more than an outage may take, and than
the sweeper's rounds."""
UNANSWERED = "NO_MESSAGE_RECEIVED"


def each_request_has_one_response(found: Evidence) -> Complaints:
    """In a run that succeeded, but for what is left to the caller; and never two. Of stateless runs, as long
    as their words are kept."""
    acts = _acts(found)
    for call in found.calls:
        run, key = found.runs.get(call["run_id"]), _key(call)
        if run is None or not is_kept(found, run):
            continue
        requests, responses = acts["request", key], acts["response", key]
        if run["conversation_id"] is None and not requests + responses:
            continue
        least = run["state"] == "succeeded" and call["kind"] != "caller"
        if len(requests) != 1 or not least <= len(responses) <= 1:
            yield f"{key} ({call['name']}) of a run that {run['state']}: {len(requests)} / {len(responses)}"


def a_call_that_succeeded_was_made(found: Evidence) -> Complaints:
    """By the count of the tools themselves."""
    made = _made(found)
    for call in found.calls:
        if call["kind"] == "ability" and call["state"] == "done" and not made[_key(call)]:
            yield f"{_key(call)} ({call['name']}) succeeded, and its tool knows nothing of it"


def what_is_done_once_is_done_once(found: Evidence) -> Complaints:
    """Whoever died meanwhile, and however often the model was asked."""
    for name, told in found.tools.items():
        for key, count in told["keys"].items():
            if name.endswith(ONCE) and count > 1:
                yield f"{key} ({name}) was done {count} times"


def a_call_has_one_key(found: Evidence) -> Complaints:
    """However often it was made: a request has the key of a call there is, the same each time."""
    known = {_key(step) for step in found.steps if step["kind"] == "call"}
    for name, told in found.tools.items():
        keys: dict[tuple[str, str], set[str]] = defaultdict(set)
        for request in told["requests"]:
            keys[request["query"], request["body"]].add(request["headers"].get("idempotency-key", ""))
        for asked, some in keys.items():
            if len(some) > 1 or not some <= known:
                yield f"{name} was asked {asked} under the keys {sorted(some)}"


def a_publish_answers_one_wait(found: Evidence) -> Complaints:
    """And what an agent is told was published to it."""
    said = _published(found)
    for text, calls in _taken(found).items():
        if len(calls) > 1:
            yield f"{text!r} answered {[_key(call) for call in calls]}"
        for call in calls:
            if text not in said or said[text].channel != call["channel"]:
                yield f"{_key(call)} was told {text!r}, which was not published on {call['channel']}"


def a_model_is_told_what_was_published(found: Evidence) -> Complaints:
    """The answer of a model repeats what its tools said."""
    told: dict[str, list[str]] = defaultdict(list)
    for text, calls in _taken(found).items():
        for call in calls:
            told[call["run_id"]].append(text)
    for op in found.ops:
        if op.channel and op.plain and op.outcome == "ok" and op.end == "stop":
            lacking = [text for text in told[op.run or ""] if text not in (op.answer or "")]
            if lacking:
                yield f"{op.id} ({op.run}) was not told {lacking}"


def no_publish_is_lost(found: Evidence) -> Complaints:
    """A wait does not end without an answer that was acknowledged before and is nobody else's."""
    taken = _taken(found)
    for call in found.calls:
        if call["error_code"] != UNANSWERED:
            continue
        for text, op in _published(found).items():
            mine = op.channel == call["channel"] and op.outcome == "ok"
            if mine and text not in taken and op.over_at < call["ended_at"].timestamp():
                yield f"{_key(call)} waited in vain, and {text!r} was published"


def nobody_stays_parked(found: Evidence) -> Complaints:
    """A run goes on soon after its answer was published, even if its plan was not told."""
    said = _published(found)
    asked = {(step["run_id"], step["iteration"]): step for step in found.steps if step["kind"] == "model"}
    for text, calls in _taken(found).items():
        for call in calls:
            if text not in said or said[text].outcome != "ok":
                continue
            begun = asked[call["run_id"], call["iteration"]]["ended_at"].timestamp()
            late = call["ended_at"].timestamp() - max(said[text].over_at, begun)
            if late > HEARD_WITHIN:
                yield f"{_key(call)} waited for {late:.0f} s when its answer was there"


def nothing_is_left_over(found: Evidence) -> Complaints:
    """A run that is over has no claim on a channel; each call is a step of its run, and goes with its
    conversation."""
    for row in found.named:
        if found.runs[row["run_id"]]["ended_at"]:
            yield f"{row['run_id']} is over, and holds on to {row['name']}"
    kept = {run["id"] for run in found.runs.values() if is_kept(found, run)}
    steps = {_key(step) for step in found.steps if step["kind"] == "call" and step["run_id"] in kept}
    if wrong := steps ^ {_key(call) for call in found.calls}:
        yield f"these are steps or calls, and not both: {sorted(wrong)[:5]}"


CALLS: tuple[Callable[[Evidence], Complaints], ...] = (
    each_request_has_one_response,
    a_call_that_succeeded_was_made,
    what_is_done_once_is_done_once,
    a_call_has_one_key,
    a_publish_answers_one_wait,
    a_model_is_told_what_was_published,
    no_publish_is_lost,
    nobody_stays_parked,
    nothing_is_left_over,
)


def _key(call: Row) -> str:
    """Of a call, or of its step."""
    return f"{call['run_id']}/{call['ordinal']}"


def _made(found: Evidence) -> Counter[str]:
    """How often each call was made, by its key."""
    made: Counter[str] = Counter()
    for told in found.tools.values():
        made.update(told["keys"])
    return made


def _acts(found: Evidence) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The activity messages that runs made, by type and by the key of their call."""
    acts: dict[tuple[str, str], list[dict[str, Any]]] = defaultdict(list)
    for rows in found.messages.values():
        for row in rows:
            if row["type"] == "activity" and row["run_id"] is not None:
                act = json.loads(row["meta"])["activity"]
                acts[act["type"], act["id"]].append(act)
    return acts


def _published(found: Evidence) -> dict[str, Op]:
    """By text; each has words of its own."""
    return {op.text: op for op in found.ops if op.kind == "publish"}


def _taken(found: Evidence) -> dict[str, list[Row]]:
    """The waits that each published text has answered, as far as the responses are kept."""
    acts, taken = _acts(found), defaultdict(list)
    for call in found.calls:
        if call["channel"] is not None and call["error_code"] != UNANSWERED:
            for act in acts["response", _key(call)]:
                taken[act["function"]["result"]].append(call)
    return taken
