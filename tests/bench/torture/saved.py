"""A saved task's two runs in a sound house, and what may be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from bench.torture import occurrences
from bench.torture.evidence import Evidence
from bench.torture.history import Op
from domain.occurrences import between, following
from domain.schedule import Timing, parse

AT = datetime(2026, 1, 1, tzinfo=UTC)
TASK, OTHER, GONE = "task1", "task2", "task3"
DUE = following(parse(Timing(every=2_000), TASK, shortest=0), AT, 4)
SOON = AT.timestamp()


def with_tasks(found: Evidence, run: dict[str, Any]) -> Evidence:
    """One was due three times and paused after it: it ran, was skipped, and ran; then somebody triggered it.
    Another has no schedule and was stopped; a third was removed. `run` is any of theirs."""
    paused = DUE[2].at + timedelta(seconds=1.5)
    usual = {"created_at": AT, "paused_at": None, "next_at": None}
    found.tasks = {TASK: usual | {"paused_at": paused, "next_at": DUE[3].at}, OTHER: usual}
    found.ledger = {TASK: {one.key: _decided(one.at) for one in DUE[:3]}}
    _becomes(found, 0, state="ran", run_id="due1")
    _becomes(found, 1, state="skipped", reason="overlap")
    _becomes(found, 2, state="ran", run_id="due2")
    lasts = timedelta(seconds=1)
    for name, at, key in (
        ("due1", DUE[0].at, DUE[0].key),
        ("due2", DUE[2].at, DUE[2].key),
        ("asked1", DUE[3].at, None),
    ):
        times = {"created_at": at, "admitted_at": at, "begun_at": at, "ended_at": at + lasts}
        found.runs[name] = run | {"id": name, "task_id": TASK} | times
        found.runs[name]["lane"] = "scheduled" if key else "background"
        found.executed.append({"id": name, "task_id": TASK, "due_key": key, "due_at": at})
    found.runs["asked2"] = run | {"id": "asked2", "task_id": OTHER, "lane": "background"}
    found.executed.append({"id": "asked2", "task_id": OTHER, "due_key": None, "due_at": None})
    found.schedules, found.at = {"task/task1"}, SOON + 100
    _tell(found)
    found.ops = [*found.ops, *_ops()]
    return found


def _tell(found: Evidence) -> None:
    """What the audit log has of it, and whoever follows it."""
    acts: list[tuple[str, str, str]] = [("task.create", "taskId", task) for task in (TASK, OTHER, GONE)]
    acts.append(("task.delete", "taskId", GONE))
    for name in ("due1", "due2", "asked1", "asked2"):
        acts += [("run.create", "runId", name), ("run.succeeded", "runId", name)]
    entries: list[dict[str, Any]] = [
        {"id": f"t{number}", "type": act, "about": {noun: name}, "meta": {}}
        for number, (act, noun, name) in enumerate(acts)
    ]
    found.audit += entries
    next(op for op in found.ops if op.kind == "follow").listed += [entry["id"] for entry in entries]


def _decided(at: datetime) -> dict[str, Any]:
    return {"at": at, "state": "due", "reason": None, "run_id": None, "healed": False}


def _ops() -> list[Op]:
    made = [
        Op("op.t.1", "task", made=TASK, body={"every": 2_000, "overlap": "skip"}),
        Op("op.t.2", "task", made=OTHER, body={"overlap": "allow_all"}),
        Op("op.t.3", "task", made=GONE, body={"overlap": "skip"}),
    ]
    removed = Op("op.t.4", "remove", task=GONE, made=GONE)
    asked = Op("op.t.5", "trigger", task=TASK, run="asked1", listed=["asked1"])
    other = Op("op.t.6", "trigger", task=OTHER, run="asked2", listed=["asked2"])
    stopped = Op("op.t.7", "stop", task=OTHER)
    for number, op in enumerate([*made, removed, asked, other, stopped]):
        op.outcome, op.began_at, op.over_at = "ok", SOON + number, SOON + number + 0.5
    return [*made, removed, asked, other, stopped]


def _becomes(found: Evidence, number: int, **what: Any) -> None:
    found.ledger[TASK][DUE[number].key] |= what


def _op(found: Evidence, number: int) -> Op:
    return next(op for op in found.ops if op.id == f"op.t.{number}")


def lose_a_time(found: Evidence) -> None:
    del found.ledger[TASK][DUE[1].key]


def leave_a_time_undecided(found: Evidence) -> None:
    _becomes(found, 1, state="due", reason=None)


def be_due_at_another_time(found: Evidence) -> None:
    at = DUE[1].at + timedelta(seconds=1)
    found.ledger[TASK]["another"] = _decided(at) | {"state": "skipped", "reason": "overlap"}


def be_due_by_words_that_were_changed(found: Evidence) -> None:
    changed = Op("op.t.8", "change", task=TASK, body={"every": 3_000}, outcome="ok", tries=1)
    changed.began_at = changed.over_at = DUE[0].at.timestamp() + 1
    found.ops = [*found.ops, changed]


def miss_a_time(found: Evidence) -> None:
    _becomes(found, 1, state="missed", reason=None)


def skip_where_all_are_to_run(found: Evidence) -> None:
    _op(found, 1).body["overlap"] = "allow_all"


def pass_over_before_the_pause(found: Evidence) -> None:
    _becomes(found, 1, state="paused", reason=None)


def run_twice_for_one_time(found: Evidence) -> None:
    again = found.runs["due2"] | {"id": "due3", "admitted_at": None}
    found.runs["due3"] = again
    found.executed.append({"id": "due3", "task_id": TASK, "due_key": DUE[2].key, "due_at": DUE[2].at})


def run_once_for_two_times(found: Evidence) -> None:
    _becomes(found, 1, state="ran", reason=None, run_id="due1")


def run_with_another_tasks_run(found: Evidence) -> None:
    _becomes(found, 0, run_id="asked2")


def run_at_no_time(found: Evidence) -> None:
    found.runs["due3"] = found.runs["due2"] | {"id": "due3", "admitted_at": None}


def run_though_nobody_asked(found: Evidence) -> None:
    found.runs["asked3"] = found.runs["asked2"] | {"id": "asked3"}


def run_twice_for_one_key(found: Evidence) -> None:
    _op(found, 5).listed.append("asked3")


def run_once_for_two_keys(found: Evidence) -> None:
    _op(found, 5).listed = ["asked2"]


def run_two_at_a_time(found: Evidence) -> None:
    found.runs["due1"]["ended_at"] = DUE[2].at + timedelta(seconds=0.5)


def begin_out_of_order(found: Evidence) -> None:
    _op(found, 1).body["overlap"] = "buffer_one"
    found.runs["due2"]["begun_at"] = DUE[0].at - timedelta(seconds=1)


def lose_an_execution(found: Evidence) -> None:
    found.executed.pop()


def list_what_never_ran(found: Evidence) -> None:
    found.executed.append({"id": "due9", "task_id": TASK, "due_key": None, "due_at": None})


def go_on_when_stopped(found: Evidence) -> None:
    found.runs["asked2"]["ended_at"] = AT + timedelta(seconds=60)


def lose_a_task(found: Evidence) -> None:
    del found.tasks[OTHER]


def keep_a_task_that_was_removed(found: Evidence) -> None:
    found.tasks[GONE] = found.tasks[OTHER]


def lose_a_schedule(found: Evidence) -> None:
    found.schedules.clear()


def keep_a_schedule_for_nothing(found: Evidence) -> None:
    found.schedules.add("task/task3")


CASES: list[tuple[Callable[[Evidence], None], Callable[[Evidence], Any]]] = [
    (lose_a_time, occurrences.every_time_is_decided_once),
    (leave_a_time_undecided, occurrences.every_time_is_decided_once),
    (be_due_at_another_time, occurrences.every_time_is_decided_once),
    (be_due_by_words_that_were_changed, occurrences.every_time_is_decided_once),
    (miss_a_time, occurrences.what_became_of_a_time_is_the_policys),
    (skip_where_all_are_to_run, occurrences.what_became_of_a_time_is_the_policys),
    (pass_over_before_the_pause, occurrences.what_became_of_a_time_is_the_policys),
    (run_twice_for_one_time, occurrences.an_occurrence_has_one_run),
    (run_once_for_two_times, occurrences.an_occurrence_has_one_run),
    (run_with_another_tasks_run, occurrences.an_occurrence_has_one_run),
    (run_at_no_time, occurrences.every_run_of_a_task_was_due_or_asked_for),
    (run_though_nobody_asked, occurrences.every_run_of_a_task_was_due_or_asked_for),
    (run_twice_for_one_key, occurrences.one_key_is_one_run),
    (run_once_for_two_keys, occurrences.one_key_is_one_run),
    (run_two_at_a_time, occurrences.a_task_runs_one_at_a_time),
    (begin_out_of_order, occurrences.those_that_wait_begin_in_order),
    (lose_an_execution, occurrences.each_run_of_a_task_is_listed),
    (list_what_never_ran, occurrences.each_run_of_a_task_is_listed),
    (go_on_when_stopped, occurrences.a_task_that_is_stopped_has_stopped),
    (lose_a_task, occurrences.a_task_is_there_until_it_is_removed),
    (keep_a_task_that_was_removed, occurrences.a_task_is_there_until_it_is_removed),
    (lose_a_schedule, occurrences.temporal_has_the_schedules_there_are),
    (keep_a_schedule_for_nothing, occurrences.temporal_has_the_schedules_there_are),
]


def change_the_period(found: Evidence) -> None:
    """Halfway, as it should be: before it the times are of the first words, after it of the others."""
    moment = DUE[0].at + timedelta(seconds=0.5)
    changed = Op("op.t.8", "change", task=TASK, body={"every": 3_000}, outcome="ok", tries=1)
    changed.began_at = changed.over_at = moment.timestamp()
    found.ops = [*found.ops, changed]
    later = [*between(parse(Timing(every=3_000), TASK, shortest=0), moment, DUE[2].at)]
    kept = found.ledger[TASK][DUE[0].key]
    skipped = {"state": "skipped", "reason": "overlap"}
    found.ledger[TASK] = {DUE[0].key: kept} | {one.key: _decided(one.at) | skipped for one in later}
    paused = (later or [DUE[0]])[-1].at + timedelta(seconds=1)
    found.tasks[TASK]["paused_at"] = paused
    del found.runs["due2"]
    found.executed = [row for row in found.executed if row["id"] != "due2"]
