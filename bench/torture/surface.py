"""What must hold of what surrounds the turns: sessions, exports, limits, usage and the audit log."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from bench.torture.evidence import Evidence, Row
from bench.torture.history import Op
from bench.torture.ship import WAITING
from bench.torture.words import CANARY

Complaints = Iterator[str]
Told = Counter[tuple[str, str]]
"""How often the audit log tells of an act, by its type and the id of what it was done to."""

MADE = {
    "create": "conversation.create",
    "session": "session.create",
    "send": "message.create",
    "respond": "message.create",
    "task": "task.create",
    "connect": "trigger.create",
}
"""What the log tells when such an operation was acknowledged with an id."""


def what_is_forbidden_is_refused(found: Evidence) -> Complaints:
    """A session's token opens one conversation for as long as it is there, and nothing else, ever."""
    for op in found.ops:
        if op.forbidden and op.outcome != "unknown" and op.error != op.refusal:
            yield f"{op.id} ({op.kind}) was answered {op.error or 'ok'}, and not {op.refusal}"


def exports_that_end_are_whole(found: Evidence) -> Complaints:
    """What was there all the while is in it once, and what was gone before it began is not."""
    deletions = {op.conversation: op for op in found.ops if op.kind == "delete"}
    made = [op for op in found.ops if op.kind == "create" and op.outcome == "ok"]
    for op in found.ops:
        if op.kind != "export" or op.outcome != "ok":
            continue
        listed = Counter(op.listed)
        yield from (f"{op.id} has {place} {count} times" for place, count in listed.items() if count > 1)
        for before in made:
            place, deletion = before.made or "", deletions.get(before.made)
            stayed = place not in found.doomed or _asked_later(op, deletion)
            if before.over_at < op.began_at and stayed and place not in listed:
                yield f"{op.id} came to its end without {place}"
            if deletion and _gone_before(op, deletion) and place in listed:
                yield f"{op.id} has {place}, which was deleted before"


def every_act_is_told_once(found: Evidence) -> Complaints:
    """The log has one beginning and one end of every run, one entry for whatever else was acknowledged, and
    tells of nothing that was not done."""
    told = Told((row["type"], row["about"].get(_subject(row["type"]), "")) for row in found.audit)
    yield from _of_runs(found, told)
    for op in found.ops:
        act = _act(op)
        if act is not None and told[act] != 1:
            yield f"{op.id}: the log tells of {' '.join(act)} {told[act]} times"
    yield from _of_conversations(found, told)


def who_cancels_is_named(found: Evidence) -> Complaints:
    """Whoever was told that a run is canceled finds in the log by whom."""
    ends = {row["about"].get("runId"): row for row in found.audit if row["type"] == "run.canceled"}
    for op in found.ops:
        end = ends.get(op.run)
        if op.kind == "cancel" and op.outcome == "ok" and end and not end["meta"].get("actor"):
            yield f"{op.run} was canceled, and the log does not say by whom"


def the_audit_log_has_no_words(found: Evidence) -> Complaints:
    for row in found.audit:
        if CANARY in json.dumps(row, default=str):
            yield f"{row['id']} ({row['type']}) has words of users"


def whoever_follows_the_log_hears_it_all(found: Evidence) -> Complaints:
    """Each entry once, in an order that nothing is put before later, over all connections."""
    log = [row["id"] for row in found.audit]
    for op in found.ops:
        if op.kind != "follow" or op.listed == log:
            continue
        lacking, more = Counter(log) - Counter(op.listed), Counter(op.listed) - Counter(log)
        wrong = (
            f"lacks {[*lacking][:5]}, has {[*more][:5]} too often" if lacking or more else "is in disorder"
        )
        yield f"what {op.id} heard of {len(log)} entries {wrong}"


