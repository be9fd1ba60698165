"""What must hold of everything that was accepted, acknowledged, stored or streamed, whatever was broken."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator

from bench.torture.calls import CALLS
from bench.torture.deliveries import DELIVERIES
from bench.torture.evidence import Evidence, Row
from bench.torture.faults import SHORT
from bench.torture.history import Heard, Op
from bench.torture.occurrences import OCCURRENCES
from bench.torture.policies import OVERRULED, POLICIES, answering, asked_with, is_kept, joined, log
from bench.torture.surface import SURFACE
from bench.torture.talk import LIMIT, text_of
from bench.torture.trigger_events import TRIGGER_EVENTS
from domain.events import MERGED, TERMINAL
from domain.run import OPEN

Complaints = Iterator[str]
LONGEST_OUTAGE = SHORT[1] + 1

SPOKEN = (
    *("send", "complete", "stream", "dispatch", "canceled", "interrupted", "rolled_back", "deleted"),
    *("steered", "steering", "caller"),
)
"""Operations whose text becomes a user message."""
STATELESS = ("stateless", "stateless dispatch")
STARTING = (*SPOKEN[1:], *STATELESS, "receive", "continued")
"""Operations that make a run."""
ANSWERED = ("complete", "stream", "dispatch", "caller", "continued", *STATELESS)
STOPPED = ("canceled", "interrupted", "rolled_back")
"""Operations that somebody else ends."""
NEVER_SAID = ("canceled", "rolled_back")
"""Where a run that never began left nothing."""
OUT_OF_ORDER = ("MODEL_UNAVAILABLE", "MODEL_BROKEN")
OF_ITS_MODEL = (*OUT_OF_ORDER, "MODEL_BUSY", "MODEL_REFUSED")


def acknowledged_messages_are_kept_once(found: Evidence) -> Complaints:
    """I1: the user message of what was acknowledged is there once, with its very text; of a run that was
    cancelled or rolled back before it began, never."""
    for op in found.ops:
        if op.kind not in SPOKEN or op.outcome != "ok" or not found.kept(op):
            continue
        run = found.runs.get(op.run or "")
        begun = run is None or run["begun_at"] is not None or run["state"] not in NEVER_SAID
        count = _said(found, op)
        if count != int(begun):
            yield f"{op.id} ({op.kind}, run {op.run}) was acknowledged; its message is there {count} times"


def unknown_messages_are_kept_at_most_once(found: Evidence) -> Complaints:
    """I2: and what was refused, or was said not to be done, not at all."""
    for op in found.ops:
        if op.kind not in SPOKEN or op.outcome == "ok" or not found.kept(op):
            continue
        refused = op.outcome == "fail" or (op.denied and not op.keyed)
        if (count := _said(found, op)) > (not refused):
            yield f"{op.id} ({op.kind}) ended {op.outcome}; its message is there {count} times"


def whoever_may_repeat_is_answered(found: Evidence) -> Complaints:
    """I7, from outside: a call under a key is repeated until somebody can tell what became of it."""
    for op in found.ops:
        if op.keyed and op.outcome == "unknown":
            yield f"{op.id} ({op.kind}, run {op.run}) was never answered, in {op.tries} tries"


def each_call_makes_one_run_at_most(found: Evidence) -> Complaints:
    """I2: no more runs than calls that were told of one, or may have made one; what met a limit has not.
    Of tasks see occurrences.py, of triggers trigger_events.py."""
    runs = {run["id"] for run in found.runs.values() if run["task_id"] is None and run["trigger_id"] is None}
    told = runs & {op.run for op in found.ops if op.outcome == "ok"}
    limited = [op for op in found.ops if op.error == LIMIT]
    may_have = sum(op.outcome != "ok" and op.kind in STARTING for op in found.ops) - len(limited)
    if len(runs) > len(told) + may_have:
        yield f"{len(runs)} runs of {len(told)} that were told and {may_have} that may be"


def a_succeeded_run_has_one_answer(found: Evidence) -> Complaints:
    """I3: one final assistant message per succeeded run, at most one partial of a stopped one, else none:
    what is left to the caller has no answer yet; and one more at most for each call that joined it."""
    answers = Counter(
        row["run_id"] for rows in found.messages.values() for row in rows if row["type"] == "bot"
    )
    more = joined(found)
    for run in found.runs.values():
        if run["conversation_id"] is None or not is_kept(found, run):
            continue
        said = int(run["end_reason"] != "activity" or run["outcome"] is not None)
        least, most = {"succeeded": (said, said), "failed": (0, 0), "merged": (0, 0)}.get(
            run["state"], (0, 1)
        )
        if not least <= answers[run["id"]] <= most + more[run["id"]]:
            yield f"{run['id']} {run['state']} with {answers[run['id']]} assistant messages"


def a_succeeded_run_ends_with_a_step_that_is_done(found: Evidence) -> Complaints:
    """I3: its model's last step, which asked for nothing, unless its end is its caller's or its own; no other
    run has one; but for answers that were not the last, because a call had joined."""
    calls = {(step["run_id"], step["ordinal"]) for step in found.steps if step["kind"] == "call"}
    last, more = Counter[str](), joined(found)
    for step in found.steps:
        asked = (step["run_id"], step["ordinal"] + 1) in calls
        last[step["run_id"]] += step["kind"] == "model" and step["state"] == "done" and not asked
    for run in found.runs.values():
        spoke = run["end_reason"] != "activity" and run["outcome"] is None
        least = int(run["state"] == "succeeded" and spoke)
        if not least <= last[run["id"]] <= least + more[run["id"]]:
            yield f"{run['id']} {run['state']} with {last[run['id']]} steps done that asked for nothing"


def conversations_have_no_gap(found: Evidence) -> Complaints:
    """I4: seqs are 1 to n, and an answer follows its own question."""
    for place, conversation in found.conversations.items():
        seqs = [row["seq"] for row in found.messages.get(place, [])]
        if seqs != list(range(1, conversation["messages"] + 1)):
            yield f"{place} has the seqs {seqs}, and counts {conversation['messages']}"
        rows = found.messages.get(place, [])
        asked = {
            row["run_id"]: row["seq"] for row in reversed(rows) if row["type"] == "user" and row["run_id"]
        }
        for row in rows:
            if row["type"] == "bot" and asked.get(row["run_id"], 0) > row["seq"]:
                yield f"{place}: the answer {row['id']} stands before its question"


def one_turn_at_a_time(found: Evidence) -> Complaints:
    """I4: no two runs of a conversation are admitted at once, and they begin in the order of acceptance."""
    lines: dict[str, list[Row]] = {}
    for run in found.runs.values():
        if run["conversation_id"] and run["admitted_at"] and run["ended_at"]:
            lines.setdefault(run["conversation_id"], []).append(run)
    for line in lines.values():
        line.sort(key=lambda run: run["accepted_seq"])
        for first, second in itertools.pairwise(line):
            if second["admitted_at"] < first["ended_at"]:
                yield f"{second['id']} was admitted before {first['id']} had ended"


def channels_are_in_order_and_end_once(found: Evidence) -> Complaints:
    """I5: the channel of a run that is over is closed; each seq is there once, the terminal event once and
    last. Of a stateless completion that was forgotten nothing is there."""
    for run in found.runs.values():
        rows = found.events.get(run["channel_id"], [])
        seqs = [row["seq"] for row in rows]
        ends = [row["seq"] for row in rows if row["type"] in TERMINAL]
        if run["ended_at"] and found.channels[run["channel_id"]]["open"]:
            yield f"{run['id']} is over, and its channel is open"
        if len(set(seqs)) != len(seqs):
            yield f"{run['id']} has a seq twice: {seqs}"
        if run["state"] == "merged" and is_kept(found, run):
            if ends or not rows or rows[-1]["type"] != MERGED:
                yield f"{run['id']} was merged, and its channel does not end so"
        elif run["ended_at"] and len(ends) != 1 - _may_be_forgotten(run, rows):
            yield f"{run['id']} has the terminal events {ends} of {seqs[-1:]}"
        if ends and ends[-1] != seqs[-1]:
            yield f"{run['id']} goes on after its end: {ends} of {seqs[-1:]}"


def only_the_last_attempt_is_kept(found: Evidence) -> Complaints:
    """I12: what an earlier attempt logged is gone, and it logged nothing afterwards."""
    attempts = {(step["run_id"], step["ordinal"]): step["attempt"] for step in found.steps}
    for channel_id, rows in found.events.items():
        run = found.channels[channel_id]["run_id"]
        for row in rows:
            last = attempts.get((run, row["step"]))
            # What is said of calls belongs to no attempt.
            if row["step"] and row["attempt"] and last is not None and row["attempt"] != last:
                yield f"{run}: seq {row['seq']} is of attempt {row['attempt']}, the last is {last}"
                break


def the_stream_says_what_is_stored(found: Evidence) -> Complaints:
    """I5: the text of a channel's tokens is the stored message, and the one in its terminal event."""
    texts = {row["id"]: row["text"] for rows in found.messages.values() for row in rows}
    for channel_id, rows in found.events.items():
        run = found.runs.get(found.channels[channel_id]["run_id"] or "")
        if run is None or run["state"] == "failed" or not rows or rows[-1]["type"] != "result":
            continue
        if run["outcome"] is not None:  # its agent said it in a call
            continue
        streamed, result = text_of(_heard(rows)), json.loads(rows[-1]["data"])["text"]
        stored = texts.get(run["message_id"], result)
        if not streamed == result == stored:
            said = f"streamed {streamed[-60:]!r}, ended {result[-60:]!r}, stored {stored[-60:]!r}"
            yield f"{run['id']}: {said}"


