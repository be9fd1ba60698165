"""What must hold of deliveries: each is sent because its result is committed, until it has arrived."""

from __future__ import annotations

import base64
import json
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator

from bench.torture import signing
from bench.torture.evidence import Evidence, Row
from bench.torture.policies import answering, is_kept
from bench.torture.ship import TUNED

Complaints = Iterator[str]

SLOTS = 8
"""Attempts at one target at once."""
FRESH = 90
"""Seconds between the time of a signature and its arrival: a link may hold it back, a process be frozen."""
_SCHEDULE = [float(pause) for pause in TUNED["HOLDFAST_DELIVERY_SCHEDULE"].split(",")]
TRIES, PATIENCE = len(_SCHEDULE), sum(_SCHEDULE)
"""After so many, or so many seconds at a target that others find down, one may be given up."""
_BOUNDARY = re.compile(rb"={15}\d+==")
"""Between the parts of a letter, each time another one."""


def deliveries_are_what_ends_call_for(found: Evidence) -> Complaints:
    """One for each target of a run's task, trigger or call that is told of such an end, and no other."""
    made = Counter((row["run_id"], row["target_id"]) for row in found.deliveries.values())
    wanted = {(run["id"], target) for run in found.runs.values() for target in _wanted(found, run)}
    for run_id, target_id in sorted(wanted):
        count = made[run_id, target_id]
        if count != 1 and (count or is_kept(found, found.runs[run_id])):
            yield f"the end of {run_id} is to be told to {target_id}: {count} deliveries"
    for run_id, target_id in sorted(made.keys() - wanted):
        yield f"the end of {run_id} is told to {target_id}, which did not ask for it"


def what_a_call_asked_for_is_delivered(found: Evidence) -> Complaints:
    """Where it said, by its own run or the one that answers for it."""
    urls = {(row["run_id"], found.targets[row["target_id"]]["url"]) for row in found.deliveries.values()}
    for op in found.ops:
        run = answering(found, op)
        if not op.delivers or op.outcome != "ok" or run is None or not is_kept(found, run):
            continue
        if (run["id"], op.delivers) not in urls:
            yield f"{op.id} ({run['id']}) was to be delivered to {op.delivers}"


def what_is_delivered_has_arrived(found: Evidence) -> Complaints:
    """By what the receivers acknowledged; the others are given up, and nothing is on its way any more."""
    arrived = {_id(line) for line in _lines(found) if line["taken"]}
    schedule = Counter(row["delivery_id"] for row in found.attempts)
    for row in found.deliveries.values():
        if row["state"] == "pending":
            yield f"{row['id']} is still on its way, after {row['attempts']} attempts: {row['error_code']}"
        elif row["state"] == "delivered" and row["id"] not in arrived:
            yield f"{row['id']} is delivered, and did not arrive in {schedule[row['id']]} attempts"


def what_is_given_up_was_tried(found: Evidence) -> Complaints:
    """Until its attempts or its time were used up, unless its words were removed."""
    tried = Counter(row["delivery_id"] for row in found.attempts)
    for row in found.deliveries.values():
        if row["state"] != "dead" or (row["error_code"] == "DELETED" and not _kept(found, row)):
            continue
        count, seconds = tried[row["id"]], (row["ended_at"] - row["created_at"]).total_seconds()
        if row["error_code"] != "EXHAUSTED" or (count < TRIES and seconds < PATIENCE):
            yield f"{row['id']} is given up after {count} attempts in {seconds:.0f} s: {row['error_code']}"


def nothing_arrives_that_is_not_committed(found: Evidence) -> Complaints:
    """Whatever a receiver saw is a delivery, sent when it was there."""
    for line in _lines(found):
        row = found.deliveries.get(_id(line))
        if row is None or line["at"] < row["created_at"].timestamp():
            yield f"{_id(line)} came to {line.get('path', 'the postbox')}, and its result was not there"


def a_delivery_is_the_same_each_time(found: Evidence) -> Complaints:
    """Byte for byte what was committed, under one id."""
    said: dict[str, set[bytes]] = defaultdict(set)
    for line in found.webhooks:
        said[_id(line)].add(base64.b64decode(line["body"]))
    for line in found.letters:
        said[_id(line)].add(_BOUNDARY.sub(b"", base64.b64decode(line["raw"])))
    for delivery_id, bodies in said.items():
        row = found.deliveries.get(delivery_id, {})
        webhook = found.targets.get(row.get("target_id", ""), {}).get("kind") == "webhook"
        if len(bodies) > 1 or (webhook and row["body"] is not None and bodies != {row["body"]}):
            yield f"{delivery_id} came in {len(bodies)} forms, or in another than it was committed"


