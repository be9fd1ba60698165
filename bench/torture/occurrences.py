"""What must hold of saved tasks: each time that one is due is decided once, and has one run at most."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from bench.torture.evidence import Evidence, Row
from bench.torture.history import Op
from bench.torture.tasks import REPEATED
from domain import ids
from domain.occurrences import Occurrence, between
from domain.schedule import Timing, parse

Complaints = Iterator[str]

SLACK = 0.5
"""Seconds about the creation and the pause of a task in which nobody can tell whether it was due."""
FRESH = 10.0
"""Seconds within which what was due may be on its way still, where a task was not paused."""
PASSED_OVER = ("skip", "buffer_one")
"""Policies under which a time may go by without a run."""
WAITING = ("buffer_one", "buffer_all")
"""Policies under which a run may wait for another."""


class Span(NamedTuple):
    """What the owner of a task said of when it is due. It was in force from `since` to `until`, and perhaps
    from `first` to `last` (time.time())."""

    timing: Timing
    first: float
    since: float
    until: float
    last: float


def every_time_is_decided_once(found: Evidence) -> Complaints:
    """By the words of its owner: whatever was due has become something, and nothing else has."""
    for task in _standing(found):
        rows, spans = found.ledger.get(task.made or "", {}), _spans(found, task)
        for one in _due(task, spans):
            if one.key not in rows:
                yield f"{task.made} was due at {one.key}, and the ledger does not say so"
        possible = {one.key for one in _due(task, spans, sure=False)}
        for key, row in rows.items():
            if row["state"] == "due":
                yield f"{task.made} was due at {key}, and nobody has decided what became of it"
            elif row["at"].timestamp() < spans[-1].until and key not in possible:
                yield f"{task.made} was not due at {key}, and the ledger says {row['state']}"


def what_became_of_a_time_is_the_policys(found: Evidence) -> Complaints:
    """No time is missed; some may be skipped, where the policy skips."""
    for task in _standing(found):
        overlap, until = task.body["overlap"], _spans(found, task)[-1].until
        for key, row in found.ledger.get(task.made or "", {}).items():
            skipped = row["state"] == "skipped" and row["reason"] == "overlap" and overlap in PASSED_OVER
            later = row["state"] == "paused" and row["at"].timestamp() > until
            if row["state"] not in ("due", "ran") and not skipped and not later:
                yield f"{task.made} ({overlap}) {row['state']} {row['reason'] or ''} at {key}"


def an_occurrence_has_one_run(found: Evidence) -> Complaints:
    """That run is its task's and no other occurrence's, and none but that run is said to be its."""
    stands_for = Counter(row["run_id"] for rows in found.ledger.values() for row in rows.values())
    for task, rows in found.ledger.items():
        for key, row in rows.items():
            if row["state"] == "ran" and found.runs.get(row["run_id"], {}).get("task_id") != task:
                yield f"{task} ran at {key}, and {row['run_id']} is not its run"
    for run, count in stands_for.items():
        if run is not None and count > 1:
            yield f"{run} is the run of {count} occurrences"
    for row in found.executed:
        of = found.ledger.get(row["task_id"], {}).get(row["due_key"] or "")
        if row["due_key"] is not None and (of is None or of["run_id"] != row["id"]):
            yield f"{row['id']} ran for {row['due_key']}, which has {of and (of['run_id'] or of['state'])}"


def every_run_of_a_task_was_due_or_asked_for(found: Evidence) -> Complaints:
    """Of removed tasks nobody can tell what was due."""
    told, may_have = defaultdict[str, set[str]](set), Counter[str]()
    for op in found.ops:
        if op.kind == "trigger":
            told[op.task or ""] |= {run for run in (op.run, *op.listed) if run}
            may_have[op.task or ""] += op.outcome != "ok"
    more = Counter[str]()
    due = {row["run_id"] for rows in found.ledger.values() for row in rows.values()}
    for run in _runs(found):
        task = run["task_id"]
        if run["lane"] == "scheduled" and task in found.tasks and run["id"] not in due:
            yield f"{run['id']} of {task} is the run of no time at which it was due"
        more[task] += run["lane"] != "scheduled" and run["id"] not in told[task]
    for task, count in more.items():
        if count > may_have[task]:
            yield f"{task} has {count} runs that nobody was told of, and {may_have[task]} calls may be theirs"


def one_key_is_one_run(found: Evidence) -> Complaints:
    """However often a task is triggered under it."""
    runs = Counter[str]()
    for op in found.ops:
        if op.kind == "trigger" and op.keyed and len({*op.listed}) > 1:
            yield f"{op.id} triggered {op.task} once, and was told of {sorted({*op.listed})}"
        runs.update({run for run in op.listed if run} if op.kind == "trigger" else ())
    yield from (f"{run} is the run of {count} calls" for run, count in runs.items() if count > 1)


def a_task_runs_one_at_a_time(found: Evidence) -> Complaints:
    """Unless it allows all."""
    for task in _standing(found):
        if task.body["overlap"] == "allow_all":
            continue
        admitted = [run for run in _runs(found, task) if run["admitted_at"] and run["ended_at"]]
        for first, second in itertools.pairwise(sorted(admitted, key=lambda run: run["admitted_at"])):
            if second["admitted_at"] < first["ended_at"]:
                yield f"{second['id']} of {task.made} was admitted before {first['id']} had ended"


def those_that_wait_begin_in_order(found: Evidence) -> Complaints:
    """Of the times for which they are due."""
    for task in _standing(found):
        rows = sorted(found.ledger.get(task.made or "", {}).values(), key=lambda row: row["at"])
        runs = [found.runs[row["run_id"]] for row in rows if row["run_id"] in found.runs]
        begun = [run for run in runs if run["begun_at"]] if task.body["overlap"] in WAITING else []
        for first, second in itertools.pairwise(begun):
            if second["begun_at"] < first["begun_at"]:
                yield f"{second['id']} of {task.made} was due after {first['id']}, and began before"


def each_run_of_a_task_is_listed(found: Evidence) -> Complaints:
    """As its execution, as long as the task is there; and no other."""
    listed = {(row["task_id"], row["id"]) for row in found.executed}
    there = {(run["task_id"], run["id"]) for run in _runs(found) if run["task_id"] in found.tasks}
    if wrong := listed ^ there:
        yield f"these are runs or executions, and not both: {sorted(wrong)[:5]}"


def a_task_that_is_stopped_has_stopped(found: Evidence) -> Complaints:
    """Whatever was asked for before is over when the answer comes."""
    for op in found.ops:
        if op.kind != "stop" or op.outcome != "ok":
            continue
        for asked in found.ops:
            run = found.runs.get(asked.run or "")
            before = asked.kind == "trigger" and asked.task == op.task and 0 < asked.over_at < op.began_at
            if before and run and (not run["ended_at"] or run["ended_at"].timestamp() > op.over_at):
                yield f"{op.task} was stopped, and {run['id']} went on"


def a_task_is_there_until_it_is_removed(found: Evidence) -> Complaints:
    removals = {op.task: op for op in found.ops if op.kind == "remove"}
    for task in found.ops:
        if task.kind != "task" or task.outcome != "ok":
            continue
        removal = removals.get(task.made)
        if removal is None and task.made not in found.tasks:
            yield f"{task.made} was made, and is not there"
        if removal is not None and removal.outcome != "unknown" and task.made in found.tasks:
            yield f"{task.made} was removed, and is there"


def temporal_has_the_schedules_there_are(found: Evidence) -> Complaints:
    """One for each task that will be due again, paused or not, and no other."""
    due = {ids.task_schedule(task) for task, row in found.tasks.items() if row["next_at"] is not None}
    for schedule in sorted(due - found.schedules):
        yield f"Temporal does not have the schedule {schedule}"
    for schedule in sorted(found.schedules - due):
        yield f"Temporal has the schedule {schedule}, which should not be there"


OCCURRENCES: tuple[Callable[[Evidence], Complaints], ...] = (
    every_time_is_decided_once,
    what_became_of_a_time_is_the_policys,
    an_occurrence_has_one_run,
    every_run_of_a_task_was_due_or_asked_for,
    one_key_is_one_run,
    a_task_runs_one_at_a_time,
    those_that_wait_begin_in_order,
    each_run_of_a_task_is_listed,
    a_task_that_is_stopped_has_stopped,
    a_task_is_there_until_it_is_removed,
    temporal_has_the_schedules_there_are,
)


def _standing(found: Evidence) -> list[Op]:
    """The tasks that are there, as they were made."""
    return [op for op in found.ops if op.kind == "task" and op.made in found.tasks]


def _runs(found: Evidence, task: Op | None = None) -> Iterator[Row]:
    """Of a task, or of all that anybody sees: not of those that hold the schedule of a trigger."""
    for run in found.runs.values():
        if run["kind"] == "task_run" and (task is None or run["task_id"] == task.made):
            yield run


def _spans(found: Evidence, task: Op) -> list[Span]:
    row = found.tasks[task.made or ""]
    made, paused = row["created_at"].timestamp(), row["paused_at"]
    begins = [(made - SLACK, made + SLACK, task.body)]
    for op in found.ops:
        if op.kind == "change" and op.task == task.made:
            begins.append((op.began_at, op.over_at + (REPEATED if op.tries > 1 else 0), op.body))
    end = found.at - FRESH if paused is None else paused.timestamp() - SLACK
    said: Row = {}
    spans = []
    for (first, since, body), (until, last, _) in itertools.pairwise([*begins, (end, found.at, {})]):
        said |= {name: body[name] for name in ("schedule", "every") if name in body}
        spans.append(Span(Timing(**said), first, since, until, last))
    return spans


def _due(task: Op, spans: list[Span], *, sure: bool = True) -> Iterator[Occurrence]:
    """When a task was due for certain, or may have been."""
    for span in spans:
        after, until = (span.since, span.until) if sure else (span.first, span.last)
        schedule = parse(span.timing, task.made or "", shortest=0)
        yield from between(schedule, _moment(after), _moment(until))


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
