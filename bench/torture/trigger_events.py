"""What must hold of what sets triggers off: each event has one run, however often it was posted."""

from __future__ import annotations

import itertools
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator

from bench.torture.evidence import Evidence, Row
from bench.torture.history import Op
from bench.torture.triggers import body_of

Complaints = Iterator[str]

EVENTS = ("event", "other event", "forged event")
BY_HAND = ("invoke", "replay")
"""What sets a trigger off without an event of a source."""


def each_event_has_one_run(found: Evidence) -> Complaints:
    """One that is acknowledged has exactly one, which is its trigger's and over; one of unknown fate at most
    one; one that was refused none."""
    rows = _by_name(found)
    for op in found.ops:
        if op.kind != "event":
            continue
        runs = [row["run_id"] for row in rows[op.trigger, op.event] if row["run_id"] is not None]
        least = int(op.outcome == "ok")
        if not least <= len(runs) <= 1:
            yield f"{op.id} ({op.event} of {op.trigger}) has {len(runs)} runs: {runs[:3]}"
        for run in (found.runs.get(run_id) for run_id in runs):
            if run is None or run["trigger_id"] != op.trigger or run["ended_at"] is None:
                yield f"{op.id} has the run {runs}, which is {run and run['state']}"


def a_copy_is_told_of_the_same_run(found: Evidence) -> Complaints:
    """Each answer names the event's own run, and all but one say that it was there."""
    rows = {row["id"]: row for row in found.received}
    for op in found.ops:
        told = {(answer["eventId"], answer["runId"]) for answer in op.told}
        if len(told) > 1:
            yield f"{op.id} was told of {len(told)} runs: {sorted(told)[:3]}"
        for event_id, run_id in told:
            row = rows.get(event_id)
            if row is None or row["run_id"] != run_id or row["trigger_id"] != op.trigger:
                yield f"{op.id} was told of {event_id} and {run_id}, which is not what there is"
        if op.kind == "event" and sum(not answer["duplicate"] for answer in op.told) > 1:
            yield f"{op.id} was told more than once that it is new"


def what_was_posted_is_kept(found: Evidence) -> Complaints:
    """Byte for byte, and with what it was known by; another one under its name is kept beside it, once."""
    rows = _by_name(found)
    for op in found.ops:
        if op.kind not in EVENTS or op.outcome == "unknown":
            continue
        kept = [row for row in rows[op.trigger, op.event] if row["body"] == body_of(op)]
        most = op.kind != "forged event"
        if len(kept) != most:
            yield f"{op.id} ({op.kind}) is kept {len(kept)} times as it was posted"
        for row in kept:
            if (row["run_id"] is None) != (op.kind == "other event") or row["verified"] in (None, "none"):
                yield f"{op.id} ({op.kind}) is kept with the run {row['run_id']}, known by {row['verified']}"


def nothing_else_sets_a_trigger_off(found: Evidence) -> Complaints:
    """Every run of a trigger is of something that set it off, once, and that was posted, asked for or due."""
    posted = {(op.trigger, op.event) for op in found.ops if op.kind in EVENTS}
    runs = Counter(row["run_id"] for row in found.received if row["run_id"] is not None)
    for run in found.runs.values():
        if run["trigger_id"] is not None and runs[run["id"]] != 1:
            yield f"{run['id']} of {run['trigger_id']} is the run of {runs[run['id']]} events"
    for row in found.received:
        if row["source"] == "event" and (row["trigger_id"], row["provider_id"]) not in posted:
            yield f"{row['id']} ({row['provider_id']} of {row['trigger_id']}) was not posted"
    for kind in BY_HAND:
        ops = [op for op in found.ops if op.kind == kind]
        told = {answer["eventId"] for op in ops for answer in op.told}
        more = sum(row["source"] == kind and row["id"] not in told for row in found.received)
        if more > sum(op.outcome != "ok" for op in ops):
            yield f"{more} events of the source {kind} were told to nobody"


def events_of_one_key_run_in_order(found: Evidence) -> Complaints:
    """One after another: what was acknowledged before the next was posted begins and ends before it."""
    by_run = {row["run_id"]: op for op, row in _answered(found)}
    for line in _in_line(found):
        line.sort(key=lambda run: run["admitted_at"])
        for first, second in itertools.pairwise(line):
            if first["ended_at"] is None or second["admitted_at"] < first["ended_at"]:
                yield f"{second['id']} was admitted before {first['id']} of its key had ended"
        for first, second in itertools.combinations(line, 2):
            before, after = by_run.get(first["id"]), by_run.get(second["id"])
            if before and after and _was_before(after, before):
                yield f"{first['id']} ({before.id}) ran before {second['id']} ({after.id}), posted earlier"


TRIGGER_EVENTS: tuple[Callable[[Evidence], Complaints], ...] = (
    each_event_has_one_run,
    a_copy_is_told_of_the_same_run,
    what_was_posted_is_kept,
    nothing_else_sets_a_trigger_off,
    events_of_one_key_run_in_order,
)


def _by_name(found: Evidence) -> defaultdict[tuple[str | None, str | None], list[Row]]:
    """Events of sources, by their trigger and what their source calls them."""
    rows: defaultdict[tuple[str | None, str | None], list[Row]] = defaultdict(list)
    for row in found.received:
        if row["source"] == "event":
            rows[row["trigger_id"], row["provider_id"]].append(row)
    return rows


def _in_line(found: Evidence) -> Iterable[list[Row]]:
    """The runs of each trigger and key that began."""
    lines: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in found.received:
        run = found.runs.get(row["run_id"] or "")
        if row["ordering_key"] is not None and run is not None and run["admitted_at"]:
            lines[row["trigger_id"], row["ordering_key"]].append(run)
    return lines.values()


def _answered(found: Evidence) -> Iterator[tuple[Op, Row]]:
    """Acknowledged events, and what is kept of them."""
    rows = _by_name(found)
    for op in found.ops:
        if op.kind == "event" and op.outcome == "ok":
            yield from ((op, row) for row in rows[op.trigger, op.event] if row["run_id"] is not None)


def _was_before(first: Op, second: Op) -> bool:
    """Whether one was acknowledged before the other was posted at all."""
    return 0 < first.acknowledged_at < second.began_at
