"""Everything that is left when the torture is over: rows, workflows, histories of the clients."""

from __future__ import annotations

import dataclasses
import json
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import asyncpg
from temporalio.client import WorkflowExecutionStatus

from bench.torture.history import History, Op
from bench.torture.ship import Ship
from domain import ids
from domain.usage import Period

Row = dict[str, Any]

_EVENTS = """
SELECT channel_id, seq, step, attempt, type, data::json AS data FROM token
UNION ALL SELECT channel_id, seq, step, attempt, type, data::json FROM event
ORDER BY channel_id, seq
"""
_CALLS = """
SELECT c.*, s.state, s.iteration, s.error_code, s.ended_at, f.name AS channel
FROM call c JOIN step s USING (run_id, ordinal) LEFT JOIN channel f ON f.id = c.channel_id
"""
_NAMED = "SELECT n.run_id, c.name FROM named_channel n JOIN channel c ON c.id = n.channel_id"
_EXECUTIONS = "SELECT id, task_id, due_key, due_at FROM execution"
_AUDIT = "SELECT id, type, about, meta FROM audit WHERE account_id IS NOT NULL ORDER BY xid, id"
_ATTEMPTS = "SELECT * FROM delivery_attempt ORDER BY delivery_id, number"
PLANS = "WorkflowType IN ('turn', 'completion', 'task_run', 'trigger_event', 'delivery')"


@dataclasses.dataclass
class Evidence:
    ops: Sequence[Op]
    deleted: set[str]
    doomed: set[str]
    runs: dict[str, Row]
    steps: list[Row]
    channels: dict[int, Row]
    messages: dict[str, list[Row]]
    """By conversation, in the order of seq."""
    events: dict[int, list[Row]]
    """By channel, in the order of seq."""
    conversations: dict[str, Row]
    audit: list[Row]
    """The entries of the audit log, in the order in which they are followed."""
    used: dict[str, int]
    """What the account is told that it used."""
    executions: dict[str, int]
    """How often each workflow id was executed."""
    open_plans: set[str]
    calls: list[Row] = dataclasses.field(default_factory=list)
    """Calls of tools, each with its step."""
    named: list[Row] = dataclasses.field(default_factory=list)
    """Channels that runs still have a claim on."""
    tools: Row = dataclasses.field(default_factory=dict)
    """What the tools counted, by their names; see tests/tool_server.py."""
    tasks: dict[str, Row] = dataclasses.field(default_factory=dict)
    ledger: dict[str, dict[str, Row]] = dataclasses.field(default_factory=dict)
    """What became of each time that a task was due, by the task and the key of the occurrence."""
    executed: list[Row] = dataclasses.field(default_factory=list)
    """The executions that tasks list."""
    schedules: set[str] = dataclasses.field(default_factory=set)
    """The ids of the schedules that Temporal has for tasks."""
    received: list[Row] = dataclasses.field(default_factory=list)
    """What set triggers off."""
    targets: dict[str, Row] = dataclasses.field(default_factory=dict)
    secrets: dict[str, str] = dataclasses.field(default_factory=dict)
    """What webhooks are signed with, by the target."""
    deliveries: dict[str, Row] = dataclasses.field(default_factory=dict)
    attempts: list[Row] = dataclasses.field(default_factory=list)
    """Of deliveries, in their order."""
    webhooks: list[Row] = dataclasses.field(default_factory=list)
    """What the sink took; see sink.py."""
    letters: list[Row] = dataclasses.field(default_factory=list)
    """What the postbox took; see postbox.py."""
    model_struck: Sequence[float] = ()
    """When (time.time()) the model or the link to it was put out of order."""
    raised: int = 0
    """Failpoints that raised what an API could not expect."""
    at: float = 0.0
    """When (time.time()) all of this was read."""

    def kept(self, op: Op) -> bool:
        """Whether its conversation is still promised anything."""
        return op.conversation not in self.doomed


async def gathered(ship: Ship, history: History, raised: int) -> Evidence:
    """Reads it all once nothing moves any more."""
    rows = ship.read
    messages, events, ledger = defaultdict(list), defaultdict(list), defaultdict[str, dict[str, Row]](dict)
    for row in await rows("SELECT * FROM message ORDER BY conversation_id, seq"):
        messages[row["conversation_id"]].append(dict(row))
    for row in await rows(_EVENTS):
        events[row["channel_id"]].append(dict(row))
    for row in await rows("SELECT * FROM occurrence ORDER BY task_id, at, key"):
        ledger[row["task_id"]][row["key"]] = dict(row)
    executions, open_plans = await plans(ship)
    return Evidence(
        ops=history.ops,
        deleted=history.deleted,
        doomed=history.doomed,
        runs={row["id"]: dict(row) for row in await rows("SELECT * FROM run")},
        steps=[dict(row) for row in await rows("SELECT * FROM step")],
        channels={row["id"]: dict(row) for row in await rows("SELECT * FROM channel")},
        messages=messages,
        events=events,
        conversations={row["id"]: dict(row) for row in await rows("SELECT * FROM conversation")},
        audit=[_entry(row) for row in await rows(_AUDIT)],
        used=(await ship.store.usage.of_account(ship.account, Period())).model_dump(),
        executions=executions,
        open_plans=open_plans,
        calls=[dict(row) for row in await rows(_CALLS)],
        named=[dict(row) for row in await rows(_NAMED)],
        tools=await ship.tool_calls(),
        tasks={row["id"]: dict(row) for row in await rows("SELECT * FROM task")},
        ledger=ledger,
        executed=[dict(row) for row in await rows(_EXECUTIONS)],
        schedules=await _schedules(ship),
        **await _of_triggers(ship),
        model_struck=[at for name, at in ship.struck if name == "model"],
        raised=raised,
        at=time.time(),
    )


async def _of_triggers(ship: Ship) -> dict[str, Any]:
    """What set triggers off, and what was delivered."""
    rows = ship.read
    targets = {row["id"]: dict(row) for row in await rows("SELECT * FROM target")}
    async with ship.api() as api:
        shown = [(await api.get(f"/v1/target/{target}/fetch")).body for target in targets]
    return {
        "received": [dict(row) for row in await rows("SELECT * FROM trigger_event ORDER BY id")],
        "targets": targets,
        "secrets": {one["id"]: one["secret"] for one in shown if one.get("secret")},
        "deliveries": {row["id"]: dict(row) for row in await rows("SELECT * FROM delivery")},
        "attempts": [dict(row) for row in await rows(_ATTEMPTS)],
        "webhooks": ship.received("sink"),
        "letters": ship.received("postbox"),
    }


def _entry(row: asyncpg.Record) -> Row:
    return {**row, "about": json.loads(row["about"]), "meta": json.loads(row["meta"])}


async def plans(ship: Ship) -> tuple[dict[str, int], set[str]]:
    """What Temporal knows of the plans of runs."""
    executions: dict[str, int] = defaultdict(int)
    still: set[str] = set()
    async for found in (await ship.temporal()).list_workflows(PLANS):
        executions[found.id] += 1
        if found.status == WorkflowExecutionStatus.RUNNING:
            still.add(found.id)
    return executions, still


async def _schedules(ship: Ship) -> set[str]:
    listed = await (await ship.temporal()).list_schedules()
    return {schedule.id async for schedule in listed if schedule.id.startswith(ids.task_schedule(""))}