def no_more_wait_than_may(found: Evidence) -> Complaints:
    """Of the turns of a conversation, at any moment at which one was accepted."""
    lines: dict[str, list[Row]] = {}
    for run in found.runs.values():
        if run["conversation_id"] is not None:
            lines.setdefault(run["conversation_id"], []).append(run)
    for place, line in lines.items():
        for run in line:
            at = run["created_at"]
            waiting = sum(other["created_at"] <= at < _waited_until(other) for other in line)
            if waiting > WAITING:
                yield f"{waiting} turns of {place} waited when {run['id']} was accepted"


def usage_is_what_was_done(found: Evidence) -> Complaints:
    """What the account is told it used: the tokens of its runs, the conversations that were begun, and the
    messages that were sent or came of runs, deleted ones too."""
    acts, runs = Counter(row["type"] for row in found.audit), found.runs.values()
    done = {
        "tokens": sum(run["input_tokens"] + run["output_tokens"] for run in runs),
        "conversations": acts["conversation.create"],
        "messages": acts["message.create"] + sum(run["messages"] for run in runs),
    }
    if found.used != done:
        yield f"{done} were done, and {found.used} are counted"
    kept = Counter(row["run_id"] for rows in found.messages.values() for row in rows)
    for run in runs:
        if run["conversation_id"] in found.conversations and kept[run["id"]] != run["messages"]:
            yield f"{run['id']} left {kept[run['id']]} messages, and counts {run['messages']}"


SURFACE: tuple[Callable[[Evidence], Complaints], ...] = (
    what_is_forbidden_is_refused,
    exports_that_end_are_whole,
    every_act_is_told_once,
    who_cancels_is_named,
    the_audit_log_has_no_words,
    whoever_follows_the_log_hears_it_all,
    no_more_wait_than_may,
    usage_is_what_was_done,
)


def _waited_until(run: Row) -> datetime:
    until: datetime = run["admitted_at"] or run["ended_at"] or datetime.max.replace(tzinfo=UTC)
    return until


def _asked_later(export: Op, deletion: Op | None) -> bool:
    """Whether a deletion was asked for only after the export was over."""
    return deletion is not None and deletion.began_at > export.over_at


def _gone_before(export: Op, deletion: Op) -> bool:
    """Whether the deletion was acknowledged before the export began."""
    return _acknowledged(deletion) and deletion.over_at < export.began_at


def _acknowledged(op: Op) -> bool:
    """A deletion that finds nothing any more was done by an earlier try."""
    return op.outcome == "ok" or (op.kind in ("delete", "remove") and op.error == "NOT_FOUND")


def _subject(act: str) -> str:
    """Under which name an entry has the id of what the act was done to."""
    return f"{act.partition('.')[0]}Id"


def _act(op: Op) -> tuple[str, str] | None:
    """What the log must tell of an operation, once."""
    if not _acknowledged(op):
        return None
    if op.kind == "delete":
        return "conversation.delete", op.conversation or ""
    if op.kind == "remove":
        return "task.delete", op.task or ""
    return (MADE[op.kind], op.made or "") if op.kind in MADE else None


def _of_conversations(found: Evidence, told: Told) -> Complaints:
    for (act, place), count in told.items():
        if not act.startswith("conversation."):
            continue
        gone = told["conversation.delete", place] > 0
        if count > 1:
            yield f"the log tells of {act} {place} {count} times"
        if gone == (place in found.conversations):
            yield f"the log tells of {act} {place}, which is {'there' if gone else 'not there'}"


def _of_runs(found: Evidence, told: Told) -> Complaints:
    ends = Counter[str]()
    for (act, run_id), count in told.items():
        if act.startswith("run."):
            ends[run_id] += count
            if run_id not in found.runs:
                yield f"the log tells of {act} {run_id}, which is not there"
    for run in found.runs.values():
        for act in ("run.create", f"run.{run['state']}"):
            if (count := told[act, run["id"]]) != 1:
                yield f"the log tells of {act} {run['id']} {count} times"
        if ends[run["id"]] > 2:
            yield f"the log tells {ends[run['id']]} times of {run['id']}, which ended once"
