"""Every id we mint and every workflow id we spell."""

from __future__ import annotations

import secrets
import time

_ALPHABET = "0123456789abcdefghjkmnpqrstvwxyz"
_TASKS = "task/"


def _sortable() -> str:
    """26 of Crockford's characters in the layout of a ULID: 48 bits of milliseconds, then 80 that differ.

    20 of those are the nanoseconds within the millisecond, so that what one process mints is in the order in
    which it was minted (RFC 9562 §6.2, method 3); 60 are random.
    """
    milliseconds, nanoseconds = divmod(time.time_ns(), 1_000_000)
    number = (milliseconds & (1 << 48) - 1) << 80 | nanoseconds << 60 | secrets.randbits(60)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


def new(prefix: str) -> str:
    """A fresh row id: a type prefix and a time-ordered unique part, like `conv_01k…`."""
    return f"{prefix}_{_sortable()}"


def account() -> str:
    return new("acct")


def api_key() -> str:
    return new("key")


def bot() -> str:
    return new("bot")


def contact() -> str:
    return new("ctc")


def conversation() -> str:
    return new("conv")


def skillset() -> str:
    return new("skl")


def ability() -> str:
    return new("abl")


def session() -> str:
    return new("sess")


def message() -> str:
    return new("msg")


def rating() -> str:
    return new("rate")


def secret() -> str:
    return new("sec")


def task() -> str:
    return new("task")


def run() -> str:
    return new("run")


def trigger() -> str:
    return new("trig")


def trigger_event() -> str:
    """Of what set a trigger off; `entry` is for the audit log's."""
    return new("tev")


def target() -> str:
    return new("tgt")


def delivery() -> str:
    """A webhook's `webhook-id` too, and what an e-mail's Message-ID begins with."""
    return new("dlv")


def channel() -> str:
    """A channel's public name when the caller brings none; at least 24 characters, as the contract asks."""
    return new("chan")


def entry() -> str:
    """Of the audit log, which the wire calls events."""
    return new("evt")


def request() -> str:
    return new("req")


def completion_workflow(run_id: str) -> str:
    return f"completion/{run_id}"


def turn_workflow(conversation_id: str, run_id: str) -> str:
    return f"conversation/{conversation_id}/{run_id}"


def ability_workflow(ability_id: str, run_id: str) -> str:
    return f"ability/{ability_id}/{run_id}"


def task_workflow(task_id: str, run_id: str) -> str:
    """Of a run that was asked for, or that stands for a time nothing fired at."""
    return f"{task_schedule(task_id)}/{run_id}"


def scheduled_workflows(task_id: str) -> str:
    """What Temporal begins the ids of the workflows with that a schedule fires; it adds `-` and the time."""
    return f"{task_schedule(task_id)}/run"


def trigger_workflow(trigger_id: str, run_id: str) -> str:
    return f"trigger/{trigger_id}/{run_id}"


def scheduled_triggers(trigger_id: str) -> str:
    """As `scheduled_workflows`, of a trigger's own schedule."""
    return f"trigger/{trigger_id}/run"


def delivery_workflow(delivery_id: str, round: int) -> str:
    """Of a delivery that is set going for the first time, or again."""
    return f"delivery/{delivery_id}" if round == 1 else f"delivery/{delivery_id}/{round}"


def task_schedule(task_id: str) -> str:
    return f"{_TASKS}{task_id}"


def scheduled_task(schedule_id: str) -> str | None:
    """Whose schedule it is; None if it is no task's."""
    return schedule_id.removeprefix(_TASKS) if schedule_id.startswith(_TASKS) else None


UPKEEP_WORKFLOW = "upkeep/retention"
UPKEEP_SCHEDULE = "upkeep/retention"