def listeners_hear_forward_only(found: Evidence) -> Complaints:
    """I6: what one operation heard is strictly increasing, over all its connections."""
    for op in found.ops:
        seqs = [event[0] for heard in op.heard for event in heard]
        if any(after <= before for before, after in itertools.pairwise(seqs)):
            yield f"{op.id} heard {seqs}"


def listeners_miss_nothing(found: Evidence) -> Complaints:
    """I6: whoever heard the end has heard every row that is in the log, as it is there."""
    for op in found.ops:
        run = found.runs.get(op.run or "")
        if not _heard_the_end(op) or run is None or op.conversation in found.doomed:
            continue
        heard = {seq: (kind, data) for events in op.heard for seq, kind, data in events}
        for row in log(found, run["channel_id"]):
            if heard.get(row["seq"]) != (row["type"], json.loads(row["data"])):
                yield f"{op.id} ({op.run}) missed seq {row['seq']}, {row['type']}"
                break


def answers_are_to_the_question(found: Evidence) -> Complaints:
    """What a client was told, at once or in pieces, is what its model was to say, whole; unless somebody
    stopped it. A turn that took in other calls answers one of them."""
    took_in = joined(found)
    for op in found.ops:
        if op.outcome != "ok" or not op.plain or op.kind not in ANSWERED or not found.kept(op):
            continue
        if op.end != op.ends:
            if op.kind not in STOPPED and op.error is None and not _talked_down(found, op):
                yield f"{op.id} ({op.kind}, run {op.run}) ended with {op.end}"
        elif not any(_answers(op, asked) for asked in asked_with(found, op, took_in)):
            yield f"{op.id}: {op.answer!r} instead of {op.expected!r}"
        elif (
            not _settled(found, op)
            and op.heard
            and (text := text_of([event for heard in op.heard for event in heard])) != op.answer
        ):
            yield f"{op.id}: streamed {text!r}, answered {op.answer!r}"