def every_signature_fits(found: Evidence) -> Complaints:
    """Under the secret that its owner is shown, with a time of its own."""
    for line in found.webhooks:
        headers, row = line["headers"], found.deliveries.get(_id(line))
        secret = found.secrets.get(row["target_id"], "") if row else ""
        if not secret or not signing.fits(secret, headers, base64.b64decode(line["body"])):
            yield f"{_id(line)} came with a signature that does not fit"
        elif abs(float(headers["webhook-timestamp"]) - line["at"]) > FRESH:
            yield f"{_id(line)} came with the time {headers['webhook-timestamp']}, at {line['at']:.0f}"


def every_attempt_is_noted(found: Evidence) -> Complaints:
    """No receiver saw more than there were attempts; and no more than eight were under way at one target."""
    begun = Counter(row["delivery_id"] for row in found.attempts)
    for delivery_id, count in Counter(_id(line) for line in _lines(found)).items():
        if count > begun[delivery_id]:
            yield f"{delivery_id} came {count} times in {begun[delivery_id]} attempts"
    of_target: dict[str, list[Row]] = defaultdict(list)
    for row in found.attempts:
        of_target[row["target_id"]].append(row)
    for target_id, rows in of_target.items():
        for row in rows:
            under_way = sum(
                other["begun_at"] <= row["begun_at"] < (other["ended_at"] or row["begun_at"])
                for other in rows
            )
            if under_way > SLOTS:
                yield f"{target_id} was asked by {under_way} at once"
                break


def what_is_told_was_committed(found: Evidence) -> Complaints:
    """A body is of its run, as that ended, with the text that is stored."""
    texts = {row["id"]: row["text"] for rows in found.messages.values() for row in rows}
    for row in found.deliveries.values():
        run = found.runs.get(row["run_id"] or "")
        if row["body"] is None or run is None:
            continue
        told = json.loads(row["body"])
        data, text = told["data"], texts.get(told["data"].get("messageId"))
        if (told["type"], data["runId"], data["state"]) != (row["type"], run["id"], run["state"]):
            yield f"{row['id']} tells of {data['runId']}, {data['state']}: {run['id']} {run['state']}"
        if (
            run["state"] == "succeeded"
            and text is not None
            and not data["textOmitted"]
            and data["text"] != text
        ):
            yield f"{row['id']} says {data['text'][-60:]!r}, and {text[-60:]!r} is stored"


DELIVERIES: tuple[Callable[[Evidence], Complaints], ...] = (
    deliveries_are_what_ends_call_for,
    what_a_call_asked_for_is_delivered,
    what_is_delivered_has_arrived,
    what_is_given_up_was_tried,
    nothing_arrives_that_is_not_committed,
    a_delivery_is_the_same_each_time,
    every_signature_fits,
    every_attempt_is_noted,
    what_is_told_was_committed,
)


def _wanted(found: Evidence, run: Row) -> Iterator[str]:
    """The targets that are to be told of a run's end."""
    if run["ended_at"] is None or run["state"] == "merged":
        return
    well = run["state"] == "succeeded" and run["outcome"] != "failure"
    for target in found.targets.values():
        of_task = run["kind"] == "task_run" and target["task_id"] == run["task_id"]
        of_trigger = run["trigger_id"] is not None and target["trigger_id"] == run["trigger_id"]
        of_call = target["id"] in (run["targets"] or ())
        if (of_task or of_trigger or of_call) and ("completed" if well else "failed") in target["events"]:
            yield target["id"]


def _lines(found: Evidence) -> Iterator[Row]:
    """What came to the receivers."""
    yield from found.webhooks
    yield from found.letters


def _id(line: Row) -> str:
    """The delivery that came, as far as it says so."""
    message_id: str = line["headers"].get("webhook-id", "") if "headers" in line else line["id"]
    return message_id.strip("<>").partition("@")[0]


def _kept(found: Evidence, row: Row) -> bool:
    run = found.runs.get(row["run_id"] or "")
    return run is not None and is_kept(found, run)
