"""Tasks: saved agent jobs and when they are due."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter
from starlette.responses import Response

from api import aliases, delivery_field
from api.bodies import WHOLE, Ahead, Id, Moment, Named
from api.call import Call, Keyed
from api.delivery_field import GivenDelivery, ShownDelivery
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Made, Object
from domain.schedule import LONGEST_EVERY, LONGEST_TEXT
from domain.task import (
    CALLS,
    ITERATIONS,
    LONGEST_CATCHUP,
    LONGEST_JITTER,
    LONGEST_SESSION,
    TIME,
    Overlap,
    Status,
)
from store.tasks import TaskFilter

Word = Annotated[
    str,
    StringConstraints(max_length=LONGEST_TEXT, strip_whitespace=True),
    AfterValidator(lambda word: word or None),
]
"""An empty one is none, as null is; `domain.schedule.parse` says what is wrong with one."""
Session = Annotated[int, Field(ge=0, le=LONGEST_SESSION), WHOLE]
Every = Annotated[int, Field(ge=1_000, le=LONGEST_EVERY * 1_000), WHOLE]
Catchup = Annotated[int, Field(ge=0, le=int(LONGEST_CATCHUP.total_seconds() * 1_000)), WHOLE]
Jitter = Annotated[int, Field(ge=0, le=LONGEST_JITTER), WHOLE]


class TaskBody(Named):
    """`description` is what the agent is told to do."""

    NOT_SERVED: ClassVar = frozenset({"blueprintId"})

    bot_id: Id | None = None
    """Without one the default model answers; so it does once the bot is deleted."""
    contact_id: Id | None = None
    schedule: Annotated[Word | None, Field(examples=["0 7 * * 1-5"])] = None
    """When it is due: `never`, `quarterhourly`, `halfhourly`, `hourly`, `twicedaily`, `daily`, `twiceweekly`,
    `weekly`, `twicemonthly`, `monthly`; a cron expression of five fields; a time of day like `07:30`; or a
    date, which is once."""
    timezone: Annotated[Word | None, Field(examples=["Europe/London"])] = None
    """Whose clocks cron, times of day and dates follow: an IANA name; UTC without one."""
    every: Every | None = None
    """Milliseconds from one run to the next, in whole seconds; instead of a schedule."""
    start_at: Moment | None = None
    """It is not due before; `every` counts from here."""
    end_at: Moment | None = None
    """It is not due after."""
    overlap: Overlap | None = None
    """What becomes of a run while others of the task are unfinished: it is left out (`skip`, the default), it
    waits if no other does, it waits, it ends the others, or it begins beside them."""
    catchup: Catchup | None = None
    """How late it may still run, in milliseconds; less than 10 s are 10 s. Where nothing is said, one period,
    2 minutes at least, a day at most."""
    jitter: Jitter | None = None
    """Milliseconds by which a run may begin later than it is due, by chance; no more than lie between two of
    its runs."""
    pause_on_failure: bool | None = None
    """It is due no more once a run of it has failed, until it is resumed."""
    session_duration: Session | None = None
    """Milliseconds that its runs share a conversation; 0: each has its own. A day, if nothing is said."""
    max_iterations: Annotated[int, Field(ge=0, le=ITERATIONS[2]), WHOLE] | None = None
    """Rounds of a run; less than 10 is the default, 1,000."""
    max_time: Annotated[int, Field(ge=0, le=TIME[2]), WHOLE] | None = None
    """Milliseconds of a run; less than 15 minutes are the default, 15 minutes."""
    max_calls: Annotated[int, Field(ge=0, le=CALLS[2]), WHOLE] | None = None
    """Calls of tools of a run; 0 is the default, 10,000."""
    expires_at: Ahead | None = None
    """When the server removes it, as task/delete does; it is not due after."""
    delivery: GivenDelivery | None = None
    """Where the results of its runs are sent."""


class TaskItem(Object):
    bot_id: str | None = None
    contact_id: str | None = None
    schedule: str | None = None
    """Of a date that is over nothing is left."""
    timezone: str | None = None
    every: int | None = None
    start_at: At | None = None
    end_at: At | None = None
    overlap: str
    catchup: int | None = None
    jitter: int
    pause_on_failure: bool
    session_duration: int | None = None
    max_iterations: int | None = None
    max_time: int | None = None
    max_calls: int | None = None
    status: str
    """`idle` or `running`."""
    outcome: str
    """Of its newest run that has ended: `success` or `failure`; `pending` where there is none, or one is at
    work."""
    last_run_at: At | None = None
    """When its newest run began."""
    next_run_at: At | None = None
    """When it is due next; not while it is paused."""
    paused_at: At | None = None
    note: str | None = None
    """Why it is paused, or was resumed."""
    expires_at: At | None = None
    delivery: ShownDelivery | None = None
    """Where the results of its runs are sent."""


class TaskQuery(Query):
    KNOWN = MANY = frozenset({"botId", "contactId", "status"})
    FORMS: ClassVar = {"status": TypeAdapter(Status)}
    LATER = frozenset({"blueprintId"})


async def create(call: Keyed, body: TaskBody) -> Made:
    given = delivery_field.in_body(call, await aliases.in_body(call, body.given()))
    shortest = call.desk.shortest_period_ms
    return Made(id=await call.store.tasks.create(call.caller, call.key(body), given, shortest))


async def fetch(call: Call) -> TaskItem:
    return TaskItem.model_validate(await call.store.tasks.fetch(call.account_id, call.id("task")))


async def list_(call: Call, query: TaskQuery) -> Annotated[Response, Listed(TaskItem)]:
    narrow = TaskFilter(
        bot_ids=await aliases.in_filter(call, "bot", query.some("botId")),
        contact_ids=query.some("contactId"),
        statuses=query.some("status"),
    )
    return await _listed(call, query, narrow)


async def export(call: Call, query: TaskQuery) -> Annotated[Response, Listed(TaskItem, csv=True)]:
    return await list_(call, query)


async def of_contact(call: Call, query: Query) -> Annotated[Response, Listed(TaskItem)]:
    contact = await call.store.contacts.fetch(call.account_id, call.id("contact"))
    return await _listed(call, query, TaskFilter(contact_ids=[contact.id]))


async def update(call: Call, body: TaskBody) -> Made:
    """What was due before is decided as it was said before."""
    task_id = call.id("task")
    given = delivery_field.in_body(call, await aliases.in_body(call, body.given()))
    shortest = call.desk.shortest_period_ms
    call.desk.decided(await call.store.tasks.update(call.caller, task_id, given, shortest))
    return Made(id=task_id)


async def delete(call: Call) -> Made:
    """Ends its runs and removes it with its history; the conversations of its runs stay."""
    task_id = call.id("task")
    for stopped in await call.store.tasks.delete(call.caller, task_id):
        call.desk.tell(stopped.cancel, "deleted")
        call.desk.start(stopped.start)
    return Made(id=task_id)


async def cancel(call: Call) -> Made:
    """Ends its runs, those that wait too; a task without any stays as it is."""
    task_id = call.id("task")
    for stopped in await call.store.tasks.cancel(call.caller, task_id):
        call.desk.tell(stopped.cancel, "canceled")
        call.desk.start(stopped.start)
    return Made(id=task_id)


async def _listed(call: Call, query: Query, narrow: TaskFilter) -> Response:
    return await listed(
        call,
        query,
        lambda page: call.store.tasks.list(call.account_id, page, query.meta, narrow),
        TaskItem,
    )
