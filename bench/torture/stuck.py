"""What an operator would look at when something does not end: the run, its workflow, the locks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from temporalio.api.enums.v1 import EventType

from bench.torture.evidence import PLANS
from bench.torture.ship import Ship

_OPEN = """
SELECT r.id, r.state, r.kind, r.lane, r.workflow_id, r.task_id, r.admitted_at, r.begun_at,
       r.next_look_at, r.looks, s.ordinal, s.state AS step, s.attempt, s.error_code, c.open, c.touched_at
FROM run r JOIN channel c ON c.id = r.channel_id LEFT JOIN step s ON s.run_id = r.id
WHERE r.ended_at IS NULL ORDER BY r.id
"""
_LOCKS = """
SELECT pid, state, wait_event_type, wait_event, pg_blocking_pids(pid) AS blocked_by,
       age(now(), xact_start) AS since, left(query, 120) AS query
FROM pg_stat_activity WHERE application_name = 'holdfast' AND (cardinality(pg_blocking_pids(pid)) > 0
  OR state LIKE 'idle in transaction%')
"""
_UNTOLD = (
    "SELECT id, untold_at FROM task WHERE untold_at IS NOT NULL UNION ALL SELECT task_id, at FROM task_gone"
)
_PENDING = """
SELECT d.id, d.round, d.attempts, d.fence, d.next_at, d.look_at, d.looks, d.error_code, d.created_at,
       t.url, t.open_until
FROM delivery d JOIN target t ON t.id = d.target_id WHERE d.state = 'pending' ORDER BY d.id
"""
_PLANS = f"ExecutionStatus = 'Running' AND {PLANS}"
SHOWN = 10


async def quiet(ship: Ship, seconds: float) -> list[str]:
    """Waits until no run, no delivery and no plan is open, and Temporal is told of every task; in the end,
    what there is to know of what still moves."""
    ends = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < ends:
        moves = await ship.rows(_OPEN) or await ship.rows(_PENDING) or await ship.rows(_UNTOLD)
        if not moves and not [plan async for plan in _open_plans(ship)]:
            return []
        await asyncio.sleep(0.25)
    return [line async for line in _told(ship)]


async def _open_plans(ship: Ship) -> AsyncIterator[str]:
    async for found in (await ship.temporal()).list_workflows(_PLANS):
        yield found.id


async def _told(ship: Ship) -> AsyncIterator[str]:
    for row in (await ship.rows(_OPEN))[:SHOWN]:
        yield f"open: {_spelled(dict(row))}"
    for row in (await ship.rows(_PENDING))[:SHOWN]:
        yield f"pending: {_spelled(dict(row))}"
    for row in (await ship.rows(_UNTOLD))[:SHOWN]:
        yield f"not told: {_spelled(dict(row))}"
    for workflow_id in [plan async for plan in _open_plans(ship)][:SHOWN]:
        yield f"open workflow: {workflow_id}: {await _history(ship, workflow_id)}"
    for row in (await ship.rows(_LOCKS))[:SHOWN]:
        yield f"locks: {_spelled(dict(row))}"


async def _history(ship: Ship, workflow_id: str) -> str:
    try:
        history = await (await ship.temporal()).get_workflow_handle(workflow_id).fetch_history()
    except Exception as trouble:
        return f"not to be had ({trouble})"
    names = (EventType.Name(event.event_type) for event in history.events)
    return " → ".join(name.removeprefix("EVENT_TYPE_").lower() for name in names)


def _spelled(row: dict[str, object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in row.items() if value is not None)