def nobody_is_refused_without_reason(found: Evidence) -> Complaints:
    """A definite no is what the call asked for, or of a conversation that is being deleted."""
    for op in found.ops:
        gone = "NOT_FOUND" if not found.kept(op) else ""
        if op.outcome == "fail" and op.error not in (op.refusal or gone, gone):
            yield f"{op.id} ({op.kind}) was refused: {op.error}"


def nothing_unexpected_is_answered(found: Evidence) -> Complaints:
    """What never should be is answered no more often than a failpoint raised it."""
    bugs = [op for op in found.ops for _ in range(op.bugs)]
    for op in bugs[found.raised :]:
        yield f"{op.id} ({op.kind}) was answered what never should be"


def a_cancel_is_complete_when_answered(found: Evidence) -> Complaints:
    for op in found.ops:
        run = found.runs.get(op.run or "")
        if op.kind != "cancel" or op.outcome != "ok" or run is None:
            continue
        if run["ended_at"] is None or run["ended_at"].timestamp() > op.over_at:
            yield f"{op.run} was canceled, and went on"


def what_was_deleted_stays_deleted(found: Evidence) -> Complaints:
    for place in found.deleted:
        if place in found.conversations or found.messages.get(place):
            yield f"{place} was deleted, and is there"


def every_run_is_over(found: Evidence) -> Complaints:
    """I7"""
    for run in found.runs.values():
        if run["state"] in OPEN:
            yield f"{run['id']} is still {run['state']}"


def what_was_accepted_is_there(found: Evidence) -> Complaints:
    """I7: whoever was told of a run finds it."""
    for op in found.ops:
        if op.run is not None and op.run not in found.runs:
            yield f"{op.id} was told of {op.run}, which is not there"


def runs_fail_of_their_model_only(found: Evidence) -> Complaints:
    """A run whose model does as it should does not fail, whatever else is broken; and an outage of the model
    is outlived, unless another follows before the tries are spent."""
    took_in = joined(found)
    plain = {op.run for op in found.ops if op.plain and op.run and not took_in[op.run]}
    plain |= {run["id"] for run in found.runs.values() if run["task_id"] or run["trigger_id"]}
    failed = [run for run in found.runs.values() if run["state"] == "failed" and is_kept(found, run)]
    for run in failed:
        excused = run["error_code"] in OUT_OF_ORDER and _outages(found, run) > 1
        if run["error_code"] not in OF_ITS_MODEL or (run["id"] in plain and not excused):
            yield f"{run['id']} failed: {run['error_code']} {run['error_message']}"


