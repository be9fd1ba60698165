"""The occurrences of a task: its ledger, and what is done to them by hand."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, ClassVar, Self

from pydantic import ConfigDict, Field, StringConstraints, TypeAdapter, model_validator
from starlette.responses import Response

from api.bodies import Body, Id, Moment
from api.call import Call, Keyed
from api.lists import Query, listed
from api.signature import Listed
from api.wire import At, Item, Made
from domain.ledger import Fate, Reason, When
from domain.task import Verdict

NOTE_LIMIT = 10_000

Note = Annotated[str, StringConstraints(max_length=NOTE_LIMIT)]


class OccurrenceQuery(Query):
    KNOWN = frozenset({"when"})
    META = False
    FORMS: ClassVar = {"when": TypeAdapter(When)}


class OccurrenceItem(Item):
    id: str
    """The time that the clocks show and their zone, or the time in UTC; a task has it once."""
    task_id: str
    at: At
    """When it is due: if the clocks leave its time out, at the first moment after."""
    state: Fate
    """`expected`: it is to come · `due`: nobody has decided yet · `ran`: it has a run, which may wait still ·
    `late`: so it has, and that was accepted or began more than 5 s after its time · `skipped`: there was
    another run, or a limit, see `reason` · `missed`: nobody was there in time · `paused`: the task was, or
    is · `excluded`: it was taken out by hand"""
    reason: Reason | None = None
    execution_id: str | None = None
    started_at: At | None = None
    decided_at: At | None = None
    healed: bool
    """It was not run at its time as it should have been, and found afterwards."""
    outcome: Verdict | None = None
    """Of its run, while that is kept."""


class Which(Body):
    """One occurrence: its id, or its time where no other is due then."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1, "maxProperties": 1})

    # One of them is given, so these are never used; null is refused.
    occurrence_id: Id = Field(default_factory=str, examples=["2099-01-01T07:00:00Z"])
    at: Moment = Field(default_factory=int)

    @model_validator(mode="after")
    def _names_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise ValueError("send one of occurrenceId and at")
        return self

    @property
    def named(self) -> str | datetime:
        named: str | datetime = next(iter(self.given().values()))
        return named


class Why(Body):
    note: Note | None = None
    """Kept with the task, and shown."""


class Backfill(Body):
    from_: Moment = Field(alias="from", examples=[1_767_225_600_000])
    """The first time to make up for, and the last; both are included."""
    until: Moment = Field(examples=[1_767_312_000_000])


class Backfilled(Item):
    id: str
    """The task's."""
    occurrences: int
    """All that were due in the range."""
    runs: int
    """Those that have a run by this call."""
    ran: int
    """Those that had one before."""
    excluded: int
    """Those that were taken out by hand, and are left out."""


async def list_(call: Call, query: OccurrenceQuery) -> Annotated[Response, Listed(OccurrenceItem)]:
    """The ledger of a task: each time it was due, what became of it, and the next 20.

    One list by time, the latest first, so it begins with what is to come; `order=asc` turns it round.
    `when=past` leaves out what is to come, and `when=next` what was. Of those to come, more than 20 are told
    of only if they were taken out by hand.
    """
    task_id, when = call.id("task"), query.formed("when")
    return await listed(
        call,
        query,
        lambda page: call.store.calendar.list(call.account_id, task_id, page, when),
        OccurrenceItem,
    )


async def skip(call: Call, body: Which) -> Made:
    """Takes one occurrence out that is to come: it will not run."""
    task_id = call.id("task")
    await call.store.calendar.skip(call.caller, task_id, body.named)
    return Made(id=task_id)


async def unskip(call: Call, body: Which) -> Made:
    """Puts an occurrence back that was taken out, while it is to come."""
    task_id = call.id("task")
    await call.store.calendar.unskip(call.caller, task_id, body.named)
    return Made(id=task_id)


async def pause(call: Call, body: Why) -> Made:
    """What is due from now on does not run, until `resume`; the ledger tells of it all the same."""
    task_id = call.id("task")
    call.desk.decided(await call.store.calendar.pause(call.caller, task_id, body.note))
    return Made(id=task_id)


async def resume(call: Call, body: Why) -> Made:
    """What is due from now on runs again; `backfill` makes up for what was due meanwhile.

    A date that went by meanwhile is none any more: `trigger` runs its task.
    """
    task_id = call.id("task")
    call.desk.decided(await call.store.calendar.resume(call.caller, task_id, body.note))
    return Made(id=task_id)


async def backfill(call: Keyed, body: Backfill) -> Backfilled:
    """Gives every occurrence in a past range a run that has none, by the task's schedule as it is now.

    They run one after the other, in order of their times, whatever the task's `overlap`, which in its turn
    neither counts nor cancels them; each has a conversation of its own, and other runs of the task go before
    those that wait. What was missed, skipped or paused is made up for, and what was canceled before it began;
    what was taken out by hand stays out. A second call finds that they ran. One that was broken off has made
    some of them; a repeat with its Idempotency-Key makes the others, and is answered for all.
    """
    task_id = call.id("task")
    span = body.given()
    done = await call.store.backfill.run(call.caller, task_id, call.key(body), span["from_"], span["until"])
    return Backfilled.model_validate(done.model_dump() | {"id": task_id})
