"""The ledger of a task as its owner reads it: each time it was due or will be, and what became of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Literal

from domain.base import Frozen
from domain.errors import BadRequest
from domain.occurrences import FIRST, INSTANT, LAST, Occurrence, back, between, following, instant
from domain.paging import Page
from domain.schedule import Schedule
from domain.task import Task, Verdict

AHEAD = 20
"""Of those to come, as many are told of; the ones that were taken out among them."""

When = Literal["past", "next"]
Fate = Literal["expected", "due", "ran", "late", "skipped", "missed", "paused", "excluded"]
"""What became of one, as `domain.task.Became` has it; `expected`: it is to come; `late`: it ran, and was."""
Reason = Literal["overlap", "limit"]
"""Of one that was skipped."""
Place = tuple[datetime, str]
"""The place of an occurrence in the ledger: its instant and its key."""


class LedgerEntry(Frozen):
    """What became of one occurrence, or is to become."""

    id: str
    """The occurrence's key."""
    task_id: str
    at: datetime
    state: Fate
    reason: Reason | None = None
    execution_id: str | None = None
    started_at: datetime | None = None
    decided_at: datetime | None = None
    healed: bool = False
    outcome: Verdict | None = None


class Backfilled(Frozen):
    """What a backfill found in its range and did."""

    occurrences: int
    """All that are due in the range."""
    runs: int
    """Those that have a run now and had none."""
    ran: int
    """Those that had one before."""
    excluded: int
    """Those that were taken out by hand, and are left out."""


class Window(Frozen):
    """The part of a ledger that a page is read from."""

    after: Place
    """All of it comes after this place, in its order."""
    ascending: bool
    since: datetime
    """The first and the last instant, both included."""
    until: datetime


def window(page: Page, when: When | None, now: datetime) -> Window:
    """Raises BadRequest for a cursor that is no occurrence's key."""
    return Window(
        after=_place(page),
        ascending=page.ascending,
        since=now + INSTANT if when == "next" else FIRST,
        until=now if when == "past" else LAST,
    )


def _place(page: Page) -> Place:
    if page.cursor is None:
        return (FIRST, "") if page.ascending else (LAST + timedelta(days=1), "")
    at = instant(page.cursor)
    if at is None:
        raise BadRequest("cursor: there is no such occurrence; send the `cursor` of the page before.")
    return at, page.cursor


def unwritten(task: Task, schedule: Schedule, window: Window, now: datetime) -> Iterator[LedgerEntry]:
    """The occurrences of a window from the first that no row tells of: due and not decided, or to come.

    Those that were taken out are among them, for their rows are to be believed.
    """
    if task.next_at is None:
        return
    until = min(window.until, _horizon(task, schedule, now))
    for occurrence in _walk(schedule, window, max(window.since, task.next_at), until):
        due: Fate = "due" if occurrence.at <= now else "expected"
        state = due if task.paused_at is None else "paused"
        yield LedgerEntry(id=occurrence.key, task_id=task.id, at=occurrence.at, state=state)


def merged(
    rows: Sequence[LedgerEntry], unwritten: Iterable[LedgerEntry], window: Window, take: int
) -> list[LedgerEntry]:
    """A page of both; each has as many as the page takes, if it has them. A row is the one to be believed."""
    written = {row.id for row in rows}
    found = [*rows, *(one for one in islice(unwritten, take) if one.id not in written)]
    return sorted(found, key=lambda one: (one.at, one.id), reverse=not window.ascending)[:take]


def _horizon(task: Task, schedule: Schedule, now: datetime) -> datetime:
    """The last instant that is told of; a task that expires has none after that."""
    ahead = following(schedule, now, AHEAD)
    last = ahead[-1].at if ahead else now
    return last if task.expires_at is None else min(last, task.expires_at)


def _walk(schedule: Schedule, window: Window, since: datetime, until: datetime) -> Iterator[Occurrence]:
    """In the window's order, from one instant to another, both included."""
    at, _ = window.after
    if window.ascending:
        found = between(schedule, max(since, at) - INSTANT, until)
        return (one for one in found if (one.at, one.key) > window.after)
    found = back(schedule, min(until, at) + INSTANT, since)
    return (one for one in found if (one.at, one.key) < window.after)
