"""What must hold of turns that end or take in one another."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from bench.torture.evidence import Evidence, Row
from bench.torture.history import Op

Complaints = Iterator[str]

OVERRULED = ("interrupted", "rolled_back")
"""The states of runs that a later call ended."""


def who_interrupts_is_heard(found: Evidence) -> Complaints:
    """What was speaking is stopped, unless it was over before."""
    for op in found.ops:
        before, run = found.runs.get(op.interrupts or ""), found.runs.get(op.run or "")
        if op.outcome != "ok" or before is None or run is None or before["state"] in OVERRULED:
            continue
        if before["ended_at"] is None or before["ended_at"] > run["created_at"]:
            yield f"{op.interrupts} was interrupted by {op.run}, and has {before['state']}"


def who_joins_is_part_of_one_turn(found: Evidence) -> Complaints:
    """What was merged was accepted later than the turn that answers for it, which is there, of the same
    conversation and over; its words are there once, and are that turn's."""
    keyed = {row["key"]: row for rows in found.messages.values() for row in rows}
    for run in found.runs.values():
        if run["state"] != "merged" or not is_kept(found, run):
            continue
        turn, words = found.runs.get(run["merged_into"], run), keyed.get(f"{run['id']}/user")
        if turn["conversation_id"] != run["conversation_id"] or turn["accepted_seq"] >= run["accepted_seq"]:
            yield f"{run['id']} was merged into {run['merged_into']}, which is no turn before it"
        if words is None or words["run_id"] != turn["id"]:
            yield f"{run['id']} was merged into {turn['id']}, which does not have its words"


def what_is_undone_is_hidden(found: Evidence) -> Complaints:
    """And nothing else."""
    for rows in found.messages.values():
        for row in rows:
            run = found.runs.get(row["run_id"] or "")
            if row["hidden"] != (run is not None and run["state"] == "rolled_back"):
                yield f"{row['id']} of {row['run_id']} is {'' if row['hidden'] else 'not '}hidden"


def joined(found: Evidence) -> Counter[str]:
    """How many calls each turn took in."""
    return Counter(run["merged_into"] for run in found.runs.values() if run["merged_into"])


def asked_with(found: Evidence, op: Op, took_in: Counter[str]) -> list[Op]:
    """The operations that the answer of this one may be the answer of: itself, what its turn took in, and
    what may have been taken in, for nobody knows what became of it."""
    turn = answering(found, op)
    if turn is None or not took_in[turn["id"]]:
        return [op]
    there = [other for other in found.ops if other.conversation == op.conversation]
    return [other for other in there if not other.run or answering(found, other) == turn]


def answering(found: Evidence, op: Op) -> Row | None:
    """The run that answers for an operation's."""
    run = found.runs.get(op.run or "")
    return found.runs.get(run["merged_into"]) if run and run["merged_into"] else run


def log(found: Evidence, channel_id: int) -> Iterator[Row]:
    """What can be heard on a channel; a merged run's goes on with another's, numbered on."""
    channel, own = found.channels[channel_id], found.events.get(channel_id, [])
    yield from own
    for row in found.events.get(channel["into_id"], []):
        if row["seq"] > channel["from_seq"]:
            yield row | {"seq": row["seq"] - channel["from_seq"] + channel["seq"]}


def is_kept(found: Evidence, run: Row) -> bool:
    return run["conversation_id"] is None or run["conversation_id"] in found.conversations


POLICIES: tuple[Callable[[Evidence], Complaints], ...] = (
    who_interrupts_is_heard,
    who_joins_is_part_of_one_turn,
    what_is_undone_is_hidden,
)