def errors_that_are_told_are_true(found: Evidence) -> Complaints:
    """A run that ended with an error, as its caller was told, has failed."""
    for op in found.ops:
        run = answering(found, op)
        if op.outcome == "ok" and op.error and run and found.kept(op) and run["state"] != "failed":
            yield f"{op.id} was told {op.error}; {op.run} has {run['state']}"


def plans_and_runs_agree(found: Evidence) -> Complaints:
    """I13: no workflow is open whose run is over, and each was executed once."""
    for workflow in found.open_plans:
        yield f"workflow {workflow} is still open"
    for workflow, count in found.executions.items():
        if count > 1:
            yield f"workflow {workflow} was executed {count} times"


def usage_is_counted_once(found: Evidence) -> Complaints:
    """I16: a run's tokens are those of its steps that are done."""
    used: Counter[str] = Counter()
    for step in found.steps:
        if step["state"] == "done":
            used[step["run_id"]] += step["input_tokens"] + step["output_tokens"]
    for run in found.runs.values():
        counted = run["input_tokens"] + run["output_tokens"]
        if counted != used[run["id"]]:
            yield f"{run['id']} counts {counted} tokens, its steps {used[run['id']]}"


INVARIANTS: tuple[Callable[[Evidence], Complaints], ...] = (
    acknowledged_messages_are_kept_once,
    unknown_messages_are_kept_at_most_once,
    whoever_may_repeat_is_answered,
    each_call_makes_one_run_at_most,
    a_succeeded_run_has_one_answer,
    a_succeeded_run_ends_with_a_step_that_is_done,
    conversations_have_no_gap,
    one_turn_at_a_time,
    channels_are_in_order_and_end_once,
    only_the_last_attempt_is_kept,
    the_stream_says_what_is_stored,
    listeners_hear_forward_only,
    listeners_miss_nothing,
    answers_are_to_the_question,
    nobody_is_refused_without_reason,
    nothing_unexpected_is_answered,
    a_cancel_is_complete_when_answered,
    what_was_deleted_stays_deleted,
    every_run_is_over,
    what_was_accepted_is_there,
    runs_fail_of_their_model_only,
    errors_that_are_told_are_true,
    plans_and_runs_agree,
    usage_is_counted_once,
    *POLICIES,
    *SURFACE,
    *CALLS,
    *OCCURRENCES,
    *TRIGGER_EVENTS,
    *DELIVERIES,
)


def _talked_down(found: Evidence, op: Op) -> bool:
    """Whether a later call ended it: one that interrupts or rolls back ends whatever its conversation has
    open."""
    run = found.runs.get(op.run or "")
    if run is None or run["state"] not in OVERRULED:
        return False
    there = [op for op in found.ops if op.conversation == run["conversation_id"]]
    louder = [found.runs.get(other.run or "") for other in there if other.interrupts is not None]
    # Of one whose fate is unknown nobody can say where it stood.
    return any(later is None or later["accepted_seq"] > run["accepted_seq"] for later in louder)


def _settled(found: Evidence, op: Op) -> bool:
    """Whether its agent said in a call how it ended."""
    run = found.runs.get(op.run or "")
    return run is not None and run["outcome"] is not None


def _answers(op: Op, asked: Op) -> bool:
    """Whether what one was told is the answer of another; what tools say comes behind what is known."""
    told = op.answer or ""
    return told == asked.expected or (bool(asked.body) and told.startswith(asked.expected))


def _outages(found: Evidence, run: Row) -> int:
    """How often its model was put out of order while a run was open, or shortly before."""
    begun, ended = run["created_at"].timestamp() - LONGEST_OUTAGE, run["ended_at"].timestamp()
    return sum(begun <= at <= ended for at in found.model_struck)


def _said(found: Evidence, op: Op) -> int:
    rows = found.messages.get(op.conversation or "", [])
    return sum(row["type"] == "user" and row["text"] == op.text for row in rows)


def _may_be_forgotten(run: Row, rows: list[Row]) -> bool:
    return run["kind"] == "completion" and run["lane"] == "interactive" and not rows


def _heard(rows: list[Row]) -> list[Heard]:
    return [(row["seq"], row["type"], json.loads(row["data"])) for row in rows]


def _heard_the_end(op: Op) -> bool:
    return bool(op.heard and op.heard[-1] and op.heard[-1][-1][1] in TERMINAL)
