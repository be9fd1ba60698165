"""Tasks run by hand."""

from __future__ import annotations

from typing import Literal

from api.bodies import Nothing
from api.call import Keyed
from api.wire import Made
from domain import at_hand, ids
from store.task_runs import Asking


class Triggered(Made):
    """The task's id, and what becomes of the call."""

    execution_id: str | None = None
    """The run; none where the call was skipped."""
    state: Literal["started", "waiting", "skipped"]
    """waiting: for its turn, behind other runs · skipped: another run of the task is unfinished, and its
    `overlap` has no other beside or behind it."""


async def trigger(call: Keyed, body: Nothing) -> Triggered:
    """Runs a task now; its schedule is as it was. The same Idempotency-Key is the same run."""
    task_id, run_id = call.id("task"), ids.run()
    at_hand.add(run_id=run_id)
    named = {"holdfast.run.id": run_id}
    traces, trace = call.desk.telemetry.traces, call.request.state.traceparent
    with traces.span("accept", "internal", trace, named) as span:
        asking = Asking(call.caller, task_id, call.key(body), run_id, span.traceparent)
        triggered = await call.store.task_runs.trigger(asking)
    for plan in triggered.cancel:
        call.desk.tell(plan, "canceled")
    run = triggered.run
    if run is None:
        return Triggered(id=task_id, state="skipped")
    if not triggered.again:
        call.desk.telemetry.meters.accepted(run.kind, run.lane)
    waits = run.admitted_at is None and run.ended_at is None
    return Triggered(id=task_id, execution_id=run.id, state="waiting" if waits else "started")
