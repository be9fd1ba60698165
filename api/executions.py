"""The executions of a task: listed, and each cancelled by itself."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import TypeAdapter
from starlette.responses import Response

from api.call import Call
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Iso, Item, Object
from domain.task import Status, Verdict
from store.executions import ExecutionFilter


class ExecutionItem(Object):
    """A run of a task; its id is the run's."""

    task_id: str
    conversation_id: str | None = None
    status: Status
    outcome: Verdict
    summary: str | None = None
    """What the agent said of it in the end."""
    completed_at: Iso | None = None
    resume_at: Iso | None = None
    """When the agent goes on, while it only waits for that."""
    due_at: At | None = None
    """When the occurrence was due that it is the run of."""
    occurrence_id: str | None = None


class ExecutionQuery(Query):
    KNOWN = frozenset({"status"})
    FORMS: ClassVar = {"status": TypeAdapter(Status)}


class CanceledExecution(Item):
    id: str
    task_id: str


async def list_(call: Call, query: ExecutionQuery) -> Annotated[Response, Listed(ExecutionItem)]:
    """Newest first; an execution is kept 90 days."""
    task_id = call.id("task")
    narrow = ExecutionFilter(meta=query.meta, status=query.formed("status"))
    return await listed(
        call,
        query,
        lambda page: call.store.executions.list(call.account_id, task_id, page, narrow),
        ExecutionItem,
    )


async def cancel(call: Call) -> CanceledExecution:
    """Complete when answered; cancelling one that is over changes nothing."""
    task_id, execution_id = call.id("task"), call.id("execution")
    stopped = await call.store.executions.cancel(call.caller, task_id, execution_id)
    call.desk.tell(stopped.cancel, "canceled")
    call.desk.start(stopped.start)
    return CanceledExecution(id=execution_id, task_id=task_id)
