"""Runs of tasks as rows: what there is when a task's workflow has been at work, without one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from domain import events, ids
from domain.activity import Called
from domain.events import Event
from domain.run import OPEN, RunState
from store import Store
from store.database import Connection
from store.held import append


async def new_execution(
    store: Store,
    task: str,
    state: RunState = "succeeded",
    run: dict[str, Any] | None = None,
    told: Sequence[Event] = (),
    **columns: Any,
) -> str:
    """A run of a task that is in this state, with its execution; no sweeper takes it up.

    `run` is columns of its run, `told` what its channel tells, the others are the execution's.
    """
    run_id = ids.run()

    async def work(connection: Connection) -> None:
        account = await connection.fetchval("SELECT account_id FROM task WHERE id = $1 FOR UPDATE", task)
        channel = await connection.fetchval(
            "INSERT INTO channel (account_id, name, run_id) VALUES ($1, $2, $3) RETURNING id",
            account,
            ids.channel(),
            run_id,
        )
        row = {
            **{
                "id": run_id,
                "account_id": account,
                "task_id": task,
                "kind": "task_run",
                "lane": "background",
            },
            **{"conversation_id": ids.conversation(), "channel_id": channel, "state": state, "looks": 1},
            **{"workflow_id": ids.task_workflow(task, run_id), "fingerprint": b"", "keyed": False},
        }
        await _insert(connection, "run", row | _times(state) | (run or {}))
        await _insert(connection, "execution", {"id": run_id, "task_id": task, **columns})
        await append(connection, channel, told)
        if state not in OPEN:
            await _close(connection, channel)

    await store.database.transact(work)
    return run_id


async def tell(store: Store, run: str, *told: Event) -> None:
    """A run's channel tells something."""

    async def work(connection: Connection) -> None:
        await append(connection, await _channel(connection, run), told)

    await store.database.transact(work)


async def delay(store: Store, run: str, until: datetime) -> None:
    """A run's agent asks to go on at a time."""
    await store.database.execute(
        "WITH called AS (INSERT INTO step (run_id, ordinal, kind, state, fence, holder, attempt)"
        " VALUES ($1, 2, 'call', 'waiting', 0, '', 0))"
        " INSERT INTO call (run_id, ordinal, name, kind, deadline, request_id)"
        " VALUES ($1, 2, '_delay', 'settle', $2, $3)",
        run,
        until,
        ids.message(),
    )


async def finish(store: Store, run: str, state: RunState = "succeeded", *told: Event) -> None:
    """A run ends, telling this."""

    async def work(connection: Connection) -> None:
        channel = await _channel(connection, run)
        await append(connection, channel, told)
        await _close(connection, channel)
        await connection.execute("UPDATE run SET state = $2, ended_at = now() WHERE id = $1", run, state)

    await store.database.transact(work)


async def finish_all(store: Store, task: str) -> None:
    """Nothing of a task is left unfinished."""
    for row in await store.database.fetch("SELECT id FROM run WHERE task_id = $1 AND ended_at IS NULL", task):
        await finish(store, row["id"], "canceled")


def begun(run: str, n: int = 1) -> Event:
    """A run's nth operation begins."""
    return events.operation_begin(run, n, "ability", Called(name="look", arguments={"n": n}))


def done(run: str, n: int = 1) -> Event:
    return events.operation_end(run, n, "ability", Called(name="look", arguments={"n": n}))


def failed(run: str) -> Event:
    return events.error("MODEL_REFUSED", "The model said no.", run)


def _times(state: RunState) -> dict[str, Any]:
    """Columns of a run's times, as its state asks for them."""
    now = datetime.now(UTC)
    return {
        "admitted_at": now,
        "begun_at": None if state == "queued" else now,
        "ended_at": None if state in OPEN else now,
    }


async def _channel(connection: Connection, run: str) -> int:
    """The channel of a run, locked."""
    channel: int = await connection.fetchval(
        "SELECT c.id FROM channel c JOIN run r ON r.channel_id = c.id WHERE r.id = $1 FOR UPDATE", run
    )
    return channel


async def _close(connection: Connection, channel: int) -> None:
    await connection.execute("UPDATE channel SET open = false, closed_at = now() WHERE id = $1", channel)


async def _insert(into: Any, table: str, row: dict[str, Any]) -> None:
    names, places = ", ".join(row), ", ".join(f"${n}" for n in range(1, len(row) + 1))
    # The names are a test's own.
    await into.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", *row.values())  # noqa: S608
